"""Lowers an ONNX graph to what an engine computes: int32 bindings, fp16 rounding after every node, int8 steps.

ONNX Runtime computes everything in fp32 here; a Cast pair behind each float tensor makes fp16's rounding and its
overflow to infinity happen where an engine has them.
"""

from __future__ import annotations

import fnmatch
import re
import struct
from collections.abc import Sequence
from typing import Any

INT8_OPERATORS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}


def narrow_bindings(model: Any, int64: bool) -> None:
    """Make float64 inputs and outputs float32, and int64 ones int32 where asked (TensorRT before 10)."""
    from onnx import TensorProto, helper

    narrower = {TensorProto.DOUBLE: TensorProto.FLOAT}
    if int64:
        narrower[TensorProto.INT64] = TensorProto.INT32
    graph = model.graph
    first, last = [], []
    for value in inputs(model):
        wide = value.type.tensor_type.elem_type
        if wide in narrower:
            inner = f"{value.name}__wide"
            _rename_uses(graph, value.name, inner)
            first.append(helper.make_node("Cast", [value.name], [inner], name=f"{inner}_cast", to=wide))
            value.type.tensor_type.elem_type = narrower[wide]
    for value in graph.output:
        wide = value.type.tensor_type.elem_type
        if wide in narrower:
            inner = f"{value.name}__wide_out"
            _rename_result(graph, value.name, inner)
            last.append(helper.make_node("Cast", [inner], [value.name], name=f"{inner}_cast", to=narrower[wide]))
            value.type.tensor_type.elem_type = narrower[wide]
    _rewrite(graph, [*first, *graph.node, *last])


def to_fp16(model: Any, kept: Sequence[str] = ()) -> None:
    """Round inputs, weights and the result of every node to fp16 and back; beyond 65504 that is infinity.

    Args:
        kept: layers (names, `*` for any text) that stay in fp32, with their weights.
    """
    import numpy as np
    from onnx import AttributeProto, TensorProto, helper, numpy_helper, shape_inference

    def rounded(tensor: Any) -> None:
        if tensor.data_type == TensorProto.FLOAT:
            with np.errstate(over="ignore"):
                values = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    graph = model.graph
    floats = _float_tensors(shape_inference.infer_shapes(model), TensorProto.FLOAT)
    # Scales are attributes of a layer, not tensors: rounded, they could change its output's shape.
    scales = {name for node in graph.node if node.op_type in ("Resize", "Upsample") for name in node.input[1:]}
    full = {n for n, node in enumerate(graph.node) if any(fnmatch.fnmatchcase(node.name, like) for like in kept)}
    scales.update(name for n in full for name in graph.node[n].input)
    for initializer in graph.initializer:
        if initializer.name not in scales:
            rounded(initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR and not scales.intersection(node.output):
                rounded(attribute.t)

    def pair(source: str, target: str) -> list[Any]:
        half = f"{target}__half"
        return [
            helper.make_node("Cast", [source], [half], name=f"{half}_cast", to=TensorProto.FLOAT16),
            helper.make_node("Cast", [half], [target], name=f"{half}_back", to=TensorProto.FLOAT),
        ]

    nodes = []
    for value in inputs(model):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            inner = f"{value.name}__in"
            _rename_uses(graph, value.name, inner)
            nodes += pair(value.name, inner)
    for n, node in enumerate(graph.node):
        nodes.append(node)
        if node.op_type in ("Constant", "Cast") or n in full:
            continue
        for place, name in enumerate(node.output):
            if name in floats:
                node.output[place] = f"{name}__full"
                nodes += pair(node.output[place], name)
    _rewrite(graph, nodes)


def calibrate(model: Any, shapes: dict[str, list[int]]) -> dict[str, float]:
    """Scales of the tensors that int8 layers read, from one batch of random inputs in [-1, 1].

    That is what trtexec does without a calibration cache: the engine is fit for timing, its outputs are not good.
    """
    import numpy as np
    import trt_runtime
    from onnx import TensorProto, helper

    names = _int8_inputs(model)
    probe = type(model)()
    probe.CopyFrom(model)
    have = {value.name for value in probe.graph.output}
    for name in names:
        if name not in have:
            probe.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = trt_runtime.session(probe.SerializeToString(), exact=True)
    random = np.random.default_rng(0)
    feed = {}
    for value in session.get_inputs():
        dtype = trt_runtime.NUMPY[value.type]
        shape = shapes.get(value.name) or [n if isinstance(n, int) and n > 0 else 1 for n in value.shape]
        values = random.uniform(-1, 1, shape)
        feed[value.name] = values.astype(dtype) if dtype.startswith("float") else np.zeros(shape, dtype)
    results = dict(zip([o.name for o in session.get_outputs()], session.run(None, feed), strict=True))
    results.update(feed)
    return {name: max(float(np.abs(results[name]).max()), 1e-8) / 127 for name in names if name in results}


def read_calibration(text: str) -> dict[str, float]:
    """Scales of a TensorRT calibration cache: lines `name: 3c010a14`, a big-endian hexadecimal float each."""
    scales = {}
    for line in text.splitlines()[1:]:
        match = re.fullmatch(r"\s*(.+): ([0-9a-fA-F]{8})\s*", line)
        if match:
            scales[match[1]] = struct.unpack(">f", bytes.fromhex(match[2]))[0]
    return scales


def to_int8(model: Any, scales: dict[str, float]) -> None:
    """Quantise symmetrically what convolutions and products read: activations by `scales`, weights by their maximum."""
    import numpy as np
    from onnx import TensorProto, numpy_helper

    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    nodes: list[Any] = []
    done: dict[str, str] = {}
    quantised: set[str] = set()
    for node in graph.node:
        if node.op_type in INT8_OPERATORS:
            for place, name in enumerate(node.input[:2]):
                if name in weights and name not in quantised:
                    quantised.add(name)
                    values = numpy_helper.to_array(weights[name])
                    axes = tuple(range(1, values.ndim)) if node.op_type == "Conv" else None
                    step = np.maximum(np.abs(values).max(axis=axes, keepdims=True), 1e-8) / 127
                    new = (np.clip(np.round(values / step), -127, 127) * step).astype(np.float32)
                    weights[name].CopyFrom(numpy_helper.from_array(new, name))
                elif name in scales and scales[name] > 0:
                    if name not in done:
                        done[name] = f"{name}__int8"
                        nodes += _fake_quantise(graph, name, done[name], scales[name])
                    node.input[place] = done[name]
        nodes.append(node)
    _rewrite(graph, nodes)


def _fake_quantise(graph: Any, source: str, target: str, scale: float) -> list[Any]:
    import numpy as np
    from onnx import helper, numpy_helper

    constants = {"scale": np.float32(scale), "low": np.float32(-127), "high": np.float32(127)}
    for key, value in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.array(value), f"{target}_{key}"))
    steps = [
        ("Div", [source, f"{target}_scale"], f"{target}_div"),
        ("Max", [f"{target}_div", f"{target}_low"], f"{target}_max"),
        ("Min", [f"{target}_max", f"{target}_high"], f"{target}_min"),
    ]
    nodes = [helper.make_node(op, args, [out], name=out) for op, args, out in steps]
    nodes.append(helper.make_node("Round", [f"{target}_min"], [f"{target}_round"], name=f"{target}_round"))
    nodes.append(helper.make_node("Mul", [f"{target}_round", f"{target}_scale"], [target], name=target))
    return nodes


