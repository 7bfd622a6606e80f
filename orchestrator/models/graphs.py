"""ONNX graphs on the controller: read them, run them, describe them, fit their shapes and opset."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from orchestrator.errors import ModelError
from orchestrator.models.references import Arrays
from orchestrator.models.spec import Variant
from orchestrator.models.surgery import near

LARGEST_BYTES = (2 << 30) - 1
"""What protobuf can hold in one message."""


def load_onnx(path: Path) -> Any:
    """An onnx.ModelProto with its weights. Raises ModelError: not an ONNX file, or weights beside it are missing."""
    import onnx

    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
        return onnx.shape_inference.infer_shapes(model)
    except Exception as error:  # protobuf, onnx and the file system each have their own
        raise ModelError(f"{path.name} cannot be read as ONNX", first_line(error), "export it again") from None


def external_files(path: Path) -> list[Path]:
    """The files beside an ONNX file that hold weights of it."""
    import onnx
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    model = onnx.load(str(path), load_external_data=False)
    tensors = [tensor for tensor in _tensors(model.graph) if uses_external_data(tensor)]
    return sorted({(path.parent / ExternalDataInfo(tensor).location).absolute() for tensor in tensors})


def _tensors(graph: Any) -> Iterator[Any]:
    """Every tensor that a graph holds, those of subgraphs too."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def serialized(model: Any) -> bytes:
    """The graph as bytes, the same ones for the same graph. Raises ModelError above 2 GiB."""
    if model.ByteSize() > LARGEST_BYTES:
        raise ModelError(
            f"the graph has {model.ByteSize() / 2**30:.1f} GiB",
            "an ONNX file of one piece holds at most 2 GiB",
            "export with `half: true`, or split the model with `surgery`",
        )
    return model.SerializeToString(deterministic=True)


def run(model: Any, feeds: Sequence[Arrays], extra: Iterable[str] = ()) -> list[Arrays]:
    """Execute the graph with ONNX Runtime on the CPU.

    Args:
        feeds: input arrays by name, one mapping per launch.
        extra: inner tensors to return beside the outputs.

    Raises:
        ModelError: the runtime refuses the graph or an input.
    """
    import onnx
    import onnxruntime

    extra = [name for name in extra if name not in output_names(model)]
    if extra:
        shown = onnx.ModelProto()
        shown.CopyFrom(model)
        known = {value.name: value for value in shown.graph.value_info}
        shown.graph.output.extend(known.get(name) or onnx.ValueInfoProto(name=name) for name in extra)
        model = shown
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # What is asked is what the graph says, so nothing beyond what the CPU needs is rewritten before it runs.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        session = onnxruntime.InferenceSession(serialized(model), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return [dict(zip(names, session.run(names, feed), strict=True)) for feed in feeds]
    except ModelError:
        raise
    except Exception as error:  # the runtime's errors share no base class
        raise ModelError("ONNX Runtime cannot run the graph", first_line(error)) from None


