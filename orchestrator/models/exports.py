"""Exports by need: found again without loading torch, made once in a process of their own where they are missing."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelError
from orchestrator.models.spec import Binding, ModelSpec, Variant
from orchestrator.store import Store

if TYPE_CHECKING:
    from orchestrator.models.pool import WorkerPool

FORMAT = 1
"""Raised whenever the exporter makes something else of the same need."""
TOOLS = ("torch", "onnx", "onnxruntime", "onnxslim", "onnx-graphsurgeon", "polygraphy", "numpy", "safetensors")

Progress = Callable[[str, float | None], None]
"""Called with the step that begins, and how much is done (0 to 1)."""


@dataclass(frozen=True)
class ExportNeed:
    """What a device needs of the controller: this model, in this opset, with these shapes."""

    spec: ModelSpec
    opset: int
    variant: Variant

    def arguments(self, digest_of: Callable[[Path], str], name_of: Callable[[Path], str]) -> dict[str, Any]:
        """Everything but code and tools that decides the export; files by digest. Raises OSError.

        Folders of code go by name: two models of one checkpoint may have code of their own.
        """
        spec, source = self.spec, self.spec.source
        samples = spec.samples
        return {
            "checkpoint": digest_of(source.checkpoint),
            "source": {
                "format": source.format,
                "factory": source.factory,
                "args": list(source.args),
                "kwargs": dict(source.kwargs),
                "key": source.key,
                "strict": source.strict,
                "path": [name_of(folder) for folder in source.path] if source.format != "onnx" else [],
            },
            "opset": self.opset,
            "half": spec.half,
            "shapes": [binding.to_json() for binding in self.variant.inputs],
            "outputs": list(spec.outputs),
            "simplify": spec.simplify,
            "surgery": list(spec.surgery),
            "samples": {
                "inputs": digest_of(samples.inputs) if samples.inputs else None,
                "labels": samples.labels,
                "seed": samples.seed,
                "count": samples.count,
                "ranges": [declared.range for declared in spec.inputs],
            },
        }


@dataclass(frozen=True)
class Reference:
    """Sample inputs and fp32 outputs, packed as `orchestrator.models.references` says."""

    digest: str
    samples: int
    launches: int
    labels: bool
    origin: dict[str, str]
    """Per output: pytorch, or onnxruntime (for .onnx sources, and where surgery changed what the network computes)."""


@dataclass(frozen=True)
class Export:
    """A sanitized ONNX graph in the store, and everything that is known of it."""

    key: str
    model: str
    onnx: str
    """SHA-256; `Store.path` gives the file."""
    opset: int
    ir_version: int
    size_bytes: int
    batch: int
    inputs: tuple[Binding, ...]
    """As the `build` job wants them. After surgery they may be others than the specification's."""
    outputs: tuple[dict[str, Any], ...]
    """name, dtype, shape (-1 where open)"""
    operators: dict[str, list[str]]
    """Operator -> names of its nodes, such as `/encoder/norm/LayerNormalization`."""
    introduced: dict[str, int]
    """Operator -> first opset that has it."""
    steps: tuple[dict[str, Any], ...]
    """step, kept, reason, nodes, opset, errors {output: {l0 l1 l2 lInf cos nan inf}}"""
    reference: Reference
    sources: dict[str, Any]
    """checkpoint, code {file: digest}, source, opset, shapes, ... and tool versions: what the graph was made from."""
    created: float
    """Seconds since the epoch."""
    warnings: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "inputs": [binding.to_json() for binding in self.inputs]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Export:
        """Raises KeyError or TypeError for what no Export was."""
        known = {f.name: data[f.name] for f in fields(cls)}
        known["inputs"] = tuple(Binding.from_json(item) for item in data["inputs"])
        known["reference"] = Reference(**data["reference"])
        for name in ("outputs", "steps", "warnings"):
            known[name] = tuple(data[name])
        return cls(**known)