def _int8_inputs(model: Any) -> list[str]:
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {node.output[0] for node in model.graph.node if node.op_type == "Constant"}
    names = [name for node in model.graph.node if node.op_type in INT8_OPERATORS for name in node.input[:2]]
    return [name for name in dict.fromkeys(names) if name not in constants]


def inputs(model: Any) -> list[Any]:
    """Real inputs: initializers that old exporters list as inputs are not."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in constants]


def _float_tensors(model: Any, float_type: int) -> set[str]:
    values = [*model.graph.value_info, *model.graph.output, *model.graph.input]
    return {value.name for value in values if value.type.tensor_type.elem_type == float_type}


def _rename_uses(graph: Any, old: str, new: str) -> None:
    from onnx import AttributeProto

    for node in graph.node:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                _rename_uses(attribute.g, old, new)


def _rename_result(graph: Any, old: str, new: str) -> None:
    _rename_uses(graph, old, new)
    for node in graph.node:
        for place, name in enumerate(node.output):
            if name == old:
                node.output[place] = new


def _rewrite(graph: Any, nodes: list[Any]) -> None:
    copies = []
    for node in nodes:
        copy = type(node)()
        copy.CopyFrom(node)
        copies.append(copy)
    del graph.node[:]
    graph.node.extend(copies)


def widen_half(model: Any, allowed: bool) -> bool:
    """Turn a graph of fp16 tensors into an fp32 one with fp16 bindings, to be rounded by `to_fp16`.

    Returns:
        False, with nothing changed, where fp16 was not `allowed`.
    """
    import numpy as np
    from onnx import AttributeProto, TensorProto, helper, numpy_helper

    if not allowed:
        return False
    graph = model.graph

    def widen(tensor: Any) -> None:
        if tensor.data_type == TensorProto.FLOAT16:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))

    for initializer in graph.initializer:
        widen(initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                widen(attribute.t)
            elif node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
    first, last = [], []
    for value in inputs(model):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            inner = f"{value.name}__fp32"
            _rename_uses(graph, value.name, inner)
            first.append(helper.make_node("Cast", [value.name], [inner], name=inner, to=TensorProto.FLOAT))
    for value in graph.output:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16:
            inner = f"{value.name}__fp32_out"
            _rename_result(graph, value.name, inner)
            last.append(helper.make_node("Cast", [inner], [value.name], name=inner, to=TensorProto.FLOAT16))
    del graph.value_info[:]
    _rewrite(graph, [*first, *graph.node, *last])
    return True
