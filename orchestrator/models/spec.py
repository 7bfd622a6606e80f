"""A model specification as data: what to export, with which shapes and precisions, and how to judge it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DTYPES = ("float32", "float16", "int64", "int32", "int8", "uint8", "bool")
PRECISIONS = ("fp32", "fp16", "int8")
FORMATS = ("state_dict", "safetensors", "torchscript", "module", "onnx")

Dimension = int | str
"""A size; or a name, or -1: left open. The name `batch` is filled from the specification's `batches`."""


@dataclass(frozen=True)
class Source:
    """Where the network comes from."""

    checkpoint: Path
    format: str
    """One of FORMATS."""
    factory: str | None = None
    """`module:function` that returns the nn.Module to load the weights into."""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    path: tuple[Path, ...] = ()
    """Folders from which the factory's module is imported."""
    key: str | None = None
    """Where in the checkpoint the weights stand, levels joined by dots; None for its top."""
    strict: bool = True
    trust: bool = False
    """The user vouches for the file: unpickling it may run any code."""


@dataclass(frozen=True)
class Input:
    """An input of the network."""

    name: str
    shape: tuple[Dimension, ...]
    dtype: str = "float32"
    range: tuple[float, float] | None = None
    """Of random samples: uniform in [low, high), integers in [low, high]."""
    min: tuple[int, ...] | None = None
    opt: tuple[int, ...] | None = None
    max: tuple[int, ...] | None = None
    """Shapes of the optimization profile; all three or none."""


@dataclass(frozen=True)
class BatchRange:
    """A dynamic batch: one engine for all sizes from min to max, tuned for opt."""

    min: int
    opt: int
    max: int


@dataclass(frozen=True)
class Samples:
    """What references, comparisons and verdicts are computed on."""

    inputs: Path | None = None
    """An .npz with an array per input; None: seeded random."""
    labels: str | None = None
    """Array of that .npz with the true class of each sample."""
    seed: int = 0
    count: int | None = None
    """How many samples to use; None: all of the file, or the largest batch (at least 8) of random ones."""


@dataclass(frozen=True)
class Build:
    """How engines are built."""

    workspace: int | str = "auto"
    """MiB, or `auto`: from the device's memory."""
    tool: str = "trtexec"
    timing_cache: bool = True
    timeout_s: int = 14400
    options: Mapping[str, Any] = field(default_factory=dict)
    """dla_core (int), opt_level (int), extra (list of flags for the tool)."""


@dataclass(frozen=True)
class After:
    """What tells the application that a new engine is active."""

    service: str | None = None
    """A systemd unit to restart."""
    command: tuple[str, ...] | str | None = None
    """A command: argv, or a line for the shell."""


@dataclass(frozen=True)
class Binding:
    """An input as one engine sees it: -1 in `shape` where a dimension is open, and then min, opt and max shapes."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    min: tuple[int, ...] | None = None
    opt: tuple[int, ...] | None = None
    max: tuple[int, ...] | None = None

    @property
    def largest(self) -> tuple[int, ...]:
        return self.max or self.shape

    @property
    def typical(self) -> tuple[int, ...]:
        return self.opt or self.shape

    def to_json(self) -> dict[str, Any]:
        """As the `build` job's spec has it; min, opt and max only where a dimension is open."""
        data: dict[str, Any] = {"name": self.name, "dtype": self.dtype, "shape": list(self.shape)}
        for which in ("min", "opt", "max"):
            if (shape := getattr(self, which)) is not None:
                data[which] = list(shape)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Binding:
        shapes = {key: tuple(data[key]) for key in ("shape", "min", "opt", "max") if data.get(key) is not None}
        return cls(name=data["name"], dtype=data["dtype"], **shapes)


@dataclass(frozen=True)
class Variant:
    """One engine's shapes: every engine of a model has a variant of its own."""

    batch: int
    """Samples in one launch at most; 1 where the network has no batch."""
    inputs: tuple[Binding, ...]

    @property
    def dynamic(self) -> bool:
        return any(-1 in binding.shape for binding in self.inputs)

    @property
    def batched(self) -> bool:
        """Whether axis 0 of every input counts samples: it is of one size, or equally open, everywhere."""
        if any(not binding.shape for binding in self.inputs):
            return False
        first = {tuple(s[0] if s else None for s in (b.shape, b.min, b.opt, b.max)) for b in self.inputs}
        return len(first) == 1


@dataclass(frozen=True)
class ModelSpec:
    """A whole specification; `orchestrator.models.reading.load_spec` makes it from YAML."""

    name: str
    file: Path
    source: Source
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...] = ()
    """Names for the outputs, in order; empty: `output`, or `output_0`, `output_1`, ... (a file's own for .onnx)."""
    batches: tuple[int | BatchRange, ...] = (1,)
    precisions: tuple[str, ...] = ("fp16", "fp32")
    tolerances: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """Per precision, what replaces the defaults: atol, rtol, outside, cosine, top1."""
    samples: Samples = field(default_factory=Samples)
    opset: int | None = None
    """Instead of what the device's JetPack suggests."""
    half: bool = False
    """Export with fp16 weights and arithmetic in the graph itself; inputs and outputs stay fp32."""
    simplify: bool = True
    surgery: tuple[Mapping[str, Any], ...] = ()
    build: Build = field(default_factory=Build)
    after: After | None = None
    classes: bool = True
    """Outputs with a last axis of more than one element hold scores of classes, so that top-1 means something."""

    def variants(self) -> tuple[Variant, ...]:
        """The shapes of each engine that the specification asks for: one per element of `batches`."""
        variants = []
        for batch in self.batches:
            bindings = tuple(_bind(declared, batch) for declared in self.inputs)
            variants.append(Variant(_samples_per_launch(bindings), bindings))
        return tuple(variants)


def _bind(declared: Input, batch: int | BatchRange) -> Binding:
    sizes = (batch, batch, batch) if isinstance(batch, int) else (batch.min, batch.opt, batch.max)
    dynamic = isinstance(batch, BatchRange) and "batch" in declared.shape
    if declared.min and declared.opt and declared.max:
        low, middle, high = declared.min, declared.opt, declared.max
        shape = tuple(size if isinstance(size, int) else -1 for size in declared.shape)
        return Binding(declared.name, declared.dtype, shape, low, middle, high)
    if dynamic:
        low, middle, high = (tuple(n if s == "batch" else int(s) for s in declared.shape) for n in sizes)
        shape = tuple(-1 if size == "batch" else int(size) for size in declared.shape)
        return Binding(declared.name, declared.dtype, shape, low, middle, high)
    return Binding(declared.name, declared.dtype, tuple(sizes[0] if s == "batch" else int(s) for s in declared.shape))


def _samples_per_launch(bindings: tuple[Binding, ...]) -> int:
    return bindings[0].largest[0] if Variant(1, bindings).batched else 1