def opset_of(model: Any) -> int:
    """Version of the standard operators that the graph is written in."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def ir_for(opset: int) -> int:
    """The oldest ONNX IR version that this opset belongs to (opset 13: 7, 17: 8, 20: 9)."""
    import onnx

    return onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)])


def lower_ir(model: Any) -> None:
    """Say the oldest IR version that fits the opset, since old parsers and runtimes refuse newer numbers."""
    if not model.functions:
        model.ir_version = min(model.ir_version, max(4, ir_for(opset_of(model))))


def convert_opset(model: Any, opset: int) -> Any:
    """The graph in another opset; whether it still computes the same is for the caller to see.

    Raises:
        ModelError: ONNX's converter has no way there, and the operators are not the same in both opsets either.
    """
    import onnx

    reasons = []
    for attempt in (onnx.version_converter.convert_version, _relabel):
        try:
            converted = attempt(model, opset)
            lower_ir(converted)
            onnx.checker.check_model(converted, full_check=True)
            return onnx.shape_inference.infer_shapes(converted)
        except Exception as error:  # the converter raises RuntimeError, ConvertError and others
            reasons.append(first_line(error))
    raise ModelError(
        f"the graph is in opset {opset_of(model)} and cannot be converted to {opset}",
        reasons[-1],
        f"export the .onnx file at opset {opset} from its own framework, or replace the operator by `surgery`",
    )


def _relabel(model: Any, opset: int) -> Any:
    """The same nodes under another opset's number: right where operators only came to take more types in between.

    The converter lacks many of these harmless steps (Add from 14 to 13). The checker refuses operators and attributes
    that the other opset has not.
    """
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for entry in copy.opset_import:
        if entry.domain in ("", "ai.onnx"):
            entry.version = opset
    return copy


def input_names(model: Any) -> list[str]:
    constants = {initializer.name for initializer in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in constants]


def output_names(model: Any) -> list[str]:
    return [value.name for value in model.graph.output]


def describe(values: Iterable[Any]) -> list[dict[str, Any]]:
    """Name, dtype and shape (-1 where open) of graph inputs or outputs."""
    import onnx

    described = []
    for value in values:
        tensor = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        shape = [d.dim_value if d.HasField("dim_value") else -1 for d in tensor.shape.dim]
        described.append({"name": value.name, "dtype": dtype, "shape": shape})
    return described


def operators(model: Any) -> dict[str, list[str]]:
    """Operator -> names of its nodes, subgraphs included; operators of other domains as `domain::Name`."""
    found: dict[str, list[str]] = defaultdict(list)

    def visit(graph: Any) -> None:
        for node in graph.node:
            standard = node.domain in ("", "ai.onnx")
            label = node.name or (node.output[0] if node.output else "")
            found[node.op_type if standard else f"{node.domain}::{node.op_type}"].append(label)
            for attribute in node.attribute:
                for inner in [attribute.g, *attribute.graphs]:
                    if inner.node:
                        visit(inner)

    visit(model.graph)
    return dict(sorted(found.items()))


def introduced(names: Iterable[str]) -> dict[str, int]:
    """Operator -> first opset that has it, for standard operators."""
    import onnx

    first: dict[str, int] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            first[schema.name] = min(schema.since_version, first.get(schema.name, schema.since_version))
    return {name: first[name] for name in names if name in first}


def fit(model: Any, variant: Variant, outputs: Sequence[str]) -> Any:
    """A ready .onnx graph with the inputs' shapes of this variant and the outputs that the specification names.

    Raises:
        ModelError: other input names, types or fixed sizes; an output that is not there.
    """
    import onnx

    fitted = onnx.ModelProto()
    fitted.CopyFrom(model)
    values = {value.name: value for value in fitted.graph.input}
    names = input_names(model)
    wanted = [binding.name for binding in variant.inputs]
    for name in wanted:
        if name not in names:
            raise ModelError(f"the graph has no input named '{name}'", near(name, names, "input"))
    if missing := [name for name in names if name not in wanted]:
        raise ModelError(f"input '{missing[0]}' of the graph is not in the specification", "every input needs a shape")
    for binding in variant.inputs:
        _fit_input(values[binding.name], binding)
    if outputs:
        known = {value.name: value for value in fitted.graph.output}
        for name in outputs:
            if name not in known:
                raise ModelError(f"the graph has no output named '{name}'", near(name, known, "output"))
        del fitted.graph.output[:]
        fitted.graph.output.extend(known[name] for name in outputs)
    del fitted.graph.value_info[:]
    for value in fitted.graph.output:
        value.type.tensor_type.ClearField("shape")
    lower_ir(fitted)
    return onnx.shape_inference.infer_shapes(fitted)


def _fit_input(value: Any, binding: Any) -> None:
    (described,) = describe([value])
    if described["dtype"] != binding.dtype:
        raise ModelError(f"input '{binding.name}' is {described['dtype']}, the specification says {binding.dtype}")
    has, says = described["shape"], list(binding.shape)
    if value.type.tensor_type.HasField("shape"):
        agrees = len(has) == len(says) and all(h in (-1, s) for h, s in zip(has, says, strict=True))
        if not agrees:
            raise ModelError(
                f"input '{binding.name}' of the graph has shape {has}, the specification says {says}",
                "a size that the graph fixes cannot be changed by a specification (-1: left open)",
                "change the specification, or export the graph with that dimension left open",
            )
    value.type.tensor_type.shape.Clear()
    for axis, size in enumerate(says):
        dimension = value.type.tensor_type.shape.dim.add()
        if size > 0:
            dimension.dim_value = size
        else:
            dimension.dim_param = "batch" if axis == 0 else f"{binding.name}_{axis}"


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its class where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