class Exports:
    """The exports of a project.

    Args:
        store: keeps graphs, references and the records of both.
        project_dir: paths of code files are recorded relative to it where they lie below.
    """

    def __init__(self, store: Store, project_dir: str | Path) -> None:
        self.store = store
        self.project_dir = Path(os.path.abspath(project_dir))  # noqa: PTH100 - names in records keep their links
        self._pool: WorkerPool | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._running: dict[str, Future[Export]] = {}
        self._listeners: dict[str, list[Progress]] = {}
        self._tools: dict[str, str] | None = None

    def lookup(self, need: ExportNeed) -> Export | None:
        """The export that fits this need exactly, if it was made before; nothing heavy is imported.

        Raises:
            ModelError: a file of the specification is gone.
        """
        key, _ = self._key(need)
        for record in self.store.get(f"exports/{key}") or []:
            try:
                export = Export.from_json(record)
            except (KeyError, TypeError):
                continue  # written by another version of Fleet
            blobs = self.store.has(export.onnx) and self.store.has(export.reference.digest)
            if blobs and self._unchanged(export.sources):
                return export
        return None

    def export(self, need: ExportNeed, progress: Progress | None = None) -> Export:
        """The export for this need, made where it is missing; the same need asked for at once is exported once.

        Args:
            progress: called with each step, from another thread.

        Raises:
            ModelError: the model cannot be exported; see the modules of this package for the reasons.
        """
        key, arguments = self._key(need)
        with self._lock:
            future = self._running.get(key)
            mine = future is None
            if future is None:
                future = self._running[key] = Future()
                self._listeners[key] = []
            if progress:
                self._listeners[key].append(progress)
        if not mine:
            return future.result()
        try:
            export = self.lookup(need) or self._make(need, key, arguments)
        except BaseException as error:
            future.set_exception(error)
            raise
        else:
            future.set_result(export)
            return export
        finally:
            with self._lock:
                self._running.pop(key, None)
                self._listeners.pop(key, None)

    def close(self) -> None:
        """End the worker process; an export that is still going on fails."""
        with self._lock:
            pool, self._closed = self._pool, True
        if pool is not None:
            pool.close()

    def __enter__(self) -> Exports:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _make(self, need: ExportNeed, key: str, arguments: dict[str, Any]) -> Export:
        if absent := [tool for tool, version in self._tool_versions().items() if version == "absent"]:
            raise ModelError(
                f"model {need.spec.name} cannot be exported here",
                f"not installed: {', '.join(absent)}",
                "pip install 'fleet-jetson[export]'",
            )

        def report(step: str, fraction: float | None) -> None:
            for listener in list(self._listeners.get(key, ())):
                listener(step, fraction)

        from orchestrator.models import worker

        made = self._workers().run(
            worker.export, need.spec, need.opset, need.variant, str(self.store.directory), report=report
        )
        code = {self._name(Path(name)): digest for name, digest in made.pop("code").items()}
        packages = made.pop("packages")
        sources = {**arguments, "code": code, "packages": packages, "tools": self._tool_versions()}
        export = Export.from_json({**made, "key": key, "sources": _plain(sources), "created": time.time()})
        record = _plain(export.to_json())
        others = [r for r in self.store.get(f"exports/{key}") or [] if r.get("sources") != record["sources"]]
        # A few variants of the code stay findable, so that undoing an edit needs no export.
        self.store.put(f"exports/{key}", [record, *others][:8])
        return export

    def _workers(self) -> WorkerPool:
        from orchestrator.models.pool import WorkerPool

        with self._lock:
            if self._closed:
                raise ModelError("nothing is exported any more", "the run is ending")
            if self._pool is None:
                self._pool = WorkerPool(self.store.directory / "logs")
            return self._pool

    def _key(self, need: ExportNeed) -> tuple[str, dict[str, Any]]:
        try:
            arguments = _plain(need.arguments(self.store.digests.digest, self._name))
        except OSError as error:
            raise ModelError(
                f"cannot read {error.filename}", error.strerror or "", "mend its path in the spec"
            ) from None
        parts = {"format": FORMAT, "tools": self._tool_versions(), **arguments}
        text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest(), arguments

    def _tool_versions(self) -> dict[str, str]:
        if self._tools is None:
            self._tools = {tool: _version(tool) for tool in TOOLS}
        return self._tools

    def _unchanged(self, sources: Mapping[str, Any]) -> bool:
        for name, digest in sources["code"].items():
            try:
                if self.store.digests.digest(self.project_dir / name) != digest:
                    return False
            except OSError:
                return False
        return all(_version(package) == version for package, version in sources["packages"].items())

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.project_dir)) if path.is_relative_to(self.project_dir) else str(path)


def _plain(value: Any) -> Any:
    """As it comes back from a JSON file, so that what is compared later has one form."""
    return json.loads(json.dumps(value, default=str))


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
