"""Sample inputs of a specification: from the user's .npz, or random by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchestrator.errors import ModelError
from orchestrator.models.references import Arrays, Launch
from orchestrator.models.spec import Binding, Input, ModelSpec, Samples, Variant
from orchestrator.models.surgery import near

LEAST_RANDOM = 8


def draw_launches(spec: ModelSpec, variant: Variant) -> list[Launch]:
    """The sample inputs, cut into launches that this variant's engine can take.

    A static batch gets full launches only; samples that fill no launch are left out, and where there are fewer
    than one launch needs they are repeated.

    Raises:
        ModelError: the .npz cannot be read, lacks an input, or holds other shapes or types.
    """
    import numpy as np

    if spec.samples.inputs is None:
        arrays, labels = _random(spec, variant), None
    else:
        arrays, labels = _read(spec.samples, variant)
    if not variant.batched:
        # Indexing an array of scalars gives a number, not an array.
        count = len(next(iter(arrays.values())))
        return [
            Launch({name: np.asarray(a[i]) for name, a in arrays.items()}, labels=_part(labels, slice(i, i + 1)))
            for i in range(count)
        ]
    return [
        Launch({name: array[rows] for name, array in arrays.items()}, labels=_part(labels, rows))
        for rows in _chunks(len(next(iter(arrays.values()))), variant)
    ]


def shrink(launch: Launch, variant: Variant, which: str) -> Arrays:
    """The launch's inputs brought to the variant's `min`, `opt` or `max` shapes, by cutting or repeating."""
    return {b.name: resize(launch.inputs[b.name], getattr(b, which) or b.shape) for b in variant.inputs}


def resize(array: Any, shape: Sequence[int]) -> Any:
    """The array cut or repeated along each axis to `shape`."""
    import numpy as np

    for axis, size in enumerate(shape):
        array = np.take(array, np.arange(size) % array.shape[axis], axis=axis)
    return array


def _part(labels: Any, rows: Any) -> Any:
    return None if labels is None else labels[rows]


def _chunks(count: int, variant: Variant) -> list[Any]:
    import numpy as np

    binding = variant.inputs[0]
    largest, least = binding.largest[0], (binding.min or binding.shape)[0]
    if count < least:
        return [np.arange(least) % count]
    chunks = [np.arange(start, min(start + largest, count)) for start in range(0, count, largest)]
    return [rows for rows in chunks if len(rows) >= least]


def _random(spec: ModelSpec, variant: Variant) -> Arrays:
    import numpy as np

    generator = np.random.default_rng(spec.samples.seed)
    largest = variant.inputs[0].largest
    count = spec.samples.count or (max(LEAST_RANDOM, largest[0]) if variant.batched else LEAST_RANDOM)
    declared = {item.name: item for item in spec.inputs}
    arrays = {}
    for binding in variant.inputs:
        row = binding.typical[1:] if variant.batched else binding.typical
        arrays[binding.name] = _draw(generator, declared[binding.name], (count, *row))
    return arrays


def _draw(generator: Any, declared: Input, shape: tuple[int, ...]) -> Any:
    if declared.dtype.startswith("float"):
        if declared.range is None:
            return generator.standard_normal(shape).astype(declared.dtype)
        return generator.uniform(*declared.range, shape).astype(declared.dtype)
    low, high = declared.range or (0, 1)
    return generator.integers(int(low), int(high), shape, endpoint=True).astype(declared.dtype)


def _read(samples: Samples, variant: Variant) -> tuple[Arrays, Any]:
    import numpy as np

    path = samples.inputs
    assert path is not None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {b.name: _pick(file, b.name, path) for b in variant.inputs}
            labels = _pick(file, samples.labels, path) if samples.labels else None
    except (OSError, ValueError, EOFError) as error:
        raise ModelError(f"cannot read the samples {path}", str(error), "write them with numpy.savez") from None
    arrays = {b.name: _fitted(arrays[b.name], b, variant.batched, path) for b in variant.inputs}
    counts = {name: len(array) for name, array in arrays.items()}
    if labels is not None:
        counts[str(samples.labels)] = len(labels)
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise ModelError(f"{path} does not hold as many samples of each array", listed)
    if not next(iter(counts.values())):
        raise ModelError(f"{path} holds no samples", f"array '{next(iter(counts))}' is empty along axis 0")
    if samples.count:
        arrays = {name: array[: samples.count] for name, array in arrays.items()}
        labels = None if labels is None else labels[: samples.count]
    return arrays, labels


def _pick(file: Any, name: str, path: Any) -> Any:
    if name not in getattr(file, "files", []):
        raise ModelError(
            f"{path} has no array named '{name}'",
            near(name, getattr(file, "files", []), "array"),
            "name the arrays as the inputs of the specification",
        )
    return file[name]


def _fitted(array: Any, binding: Binding, batched: bool, path: Any) -> Any:
    """The array with samples along axis 0 and the binding's dtype."""
    import numpy as np

    low, high = binding.min or binding.shape, binding.largest
    if not batched and array.ndim == len(high):
        array = array[None]  # a single sample, without an axis for samples
    row, low, high = array.shape[1:], low[batched:], high[batched:]
    if array.ndim == 0 or len(row) != len(high) or not all(a <= n <= b for a, n, b in zip(low, row, high, strict=True)):
        wanted = ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in zip(low, high, strict=True))
        raise ModelError(
            f"{path}: array '{binding.name}' has shape {list(array.shape)}",
            f"the specification says [samples{', ' if wanted else ''}{wanted}]",
            "mend the array, or the input's shape in the specification",
        )
    if not np.can_cast(array.dtype, binding.dtype, "same_kind"):
        raise ModelError(f"{path}: array '{binding.name}' is {array.dtype}, the specification says {binding.dtype}")
    return np.ascontiguousarray(array.astype(binding.dtype))
