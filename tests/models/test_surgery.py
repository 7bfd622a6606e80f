"""What users may change in a graph, what that does to its inputs, outputs and reference, and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
import zoo

from orchestrator.errors import ModelError
from orchestrator.models.exports import Export, Exports
from orchestrator.models.references import read_launches
from orchestrator.models.spec import Binding
from orchestrator.models.surgery import operate

Make = Callable[..., Export]


@pytest.fixture
def graph(tmp_path: Path) -> onnx.ModelProto:
    """x -> first, bias, relu, second, softmax -> y, with tensors h0 to h3 between."""
    zoo.plain_onnx(tmp_path)
    model = onnx.load(tmp_path / "plain.onnx")
    model.ir_version = 7
    return onnx.shape_inference.infer_shapes(model)


def outputs(model: onnx.ModelProto, feed: dict) -> list:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, feed)


X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 6)


def test_rename(graph: onnx.ModelProto) -> None:
    steps = [{"rename_tensors": {"x": "image", "y": "scores", "h1": "hidden"}}, {"rename_nodes": {"relu": "act"}}]
    done = operate(graph, steps)
    assert [i.name for i in done.model.graph.input] == ["image"]
    assert [o.name for o in done.model.graph.output] == ["scores"]
    assert "act" in [node.name for node in done.model.graph.node]
    assert (done.origin("image"), done.origin("scores"), done.origin("h0")) == ("x", "y", "h0")
    np.testing.assert_array_equal(outputs(done.model, {"image": X})[0], outputs(graph, {"x": X})[0])
    assert [i.name for i in graph.graph.input] == ["x"]


def test_remove_bypasses_a_node(graph: onnx.ModelProto) -> None:
    inner = operate(graph, [{"remove": ["relu"]}]).model
    last = operate(graph, [{"remove": ["softmax"]}]).model
    assert [n.op_type for n in inner.graph.node] == ["MatMul", "Add", "MatMul", "Softmax"]
    assert [o.name for o in last.graph.output] == ["y"]
    shown = onnx.ModelProto()
    shown.CopyFrom(graph)
    shown.graph.output.append(onnx.ValueInfoProto(name="h3"))
    np.testing.assert_allclose(outputs(last, {"x": X})[0], outputs(shown, {"x": X})[1], rtol=1e-6)


def test_cut_keeps_the_part_between(graph: onnx.ModelProto) -> None:
    part = operate(graph, [{"cut": {"inputs": ["h1"], "outputs": ["h3"]}}]).model
    assert [n.op_type for n in part.graph.node] == ["Relu", "MatMul"]
    hidden = np.ones((2, 12), np.float32)
    assert outputs(part, {"h1": hidden})[0].shape == (2, 3)


def test_fix_a_shape_and_set_an_attribute(graph: onnx.ModelProto) -> None:
    done = operate(graph, [{"shape": {"x": [2, 6]}}, {"attributes": {"softmax": {"axis": 0}}}]).model
    assert [d.dim_value for d in done.graph.input[0].type.tensor_type.shape.dim] == [2, 6]
    np.testing.assert_allclose(outputs(done, {"x": X})[0].sum(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("step", "what", "why"),
    [
        ({"remove": ["sofmax"]}, "no node named 'sofmax'", "nearest node names: softmax"),
        ({"rename_tensors": {"h9": "z"}}, "no tensor named 'h9'", "h"),
        ({"rename_tensors": {"h1": "h2"}}, "a tensor named 'h2' is there already", ""),
        ({"rename_nodes": {"relu": "bias"}}, "a node named 'bias' is there already", ""),
        ({"cut": {"inputs": ["h3"], "outputs": ["h1"]}}, "also needs tensor 'x'", "h3"),
        ({"cut": {"outputs": ["hidden"]}}, "no tensor named 'hidden'", ""),
        ({"shape": {"x": [1, 2, 3]}}, "has 2 dimensions", ""),
        ({"attributes": {"softmax": {"axes": 1}}}, "has no attribute 'axes'", "it has: axis"),
    ],
)
def test_what_cannot_be_done_is_explained(graph: onnx.ModelProto, step: dict, what: str, why: str) -> None:
    with pytest.raises(ModelError) as caught:
        operate(graph, [{"rename_nodes": {"first": "one"}}, step])
    assert caught.value.what.startswith("surgery step 2 (")
    assert what in caught.value.what
    assert why in caught.value.why


class TestInAnExport:
    def test_names_only_keep_pytorchs_reference(self, make: Make, exports: Exports, tmp_path: Path) -> None:
        steps = [{"rename_tensors": {"x": "tokens", "output": "scores"}}]
        export = make(zoo.layernorm(tmp_path, surgery=steps))
        assert export.inputs == (Binding("tokens", "float32", (2, 7, 16)),)
        assert export.reference.origin == {"scores": "pytorch"}
        (launch, *_) = read_launches(exports.store.path(export.reference.digest))
        assert (set(launch.inputs), set(launch.outputs)) == ({"tokens"}, {"scores"})

    def test_a_removed_softmax_changes_the_reference(self, make: Make, exports: Exports, tmp_path: Path) -> None:
        plain = make(zoo.plain_onnx(tmp_path / "a"))
        export = make(zoo.plain_onnx(tmp_path / "b", surgery=[{"remove": ["softmax"]}]))
        assert "Softmax" in plain.operators
        assert "Softmax" not in export.operators
        (launch, *_) = read_launches(exports.store.path(export.reference.digest))
        (before, *_) = read_launches(exports.store.path(plain.reference.digest))
        exponent = np.exp(launch.outputs["y"])
        softmax = exponent / exponent.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(softmax, before.outputs["y"], rtol=1e-4)

    def test_a_node_removed_in_the_middle_is_recorded(self, make: Make, tmp_path: Path) -> None:
        path = zoo.overflow(tmp_path)
        relus = make(path).operators["Relu"]
        data = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump({**data, "surgery": [{"remove": [relus[0]]}]}))
        export = make(path)
        (step,) = [step for step in export.steps if step["step"] == "surgery"]
        assert step["kept"]
        assert export.reference.origin in ({"output": "onnxruntime"}, {"output": "pytorch"})
        changed = step["errors"]["output"]["l0"] > 0
        assert changed == (export.reference.origin == {"output": "onnxruntime"})

    def test_new_inputs_have_the_profile_that_the_network_had_there(
        self, make: Make, exports: Exports, tmp_path: Path
    ) -> None:
        path = zoo.plain_onnx(
            tmp_path, batches=[{"min": 1, "opt": 2, "max": 8}], surgery=[{"cut": {"inputs": ["h1"], "outputs": ["h3"]}}]
        )
        export = make(path)
        assert export.inputs == (Binding("h1", "float32", (-1, 12), (1, 12), (2, 12), (8, 12)),)
        (launch,) = read_launches(exports.store.path(export.reference.digest))
        assert launch.inputs["h1"].shape == (8, 12)
        assert launch.outputs["h3"].shape == (8, 3)

    def test_half_after_a_cut(self, make: Make, exports: Exports, tmp_path: Path) -> None:
        names = make(zoo.layernorm(tmp_path / "a"), 17).operators
        cut = f"{names['LayerNormalization'][1].rsplit('/', 1)[0]}/LayerNormalization_output_0"
        export = make(zoo.layernorm(tmp_path / "b", half=True, surgery=[{"cut": {"outputs": [cut]}}]), 17)
        assert export.outputs[0]["dtype"] == "float16"
        (launch, *_) = read_launches(exports.store.path(export.reference.digest))
        assert launch.outputs[cut].dtype == np.float32
