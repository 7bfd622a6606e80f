"""Export and sanitize as work of their own, from file to file; what `fleet export` and `fleet sanitize` do."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.errors import ModelError, UsageError
from orchestrator.models.exports import Export, ExportNeed, Exports, Progress
from orchestrator.models.spec import ModelSpec, Variant
from orchestrator.store import Store


def export_to_file(
    spec: ModelSpec,
    opset: int,
    out: str | Path,
    *,
    store: Store,
    project_dir: str | Path,
    batch: int | None = None,
    half: bool | None = None,
    progress: Progress | None = None,
) -> Export:
    """Export and sanitize a model into one .onnx file.

    Args:
        opset: instead of what a device would ask for.
        out: the file; it appears whole or not at all.
        batch: which of the specification's `batches` (the `max` of a range); None: the first.
        half: replaces the specification's `half`.

    Raises:
        ModelError: the model cannot be exported, or the file cannot be written.
        UsageError: the specification has no such batch, or its source cannot be made half.
    """
    if half and spec.source.format == "onnx":
        raise UsageError("a ready .onnx graph is not exported in fp16", "it keeps its types", "leave `half` out")
    if half is not None:
        spec = replace(spec, half=half)
    need = ExportNeed(spec, opset, _variant(spec, batch))
    with Exports(store, project_dir) as exports:
        export = exports.export(need, progress)
    store.verify(export.onnx)
    out = Path(out)
    partial = out.with_name(f".{out.name}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(store.path(export.onnx), partial)
        partial.replace(out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise ModelError(f"cannot write {out}", error.strerror or str(error)) from None
    return export


def sanitize_file(
    source: str | Path,
    out: str | Path,
    *,
    logs: str | Path,
    surgery: Sequence[Mapping[str, Any]] = (),
    opset: int | None = None,
    simplify: bool = True,
    shapes: Mapping[str, Sequence[int]] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fold constants, simplify and check a ready .onnx file; each step is compared with the one before.

    Args:
        logs: folder for what the libraries print.
        surgery: operations as in a specification.
        opset: convert to this opset.
        shapes: by input, where the graph leaves sizes open (1 otherwise); inputs are seeded random numbers.

    Returns:
        opset, ir_version, nodes_before, nodes, inputs, outputs, operators, introduced, steps (as in Export).

    Raises:
        ModelError: not readable, not runnable, not convertible; or `out` cannot be written.
    """
    from orchestrator.models import worker
    from orchestrator.models.pool import WorkerPool

    source, out = Path(source), Path(out)
    if not source.is_file():
        raise ModelError(f"no such file: {source}")
    partial = out.with_name(f".{out.name}.part")
    pool = WorkerPool(Path(logs))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        report = pool.run(
            worker.sanitize_graph,
            str(source),
            str(partial),
            [dict(operation) for operation in surgery],
            opset,
            simplify,
            {name: list(shape) for name, shape in (shapes or {}).items()},
            report=progress,
        )
        partial.replace(out)
    except OSError as error:
        raise ModelError(f"cannot write {out}", error.strerror or str(error)) from None
    finally:
        pool.close()
        partial.unlink(missing_ok=True)
    return report


def _variant(spec: ModelSpec, batch: int | None) -> Variant:
    variants = spec.variants()
    if batch is None:
        return variants[0]
    for variant in variants:
        if variant.batch == batch:
            return variant
    known = ", ".join(str(variant.batch) for variant in variants)
    raise UsageError(f"model {spec.name} has no batch {batch}", f"its specification has: {known}")
