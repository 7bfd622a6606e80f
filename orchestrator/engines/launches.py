"""Launches of an engine as a device takes them: raw input files on the way in, whole outputs on the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import ModelError

# Every launch through trtexec loads the engine anew, seconds on a small board.
MAX_LAUNCHES = 8


@dataclass(frozen=True)
class Tensor:
    """One raw little-endian array as the engine's binding wants it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    content: bytes


def spread(count: int, most: int = MAX_LAUNCHES) -> list[int]:
    """Which of `count` launches to run: all, or `most` evenly spaced ones, first and last among them."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)] if most > 1 else [0]


def raw(inputs: Mapping[str, Any], *, int64_bindings: bool) -> list[Tensor]:
    """The inputs of one launch as raw files.

    Args:
        inputs: arrays by input name, in the dtypes of the ONNX graph.
        int64_bindings: whether the engine's TensorRT has int64 bindings (from 10 on). Before, int64 inputs become int32
            bindings, and trtexec would read half of an int64 file without a word.

    Raises:
        ModelError: int64 values that do not fit int32.
    """
    import numpy as np

    tensors = []
    for name, array in inputs.items():
        if array.dtype == np.int64 and not int64_bindings:
            limits = np.iinfo(np.int32)
            if array.size and (array.min() < limits.min or array.max() > limits.max):
                why = f"the device's TensorRT takes int32 there, the samples reach {array.min()} to {array.max()}"
                raise ModelError(f"input '{name}' does not fit its binding", why, "use smaller values, or TensorRT 10")
            array = array.astype(np.int32)
        values = np.ascontiguousarray(array)
        little = values.astype(values.dtype.newbyteorder("<"), copy=False)
        tensors.append(Tensor(name, str(values.dtype), tuple(array.shape), little.tobytes()))
    return tensors


def join(launches: Sequence[Mapping[str, Any]], batched: bool) -> dict[str, Any]:
    """Tensors of many launches as one array per name, samples along axis 0.

    Launches that are not batched are stacked; where their shapes differ they are flattened and put end to end, which
    keeps every element for comparison.
    """
    import numpy as np

    joined = {}
    for name in launches[0] if launches else ():
        parts = [np.asarray(launch[name]) for launch in launches]
        shapes = {part.shape[1:] if batched else part.shape for part in parts}
        if len(shapes) > 1 or (batched and parts[0].ndim == 0):
            joined[name] = np.concatenate([part.reshape(-1) for part in parts])
        else:
            joined[name] = np.concatenate(parts) if batched else np.stack(parts)
    return joined
