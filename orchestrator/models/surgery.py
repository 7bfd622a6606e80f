"""Changes to a graph that the user asks for: rename, remove, cut, fix a shape, set an attribute."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.documents import Document, Keys
from orchestrator.errors import ModelError

OPERATIONS = {
    "rename_tensors": "{old: new}",
    "rename_nodes": "{old: new}",
    "remove": "[node, ...]; what fed the node's first input then feeds whatever read its output",
    "cut": "{inputs: [tensor, ...], outputs: [tensor, ...]}; keeps the part between them",
    "shape": "{tensor: [size, ...]}; fixes the shape of an input or a tensor",
    "attributes": "{node: {attribute: value}}",
}


def check_operations(document: Document, operations: Sequence[Any], at: Keys) -> None:
    """Refuse a `surgery` list that cannot be understood. Raises the document's error, at the operation's place."""
    for index, operation in enumerate(operations):
        here = (*at, index)
        if not isinstance(operation, dict) or len(operation) != 1:
            why = f"known: {', '.join(OPERATIONS)}"
            raise document.fail("each step of `surgery` is one operation with its arguments", why, path=here)
        document.check_keys(operation, OPERATIONS, here, noun="operation")
        ((name, value),) = operation.items()
        if not _CHECKS[name](value):
            raise document.fail(f"`{name}` takes {OPERATIONS[name]}", f"not {value!r}", path=(*here, name))


def _names(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _renames(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(n, str) for pair in value.items() for n in pair)


def _cut(value: Any) -> bool:
    return (
        isinstance(value, dict) and bool(value) and all(k in ("inputs", "outputs") and _names(value[k]) for k in value)
    )


def _shapes(value: Any) -> bool:
    def is_shape(shape: Any) -> bool:
        return isinstance(shape, list) and all(type(n) is int and (n > 0 or n == -1) for n in shape)

    return isinstance(value, dict) and bool(value) and all(is_shape(shape) for shape in value.values())


def _attributes(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(v, dict) and v for v in value.values())


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "rename_tensors": _renames,
    "rename_nodes": _renames,
    "remove": _names,
    "cut": _cut,
    "shape": _shapes,
    "attributes": _attributes,
}


@dataclass
class Operated:
    """A graph after surgery, with what its inputs and outputs were called before."""

    model: Any
    """onnx.ModelProto"""
    origins: dict[str, str] = field(default_factory=dict)
    """New tensor name -> name in the graph as it came; names that are not here never changed."""

    def origin(self, name: str) -> str:
        return self.origins.get(name, name)


def operate(model: Any, operations: Sequence[Mapping[str, Any]]) -> Operated:
    """Apply a `surgery` list to an onnx.ModelProto, in order; the model given is not changed.

    Raises:
        ModelError: no such node or tensor (near names are shown), or a graph that no longer holds together.
    """
    import onnx
    import onnx_graphsurgeon as gs

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = gs.import_onnx(copy)
    result = Operated(None)
    for number, operation in enumerate(operations, 1):
        ((name, value),) = operation.items()
        try:
            _APPLY[name](graph, value, result)
            graph.cleanup().toposort()
        except ModelError as error:
            error.what = f"surgery step {number} ({name}): {error.what}"
            raise
        except Exception as error:
            # A graph in pieces shows as whatever graphsurgeon trips over first.
            raise ModelError(f"surgery step {number} ({name}) leaves a graph in pieces", str(error)) from error
        if not graph.outputs or not graph.nodes:
            raise ModelError(f"surgery step {number} ({name}) leaves nothing of the graph")
    operated = gs.export_onnx(graph)
    operated.ir_version = model.ir_version
    for value_info in [*operated.graph.value_info]:
        operated.graph.value_info.remove(value_info)  # shapes behind a change may no longer hold
    try:
        onnx.checker.check_model(operated)
        operated = onnx.shape_inference.infer_shapes(operated)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError("the graph is not valid after surgery", _first_line(error)) from None
    result.model = operated
    return result


def _rename_tensors(graph: Any, renames: dict[str, str], result: Operated) -> None:
    tensors = _tensors(graph)
    for old, new in renames.items():
        tensor = _find(tensors, old, "tensor")
        if new in tensors:
            raise ModelError(f"a tensor named '{new}' is there already")
        tensor.name = new
        tensors[new] = tensors.pop(old)
        result.origins[new] = result.origins.pop(old, old)


def _rename_nodes(graph: Any, renames: dict[str, str], result: Operated) -> None:
    nodes = {node.name: node for node in graph.nodes}
    for old, new in renames.items():
        if new in nodes:
            raise ModelError(f"a node named '{new}' is there already")
        _find(nodes, old, "node").name = new


def _remove(graph: Any, names: list[str], result: Operated) -> None:
    for name in names:
        nodes = {node.name: node for node in graph.nodes}
        node = _find(nodes, name, "node")
        if not node.inputs or len(node.outputs) != 1:
            raise ModelError(
                f"node '{name}' cannot be bypassed",
                f"it has {len(node.inputs)} inputs and {len(node.outputs)} outputs; needed: an input and one output",
                "use `cut` instead",
            )
        before, after = node.inputs[0], node.outputs[0]
        for reader in list(after.outputs):
            reader.inputs = [before if tensor is after else tensor for tensor in reader.inputs]
        node.inputs.clear()
        node.outputs.clear()
        if any(after is output for output in graph.outputs):
            _take_over_output(graph, name, before, after, result)


def _take_over_output(graph: Any, name: str, before: Any, after: Any, result: Operated) -> None:
    """What fed a removed last node becomes the graph's output, under the output's name."""
    if any(before is tensor for tensor in [*graph.inputs, *graph.outputs]) or not before.inputs:
        raise ModelError(f"node '{name}' is all there is between an input and an output", "", "use `cut` instead")
    output_name = after.name
    after.name = f"{output_name}.removed"
    result.origins[output_name] = result.origins.get(before.name, before.name)
    before.name = output_name
    if before.dtype is None:
        before.dtype = after.dtype
    graph.outputs = [before if tensor is after else tensor for tensor in graph.outputs]


def _cut_out(graph: Any, ends: dict[str, list[str]], result: Operated) -> None:
    tensors = _tensors(graph)
    if "outputs" in ends:
        graph.outputs = [_typed(_find(tensors, name, "tensor")) for name in ends["outputs"]]
    if "inputs" in ends:
        graph.inputs = [_typed(_find(tensors, name, "tensor")) for name in ends["inputs"]]
        for tensor in graph.inputs:
            tensor.inputs.clear()
    graph.cleanup()
    fed = {id(tensor) for tensor in graph.inputs}
    loose = [
        tensor.name
        for node in graph.nodes
        for tensor in node.inputs
        if tensor.name and not tensor.inputs and id(tensor) not in fed and hasattr(tensor, "dtype")
        and type(tensor).__name__ == "Variable"
    ]  # fmt: skip
    if loose:
        raise ModelError(
            f"the part that is left also needs tensor '{loose[0]}'",
            f"the cut has the inputs {', '.join(ends.get('inputs', []))}",
            f"add '{loose[0]}' to `inputs` of the cut",
        )


def _fix_shapes(graph: Any, shapes: dict[str, list[int]], result: Operated) -> None:
    tensors = _tensors(graph)
    for name, shape in shapes.items():
        tensor = _find(tensors, name, "tensor")
        if tensor.shape is not None and len(tensor.shape) != len(shape):
            raise ModelError(f"tensor '{name}' has {len(tensor.shape)} dimensions, the new shape {len(shape)}")
        tensor.shape = [size if size > 0 else f"{name}.{axis}" for axis, size in enumerate(shape)]


def _set_attributes(graph: Any, changes: dict[str, dict], result: Operated) -> None:
    nodes = {node.name: node for node in graph.nodes}
    for name, attributes in changes.items():
        node = _find(nodes, name, "node")
        for key in attributes:
            if key not in node.attrs:
                known = ", ".join(sorted(node.attrs)) or "none"
                raise ModelError(f"node '{name}' ({node.op}) has no attribute '{key}'", f"it has: {known}")
        node.attrs.update(attributes)


_APPLY: dict[str, Callable[[Any, Any, Operated], None]] = {
    "rename_tensors": _rename_tensors,
    "rename_nodes": _rename_nodes,
    "remove": _remove,
    "cut": _cut_out,
    "shape": _fix_shapes,
    "attributes": _set_attributes,
}


def _tensors(graph: Any) -> dict[str, Any]:
    return {**graph.tensors(), **{tensor.name: tensor for tensor in [*graph.inputs, *graph.outputs]}}


def _typed(tensor: Any) -> Any:
    if getattr(tensor, "dtype", None) is None:
        raise ModelError(f"the type of tensor '{tensor.name}' is unknown, so it cannot be an input or an output")
    return tensor


def _find(known: dict[str, Any], name: str, noun: str) -> Any:
    if name in known:
        return known[name]
    raise ModelError(f"the graph has no {noun} named '{name}'", near(name, known, noun))


def near(name: str, known: Iterable[str], noun: str) -> str:
    """One line with the known names most like `name`."""
    names = [n for n in known if n]
    close = difflib.get_close_matches(name, names, n=4, cutoff=0.4) or [n for n in names if name in n][:4] or names[:4]
    return f"nearest {noun} names: {', '.join(close)}" if close else f"it has no named {noun}s"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
