"""Samples cut into launches of an engine: raw input files on the way in, whole outputs on the way back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelError

if TYPE_CHECKING:
    from orchestrator.models.spec import Variant

# Every launch through trtexec loads the engine anew, seconds on a small board.
MAX_LAUNCHES = 8


@dataclass(frozen=True)
class Tensor:
    """One raw little-endian array as the engine's binding wants it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    content: bytes


@dataclass(frozen=True)
class Launch:
    inputs: tuple[Tensor, ...]
    samples: tuple[int, ...]
    """Which samples it holds, in order; what follows them in the batch is padding."""


def cut(
    arrays: Mapping[str, Any], variant: Variant, *, int64_bindings: bool, most: int | None = MAX_LAUNCHES
) -> list[Launch]:
    """Launches over all samples, or over an evenly spaced choice where that would take more than `most`.

    Args:
        arrays: per input, the samples along axis 0. A batched engine takes them as they are, up to its batch at a
            time, the last launch padded with its last sample up to the smallest batch that the engine takes; one that
            is not batched takes one sample at a time, without that axis.
        int64_bindings: whether the engine's TensorRT has int64 bindings (from 10 on); before, int64 inputs become
            int32 bindings, and trtexec would read half of an int64 file without a word.
        most: the number of launches at most; None for no limit.

    Raises:
        ModelError: an input is missing, has another shape than the engine, or does not fit its dtype.
    """
    import numpy as np

    checked = {}
    for binding in variant.inputs:
        if binding.name not in arrays:
            given = ", ".join(arrays) or "nothing"
            raise ModelError(f"no values for input '{binding.name}'", f"given: {given}")
        array = np.asarray(arrays[binding.name])
        expected = binding.shape[1:] if variant.batched else binding.shape
        if len(array.shape) != len(expected) + 1 or any(
            e not in (-1, a) for a, e in zip(array.shape[1:], expected, strict=True)
        ):
            shape = ["samples", *("any" if n == -1 else n for n in expected)]
            raise ModelError(
                f"input '{binding.name}' has shape {list(array.shape)}", f"the model takes {shape}, samples first"
            )
        checked[binding.name] = _as_binding(array, binding.dtype, binding.name, int64_bindings)
    counts = {name: len(array) for name, array in checked.items()}
    if len(set(counts.values())) != 1:
        raise ModelError(
            "the inputs hold different numbers of samples", ", ".join(f"{n}: {c}" for n, c in counts.items())
        )
    count = next(iter(counts.values()))
    if not count:
        raise ModelError("there are no samples", "every input is empty")
    batch = variant.batch if variant.batched else 1
    smallest = (variant.inputs[0].min or variant.inputs[0].shape)[0] if variant.batched else 1
    chosen: Sequence[int] = range(count)
    if most is not None and count > most * batch:
        chosen = [int(i) for i in np.linspace(0, count - 1, most * batch).round()]
    launches = []
    for start in range(0, len(chosen), batch):
        samples = tuple(chosen[start : start + batch])
        rows = [*samples, *[samples[-1]] * max(0, smallest - len(samples))]
        tensors = []
        for name, array in checked.items():
            values = np.ascontiguousarray(array[rows] if variant.batched else array[rows[0]])
            little = values.astype(values.dtype.newbyteorder("<"), copy=False)
            tensors.append(Tensor(name, str(values.dtype), tuple(values.shape), little.tobytes()))
        launches.append(Launch(tuple(tensors), samples))
    return launches


def _as_binding(array: Any, dtype: str, name: str, int64_bindings: bool) -> Any:
    import numpy as np

    if dtype == "int64" and not int64_bindings:
        dtype = "int32"
    if np.issubdtype(np.dtype(dtype), np.integer):
        if not np.issubdtype(array.dtype, np.integer) and array.dtype != bool:
            raise ModelError(f"input '{name}' holds {array.dtype}", f"the model takes {dtype}")
        limits = np.iinfo(dtype)
        if array.size and (array.min() < limits.min or array.max() > limits.max):
            why = f"the device's TensorRT takes {dtype} there, the samples reach {array.min()} to {array.max()}"
            raise ModelError(f"input '{name}' does not fit its binding", why)
    return array.astype(dtype, copy=False)


def join(launches: Sequence[Launch], outputs: Sequence[Mapping[str, Any]], batched: bool) -> dict[str, Any]:
    """The outputs of all launches, sample after sample along axis 0, without padding.

    Args:
        outputs: per launch, output name -> array as the engine gave it.

    Raises:
        ValueError: a batched engine's output whose axis 0 is not its batch, so that samples cannot be told apart.
    """
    import numpy as np

    joined: dict[str, list[Any]] = {}
    for launch, arrays in zip(launches, outputs, strict=True):
        rows = launch.inputs[0].shape[0] if batched else 1
        for name, array in arrays.items():
            if batched and (array.ndim == 0 or array.shape[0] != rows):
                raise ValueError(f"output {name} has shape {array.shape} for a batch of {rows}")
            joined.setdefault(name, []).append(array[: len(launch.samples)] if batched else array[None])
    return {name: np.concatenate(parts) for name, parts in joined.items()}
