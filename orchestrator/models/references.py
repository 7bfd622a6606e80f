"""Sample inputs with the outputs that are right for them, cut into the launches in which an engine is tried."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Arrays = dict[str, Any]
"""numpy arrays by tensor name"""


@dataclass
class Launch:
    """One execution: what goes in, and what must come out."""

    inputs: Arrays
    outputs: Arrays = field(default_factory=dict)
    labels: Any = None
    """Class index per sample, shape (samples,), or None."""

    @property
    def samples(self) -> int:
        """Samples in this launch; meaningful where axis 0 counts them, else 1."""
        if self.labels is not None:
            return len(self.labels)
        first = [array.shape[0] if array.ndim else 0 for array in self.inputs.values()]
        return first[0] if first and len(set(first)) == 1 else 1


def pack(launches: Sequence[Launch]) -> bytes:
    """Launches as one .npz: each tensor's launches joined along axis 0, and where each of them begins.

    The bytes depend on the content alone, so equal references have equal digests.
    """
    import numpy as np

    arrays: dict[str, Any] = {}
    for side in ("inputs", "outputs"):
        for name in getattr(launches[0], side):
            parts = [np.asarray(getattr(launch, side)[name]) for launch in launches]
            scalar = parts[0].ndim == 0
            rows = [np.atleast_1d(part) for part in parts]
            arrays[f"{side}/{name}"] = np.concatenate(rows)
            arrays[f"{side}-at/{name}"] = np.cumsum([0, *(len(part) for part in rows)])
            if scalar:
                arrays[f"{side}-scalar/{name}"] = np.array(True)
    if launches[0].labels is not None:
        arrays["labels"] = np.concatenate([launch.labels for launch in launches])
        arrays["labels-at"] = np.cumsum([0, *(len(launch.labels) for launch in launches)])
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def read_launches(path: str | Path, limit: int | None = None) -> list[Launch]:
    """The launches of a reference file, the first `limit` of them.

    Inputs have the dtypes of the ONNX graph, outputs those of the fp32 network.
    """
    import numpy as np

    with np.load(path, allow_pickle=False) as file:
        names = [tuple(key.split("/", 1)) for key in file.files if key.startswith(("inputs/", "outputs/"))]
        count = len(file[f"{names[0][0]}-at/{names[0][1]}"]) - 1
        launches = [Launch({}) for _ in range(count if limit is None else min(limit, count))]
        for side, name in names:
            joined, at = file[f"{side}/{name}"], file[f"{side}-at/{name}"]
            scalar = f"{side}-scalar/{name}" in file.files
            for index, launch in enumerate(launches):
                part = joined[at[index] : at[index + 1]]
                getattr(launch, side)[name] = part.reshape(()) if scalar else part
        if "labels" in file.files:
            labels, at = file["labels"], file["labels-at"]
            for index, launch in enumerate(launches):
                launch.labels = labels[at[index] : at[index + 1]]
    return launches
