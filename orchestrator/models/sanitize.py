"""Steps that make a graph simpler without changing what it computes; one that does is dropped and named."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

from orchestrator.errors import ModelError
from orchestrator.models import graphs
from orchestrator.models.numerics import Gate, Metrics, compare, objection
from orchestrator.models.references import Arrays

Step = dict[str, Any]
"""step, kept, reason (or None), nodes (after it), opset, errors {output: metrics}"""


def measured(before: Sequence[Arrays], after: Sequence[Arrays], gate: Gate) -> dict[str, Metrics]:
    """Per output, the distance of `after` from `before` over all launches.

    Raises:
        ValueError: an output is gone, or has another shape.
    """
    import numpy as np

    errors = {}
    for name in before[0]:
        if name not in after[0]:
            raise ValueError(f"output '{name}' is gone")
        for old, new in zip(before, after, strict=True):
            if old[name].shape != new[name].shape:
                raise ValueError(f"output '{name}' has shape {new[name].shape} instead of {old[name].shape}")
        old_values, new_values = (np.concatenate([launch[name].ravel() for launch in side]) for side in (before, after))
        errors[name] = compare(old_values, new_values, gate)
    return errors


def step_record(name: str, model: Any, errors: dict[str, Metrics], reason: str | None = None) -> Step:
    """How a step went, for reports."""
    return {
        "step": name,
        "kept": reason is None,
        "reason": reason,
        "nodes": len(model.graph.node),
        "opset": graphs.opset_of(model),
        "errors": errors,
    }


def sanitize(
    model: Any,
    feeds: Sequence[Arrays],
    gate: Gate,
    *,
    simplify: bool = True,
    progress: Callable[[str], None] = lambda step: None,
) -> tuple[Any, list[Step]]:
    """Fold constants, simplify, check.

    Args:
        model: onnx.ModelProto; it is not changed.
        feeds: sample inputs on which each step is compared with the one before.
        gate: what a step may change.

    Returns:
        The graph after the steps that were kept, and a record of each step.

    Raises:
        ModelError: ONNX's checker refuses the result.
    """
    import onnx

    steps: list[Step] = []
    outputs = graphs.run(model, feeds)
    stages: list[tuple[str, Callable[[Any], Any]]] = [("fold constants", fold_constants)]
    if simplify:
        stages.append(("simplify", _simplify))
    for name, change in stages:
        progress(name)
        model, outputs, record = _try(name, change, model, outputs, feeds, gate)
        steps.append(record)
    progress("check")
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # ValidationError, or InferenceError of the full check
        raise ModelError("the graph is not valid ONNX", graphs.first_line(error)) from None
    steps.append(step_record("check", model, {}))
    return model, steps


def _try(
    name: str, change: Callable[[Any], Any], model: Any, outputs: list[Arrays], feeds: Sequence[Arrays], gate: Gate
) -> tuple[Any, list[Arrays], Step]:
    """The changed graph and its outputs if the gate lets them through, else what was there before."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    errors: dict[str, Metrics] = {}
    try:
        with _silence():
            changed = change(copy)
        reason = _other_interface(model, changed)
        if reason is None:
            results = graphs.run(changed, feeds)
            errors = measured(outputs, results, gate)
            reason = objection(errors, gate)
        if reason is None and len(changed.graph.node) > len(model.graph.node):
            reason = f"it made the graph larger ({len(model.graph.node)} to {len(changed.graph.node)} nodes)"
    except Exception as error:
        # A step that fails costs only its benefit, whatever went wrong inside of it.
        reason = f"it failed: {graphs.first_line(error)}" if not isinstance(error, ModelError) else str(error.why)
    if reason is not None:
        return model, outputs, step_record(name, model, errors, reason)
    return changed, results, step_record(name, changed, errors)


def _other_interface(model: Any, changed: Any) -> str | None:
    """Why the changed graph cannot stand in for the other one, or None."""
    if graphs.opset_of(changed) != graphs.opset_of(model):
        return f"it changed the opset from {graphs.opset_of(model)} to {graphs.opset_of(changed)}"
    if changed.ir_version > model.ir_version:
        return f"it raised the IR version from {model.ir_version} to {changed.ir_version}"
    for noun, values in (("inputs", "input"), ("outputs", "output")):
        before, after = (
            [(d["name"], d["dtype"]) for d in graphs.describe(getattr(m.graph, values))] for m in (model, changed)
        )
        if before != after:
            return f"it changed the {noun} from {before} to {after}"
    return None


def fold_constants(model: Any) -> Any:
    """What `polygraphy surgeon sanitize --fold-constants` does, through its API."""
    from polygraphy.backend.onnx import fold_constants as fold
    from polygraphy.logger import G_LOGGER

    G_LOGGER.module_severity = {"": G_LOGGER.CRITICAL}
    # error_ok=False: a failure must be seen, since it is recorded as a dropped step.
    return fold(model, error_ok=False)


def _simplify(model: Any) -> Any:
    import onnxslim

    ir_version = model.ir_version
    slim = onnxslim.slim(model)
    slim.ir_version = min(slim.ir_version, ir_version)
    return slim


@contextlib.contextmanager
def _silence() -> Any:
    """Libraries log at warning level what a dropped step says better."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
