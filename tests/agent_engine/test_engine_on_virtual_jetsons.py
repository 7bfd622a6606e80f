"""The engine code against the lab's trtexec: written from the same facts by other hands, and it really computes."""

import json
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.lab

LAB = Path(__file__).resolve().parents[2] / "orchestrator" / "lab"
# The others have no TensorRT yet, or one that cannot be judged: they are for provisioning.
PROFILES = (
    "agx-orin-jetpack-6.0",
    "agx-xavier-jetpack-4.6",
    "nano-jetpack-4.6.1",
    "orin-nano-jetpack-6.2",
    "xavier-nx-jetpack-5.1.2",
)


def virtual(device, name):
    """Put the lab's trtexec of this virtual Jetson in the place of the fake."""
    root = device.folder / "virtual"
    (root / ".lab").mkdir(parents=True)
    profile = yaml.safe_load((LAB / "profiles" / f"{name}.yml").read_text())
    (root / ".lab" / "profile.json").write_text(json.dumps(profile))
    environment = f"FLEET_LAB_ROOT='{root}' FLEET_LAB_BUILD_SECONDS=0.2"
    subprocess.run(
        f"{environment} FLEET_LAB_UID=0 '{sys.executable}' '{LAB}/tools/boot.py'", shell=True, check=True, timeout=60
    )
    device.trtexec.write_text(
        f"#!/bin/sh\n{environment} FLEET_LAB_UID=1000 exec '{sys.executable}' '{LAB}/tools/trtexec.py' \"$@\"\n"
    )
    return profile


def model(operator="Relu"):
    """y = x * 1000 through `operator`, ids_out = ids + ids; a dynamic batch and an int64 input."""
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node(operator, ["x"], ["r"]),
        helper.make_node("Mul", ["r", "k"], ["y"]),
        helper.make_node("Add", ["ids", "ids"], ["ids_out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("x", kinds.FLOAT, ["batch", 2]),
            helper.make_tensor_value_info("ids", kinds.INT64, ["batch"]),
        ],
        [
            helper.make_tensor_value_info("y", kinds.FLOAT, ["batch", 2]),
            helper.make_tensor_value_info("ids_out", kinds.INT64, ["batch"]),
        ],
        [helper.make_tensor("k", kinds.FLOAT, [1], [1000.0])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    return made.SerializeToString()


INPUTS = [
    {"name": "x", "dtype": "float32", "shape": [-1, 2], "min": [1, 2], "opt": [2, 2], "max": [4, 2]},
    {"name": "ids", "dtype": "int64", "shape": [-1], "min": [1], "opt": [2], "max": [4]},
]


@pytest.mark.parametrize("name", PROFILES)
def test_an_engine_is_built_run_and_measured(device, name):
    profile = virtual(device, name)
    ten = int(profile["tensorrt"]["version"].split(".")[0]) >= 10
    code = "q" if ten else "i"
    inputs = [
        {"name": "x", "blob": device.floats(1.5, -2, 0.25, 100), "dtype": "float32", "shape": [2, 2]},
        {
            "name": "ids",
            "blob": device.blob(struct.pack(f"<2{code}", 7, -8)),
            "dtype": "int64" if ten else "int32",
            "shape": [2],
        },
    ]
    shapes = {"x": [2, 2], "ids": [2]}
    spec = device.build_spec(onnx=device.blob(model()), inputs=INPUTS, precision="fp16", timing_cache="bucket")
    built, ran, measured = device.steps(
        ("build", spec),
        ("run", {"key": "k" * 64, "launches": [{"inputs": inputs}], "outputs": None}),
        ("measure", {"key": "k" * 64, "shapes": shapes, "warmup_ms": 20, "duration_s": 1, "iterations": 10}),
    )
    assert built["result"]["build"]["tensorrt"] == profile["tensorrt"]["version"]
    outputs = {one["name"]: one for one in ran["result"]["launches"][0]["outputs"]}
    assert outputs["ids_out"]["dtype"] == ("int64" if ten else "int32")
    assert struct.unpack(f"<2{code}", Path(outputs["ids_out"]["path"]).read_bytes()) == (14, -16)
    y = struct.unpack("<4f", Path(outputs["y"]["path"]).read_bytes())
    assert y[:3] == (1500, 0, 250) and y[3] == float("inf")  # 100 000 is beyond fp16
    assert (outputs["y"]["nan"], outputs["y"]["inf"]) == (0, 1)
    assert measured["result"]["queries"] == len(measured["result"]["latency_ms"]) >= 10
    assert all(
        0 < gpu <= all_of_it
        for gpu, all_of_it in zip(measured["result"]["gpu_ms"], measured["result"]["latency_ms"], strict=True)
    )
    assert measured["result"]["throughput_per_s"] > 0


def test_an_operator_that_the_parser_lacks_is_named(device):
    virtual(device, "nano-jetpack-4.6.1")
    error = device.bad("build", device.build_spec(onnx=device.blob(model("Mish")), inputs=INPUTS))
    assert error["kind"] == "parser" and error["operator"] == "Mish" and error["node"] == 0
