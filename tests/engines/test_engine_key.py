"""The engine key changes with everything that decides an engine, and says what changed."""

import pytest

from orchestrator.engines.key import LABELS, changes, engine_key, engine_parts, source_changes

FACTS = {
    "tensorrt": "8.5.2",
    "cuda": "11.4",
    "cudnn": "8.6.0.166",
    "l4t": "35.4.1",
    "module": "Jetson Xavier NX",
    "compute_capability": "7.2",
}


def parts(**changed):
    facts = {**FACTS, **changed.pop("facts", {})}
    base = {"onnx": "a" * 64, "precision": "fp16", "shapes": {"x": [1, 3]}, "options": {"workspace": "auto"}}
    return engine_parts(**{**base, "tool": "trtexec", "power_mode": "MAXN", **changed}, facts=facts)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"onnx": "b" * 64}, "ONNX graph changed"),
        ({"precision": "fp32"}, "precision fp16 -> fp32"),
        ({"shapes": {"x": [2, 3]}}, "shapes changed: x [1,3] -> [2,3]"),
        ({"options": {"workspace": 256}}, "build options changed: workspace auto -> 256"),
        ({"tool": "polygraphy"}, "build tool trtexec -> polygraphy"),
        ({"power_mode": "MODE_15W"}, "power mode MAXN -> MODE_15W"),
        ({"calibration": "c" * 64}, "calibration changed"),
        ({"facts": {"tensorrt": "10.3.0"}}, "TensorRT 8.5.2 -> 10.3.0"),
        ({"facts": {"cuda": "12.6"}}, "CUDA 11.4 -> 12.6"),
        ({"facts": {"cudnn": None}}, "cuDNN 8.6.0.166 -> none"),
        ({"facts": {"l4t": "35.5.0"}}, "L4T 35.4.1 -> 35.5.0"),
        ({"facts": {"module": "Jetson AGX Xavier"}}, "module Jetson Xavier NX -> Jetson AGX Xavier"),
        ({"facts": {"compute_capability": "8.7"}}, "compute capability 7.2 -> 8.7"),
    ],
)
def test_each_part_changes_the_key_and_is_named(change, words):
    assert engine_key(parts(**change)) != engine_key(parts())
    assert changes(parts(), parts(**change)) == [words]


def test_every_part_has_a_label():
    assert set(parts()) == set(LABELS)


def test_the_key_does_not_depend_on_the_order_of_parts():
    assert engine_key(dict(reversed(parts().items()))) == engine_key(parts())


def test_sources_say_why_a_graph_differs():
    old = {"checkpoint": "a", "code": {"model.py": "1", "layers.py": "1"}, "opset": 13, "surgery": []}
    assert source_changes(old, {**old, "checkpoint": "b"}) == ["weights changed"]
    assert source_changes(old, {**old, "code": {"model.py": "2", "layers.py": "1"}}) == [
        "model code changed (model.py)"
    ]
    assert source_changes(old, {**old, "opset": 16}) == ["opset 13 -> 16"]
    assert source_changes(old, {**old, "surgery": [{"rename": "x"}]}) == ["surgery changed"]
