"""A step that changes what a graph computes is dropped and named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import zoo

from orchestrator.models import sanitize as sanitize_module
from orchestrator.models.numerics import GRAPH, HALF, compare, objection
from orchestrator.models.sanitize import sanitize

X = {"x": np.linspace(-1, 1, 12, dtype=np.float32).reshape(2, 6)}


@pytest.fixture
def graph(tmp_path: Path) -> onnx.ModelProto:
    zoo.plain_onnx(tmp_path)
    model = onnx.load(tmp_path / "plain.onnx")
    model.ir_version = 7
    return onnx.shape_inference.infer_shapes(model)


def scale_weights(model: Any) -> Any:
    weights = model.graph.initializer[0]
    weights.raw_data = (np.frombuffer(weights.raw_data, np.float32) * np.float32(1.01)).tobytes()
    return model


def poison(model: Any) -> Any:
    weights = model.graph.initializer[0]
    weights.raw_data = np.full(len(weights.raw_data) // 4, np.nan, np.float32).tobytes()
    return model


def raise_opset(model: Any) -> Any:
    model.opset_import[0].version += 1
    return model


def raise_ir(model: Any) -> Any:
    model.ir_version += 1
    return model


def rename_output(model: Any) -> Any:
    model.graph.output[0].name = model.graph.node[-1].output[0] = "z"
    return model


def break_down(model: Any) -> Any:
    raise KeyError("inside of a library")


def add_nodes(model: Any) -> Any:
    model.graph.node[-1].output[0] = "y0"
    model.graph.node.append(onnx.helper.make_node("Identity", ["y0"], ["y"], name="more"))
    return model


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (scale_weights, "of the elements are off by more than 0.0001 + 0.0001 x |reference|"),
        (poison, "new NaN in output 'y'"),
        (raise_opset, "changed the opset from 13 to 14"),
        (raise_ir, "raised the IR version"),
        (rename_output, "changed the outputs"),
        (break_down, "it failed: 'inside of a library'"),
        (add_nodes, "made the graph larger (5 to 6 nodes)"),
    ],
)
def test_a_bad_step_is_dropped_and_named(
    graph: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch, step: Any, reason: str
) -> None:
    monkeypatch.setattr(sanitize_module, "_simplify", step)
    before = graph.SerializeToString()
    model, steps = sanitize(graph, [X], GRAPH)
    dropped = steps[1]
    assert (dropped["step"], dropped["kept"]) == ("simplify", False)
    assert reason in dropped["reason"]
    assert [node.op_type for node in model.graph.node] == ["MatMul", "Add", "Relu", "MatMul", "Softmax"]
    assert steps[2]["step"] == "check"
    assert graph.SerializeToString() == before


def test_constants_are_folded(graph: onnx.ModelProto) -> None:
    two = onnx.numpy_helper.from_array(np.float32(2), "two")
    graph.graph.initializer.append(two)
    graph.graph.node.insert(0, onnx.helper.make_node("Mul", ["b1", "two"], ["b2"], name="constant"))
    graph.graph.node[2].input[1] = "b2"
    model, steps = sanitize(graph, [X], GRAPH, simplify=False)
    assert [step["step"] for step in steps] == ["fold constants", "check"]
    assert steps[0]["kept"]
    assert "Mul" not in {node.op_type for node in model.graph.node}


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ([1.0, 2.0, 3.0], {"l0": 0, "l1": 0, "l2": 0, "lInf": 0, "nan": 0, "inf": 0}),
        ([1.0, 2.0, 4.0], {"l0": 1 / 3, "l1": 1 / 6, "l2": 1 / 14**0.5, "lInf": 1}),
        ([1.0, 2.0, np.nan], {"l0": 1 / 3, "nan": 1, "inf": 0, "lInf": 0}),
        ([-np.inf, 2.0, 3.0], {"l0": 1 / 3, "nan": 0, "inf": 1}),
    ],
)
def test_the_metrics(other: list[float], expected: dict) -> None:
    metrics = compare(np.array([1.0, 2.0, 3.0]), np.array(other), GRAPH)
    assert {key: metrics[key] for key in expected} == pytest.approx(expected)


def test_infinities_of_the_reference_are_no_news() -> None:
    values = np.array([np.inf, np.nan, 1.0])
    assert objection({"y": compare(values, values, GRAPH)}, GRAPH) is None
    assert "1 new Inf" in str(objection({"y": compare(np.array([1.0]), np.array([np.inf]), HALF)}, HALF))


def test_the_cosine_guards_small_values() -> None:
    """Values below atol are never outside of it, so only the cosine sees that they are wrong."""
    small = np.array([1e-5, -1e-5, 1e-5])
    assert "cosine" in str(objection({"y": compare(small, -small, GRAPH)}, GRAPH))
