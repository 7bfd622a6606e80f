"""The agent's own reading of ONNX files agrees with the onnx package."""

import pytest

from device_agent.engine import graph
from device_agent.errors import JobError

onnx = pytest.importorskip("onnx")


def save(path, nodes, outputs, weights=()):
    helper = onnx.helper
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
        list(weights),
    )
    path.write_bytes(helper.make_model(made).SerializeToString())
    return str(path)


def test_outputs_and_their_types(tmp_path):
    kinds = onnx.TensorProto
    outputs = [
        ("/head/Add_output_0", kinds.FLOAT, ["batch", 2]),
        ("ids", kinds.INT64, [1]),
        ("half", kinds.FLOAT16, []),
        ("mask", kinds.BOOL, None),
        ("text", kinds.STRING, [1]),
    ]
    weights = [onnx.helper.make_tensor("w", kinds.FLOAT, [70000], [0.5] * 70000)]
    path = save(tmp_path / "m.onnx", [onnx.helper.make_node("Relu", ["x"], ["y"])], outputs, weights)
    read = graph.read(path)
    assert [(one["name"], one["dtype"]) for one in read.outputs] == [
        ("/head/Add_output_0", "float32"),
        ("ids", "int64"),
        ("half", "float16"),
        ("mask", "bool"),
        ("text", None),
    ]
    assert read.quantized is False


def test_a_quantize_node_counts_and_a_mere_name_does_not(tmp_path):
    make = onnx.helper.make_node
    out = [("y", onnx.TensorProto.FLOAT, [1])]
    named = save(tmp_path / "named.onnx", [make("Relu", ["x"], ["y"], name="QuantizeLinear")], out)
    real = save(tmp_path / "real.onnx", [make("Relu", ["x"], ["r"]), make("QuantizeLinear", ["r", "s"], ["y"])], out)
    assert graph.read(named).quantized is False
    assert graph.read(real).quantized is True


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", b"\x08\x07", b"\xff" * 40])
def test_what_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(JobError) as caught:
        graph.read(str(path))
    assert caught.value.kind == "spec"


def test_no_cut_of_a_model_is_taken_for_a_whole_one(tmp_path):
    path = tmp_path / "m.onnx"
    save(path, [onnx.helper.make_node("Relu", ["x"], ["y"])], [("y", onnx.TensorProto.FLOAT, [1])])
    whole = path.read_bytes()
    outputs = graph.read(str(path)).outputs
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            cut = graph.read(str(path))
        except JobError:
            continue
        # Only fields after the graph (the opset) may be missing without a trace in the bytes.
        assert cut.outputs == outputs
