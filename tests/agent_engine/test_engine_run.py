"""Inputs that must be refused, outputs that must survive, engines that do not fit."""

import struct
from pathlib import Path

import pytest
from engine_device import FLOAT32, INT8, INT64, onnx_model

from device_agent.engine import tensors
from device_agent.errors import JobError

FLOAT = {"dtype": "float32", "shape": [1, 4]}


def launch(*inputs, **changes):
    """A run spec of one launch; inputs are (name, blob, dtype, shape)."""
    keys = ("name", "blob", "dtype", "shape")
    return {"key": "k" * 64, "launches": [{"inputs": [dict(zip(keys, one, strict=True)) for one in inputs]}], **changes}


def built(device, version, onnx_inputs=None, **scenario):
    """A device with an engine, whose fake network has these inputs {name: binding type and shape}."""
    spec = device.build_spec()
    if onnx_inputs:
        spec["inputs"] = onnx_inputs
    scenario.setdefault("inputs", {"x": FLOAT})
    device.fake(version, **scenario)
    device.good("build", spec)
    return device


@pytest.mark.parametrize("version", ["7.1", "8.2", "8.6", "10.3"])
def test_nan_and_inf_are_findings_not_crashes(device, python, version):
    device.python = python
    built(device, version, poison=True)
    result = device.good("run", launch(("x", device.floats(1, 1, 1, 1.5), "float32", [1, 4])))
    (output,) = result["launches"][0]["outputs"]
    assert (output["nan"], output["inf"]) == (1, 2)
    values = struct.unpack("<4f", Path(output["path"]).read_bytes())
    assert values[0] != values[0] and values[1:] == (float("inf"), float("-inf"), 3.0)
    assert output["size_bytes"] == 16 and len(output["sha256"]) == 64


@pytest.mark.parametrize("count", [3, 5, 8])
def test_short_long_and_doubled_inputs_are_refused(device, python, count):
    device.python = python
    built(device, "8.2")
    error = device.bad("run", launch(("x", device.floats(*range(count)), "float32", [1, 4])))
    assert error["kind"] == "spec" and str(4 * count) in error["what"] and "16" in error["why"]
    assert len(device.calls()) == 1  # the build


def test_a_missing_input_file_is_refused(device):
    built(device, "7.1")
    assert "not on the device" in device.bad("run", launch(("x", "0" * 64, "float32", [1, 4])))["what"]


@pytest.mark.parametrize(("version", "dtype"), [("8.5", "int32"), ("10.3", "int64")])
def test_int64_inputs_become_int32_before_tensorrt_10(device, python, version, dtype):
    device.python = python
    inputs = [{"name": "ids", "dtype": "int64", "shape": [3]}]
    built(device, version, inputs, inputs={"ids": {"dtype": dtype, "shape": [3]}})
    outputs = [{"name": "ids_out", "dtype": dtype}]
    spec = launch(("ids", device.blob(struct.pack("<3q", 1, -2, 3)), "int64", [3]), outputs=outputs)
    (output,) = device.good("run", spec)["launches"][0]["outputs"]
    assert output["dtype"] == dtype
    code = {"int32": "<3i", "int64": "<3q"}[dtype]
    assert struct.unpack(code, Path(output["path"]).read_bytes()) == (1, -2, 3)


def test_an_int64_that_does_not_fit_is_refused(device, python):
    device.python = python
    built(device, "8.5", [{"name": "ids", "dtype": "int64", "shape": [1]}])
    error = device.bad("run", launch(("ids", device.blob(struct.pack("<q", 1 << 40)), "int64", [1])))
    assert error["kind"] == "spec" and str(1 << 40) in error["why"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("y", "float32", [1, 4]), "no input 'y'"),
        (("x", "float32", [2, 4]), "takes 1 in dimension 0"),
        (("x", "float32", [4]), "2 dimensions"),
        (("x", "int32", [1, 4]), "takes float32"),
        (("x", "complex64", [1, 4]), "no engine takes that type"),
    ],
)
def test_inputs_that_do_not_belong_to_the_engine(device, given, text):
    built(device, "8.5")
    name, dtype, shape = given
    error = device.bad("run", launch((name, device.floats(1, 2, 3, 4), dtype, shape)))
    assert error["kind"] == "spec" and text in error["what"] + " " + error["why"]


def test_several_launches_are_kept_apart(device):
    built(device, "10.3")
    spec = launch(("x", device.floats(1, 1, 1, 1), "float32", [1, 4]))
    spec["launches"].append(launch(("x", device.floats(2, 2, 2, 2), "float32", [1, 4]))["launches"][0])
    first, second = device.good("run", spec)["launches"]
    assert Path(first["outputs"][0]["path"]).read_bytes() == struct.pack("<4f", 2, 2, 2, 2)
    assert Path(second["outputs"][0]["path"]).read_bytes() == struct.pack("<4f", 4, 4, 4, 4)


def test_awkward_names_travel(device):
    name = "onnx::Add_12/in put"
    built(device, "10.3", [dict(FLOAT, name=name)], inputs={name: FLOAT})
    (output,) = device.good("run", launch((name, device.floats(1, 2, 3, 4), "float32", [1, 4])))["launches"][0][
        "outputs"
    ]
    assert output["name"] == name + "_out"


def test_a_comma_in_a_name_is_refused(device):
    built(device, "10.3", [dict(FLOAT, name="a,b")])
    assert "commas" in device.bad("run", launch(("a,b", device.floats(1, 2, 3, 4), "float32", [1, 4])))["why"]


def test_raw_files_without_a_log_line_are_found_by_name(device):
    built(device, "8.6", raw="mute")
    (output,) = device.good("run", launch(("x", device.floats(1, 2, 3, 4), "float32", [1, 4])))["launches"][0][
        "outputs"
    ]
    assert (output["name"], output["shape"], output["exact"]) == ("x_out", [1, 4], True)


def test_raw_files_of_an_unknown_type_give_way_to_printed_values(device):
    built(device, "10.3", raw="unknown type")
    (output,) = device.good("run", launch(("x", device.floats(1, 2, 3, 4), "float32", [1, 4])))["launches"][0][
        "outputs"
    ]
    assert output["exact"] is False
    assert struct.unpack("<4f", Path(output["path"]).read_bytes()) == (2, 4, 6, 8)


def test_int8_outputs_of_old_releases_are_refused_with_the_reason(device):
    outputs = [{"name": "x_out", "dtype": "int8"}]
    spec = launch(("x", device.floats(1, 2, 3, 4), "float32", [1, 4]))
    built(device, "8.2")
    error = device.bad("run", dict(spec, outputs=outputs))
    assert error["kind"] == "tool" and "characters" in error["why"]
    built(device, "8.2", chars=True)
    error = device.bad("run", spec)
    assert error["kind"] == "tool" and "characters" in error["why"]


LOAD_FAILURES = [
    (
        "7.1",
        "coreReadArchive.cpp (38) - Serialization Error in verifyHeader: 0 (Version tag does not match)",
        "another TensorRT",
    ),
    (
        "7.1",
        "[TensorRT] ERROR: ../rtSafe/coreReadArchive.cpp (31) - Serialization Error in verifyHeader: 0 "
        "(Magic tag does not match)",
        "cut short",
    ),
    (
        "8.2",
        "1: [stdArchiveReader.cpp::StdArchiveReader::40] Error Code 1: Serialization (Serialization assertion "
        "stdVersionRead == serializationVersion failed.Version tag does not match. Note: Current Version: 213, "
        "Serialized Engine Version: 205)",
        "another TensorRT",
    ),
    (
        "10.3",
        "IRuntime::deserializeCudaEngine: Error Code 1: Serialization (Serialization assertion header.pad == "
        "expectedPlatformTag failed. Platform specific tag mismatch detected. TensorRT plan files are only supported "
        "on the target runtime platform they were created on.)",
        "another kind of machine",
    ),
    (
        "8.5",
        "6: The engine plan file is generated on an incompatible device, expecting compute 7.2 got compute 8.7, please "
        "rebuild.",
        "7.2 and 8.7",
    ),
]


@pytest.mark.parametrize(("version", "text", "meaning"), LOAD_FAILURES)
def test_an_engine_that_does_not_fit_says_why(device, version, text, meaning):
    built(device, version)
    symptom = (
        "4: [runtime.cpp::deserializeCudaEngine::50] Error Code 4: Internal Error (Engine deserialization failed.)"
    )
    device.fake(version, load_fails=[text, symptom])
    error = device.bad("run", launch(("x", device.floats(1, 2, 3, 4), "float32", [1, 4])))
    assert error["kind"] == "engine" and meaning in error["what"]
    assert error["why"] in text


def test_the_cause_wins_over_a_symptom_printed_before_it(device):
    built(device, "8.5")
    _, cause, _ = LOAD_FAILURES[4]
    device.fake("8.5", load_fails=["Engine deserialization failed", cause])
    error = device.bad("run", launch(("x", device.floats(1, 2, 3, 4), "float32", [1, 4])))
    assert "7.2 and 8.7" in error["what"]


def test_no_engine_at_all(device):
    device.fake("8.5")
    assert device.bad("run", launch())["kind"] == "engine"


def test_printed_values_of_every_odd_form():
    text = """[
  { "name" : "a"
  , "dimensions" : "1x4"
  , "values" : [ nan, -nan, inf, -1.5e-07 ]
  }
, { "name" : "n"
  , "dimensions" : "(2)"
  , "values" : [ 1, -2 ]
  }
, { "name" : "scalar", "dimensions" : "", "values" : [ 3 ] }
]"""
    a, n, scalar = tensors.parse_export(text, {"n": "int32"})
    assert a[:3] == ("a", "float32", [1, 4]) and a[3][2] == float("inf") and a[3][3] == pytest.approx(-1.5e-07)
    assert n[1:3] == ("int32", [2]) and list(n[3]) == [1, -2]
    assert scalar[2] == [] and list(scalar[3]) == [3]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[ ]",
        '[ { "name" : "a", "dimensions" : "4", "values" : [ 1, 2, 3 ] } ]',
        '[ { "name" : "a", "dimensions" : "4", "values" : [ 1, 2',
        '[ { "name" : "a", "dimensions" : "2", "values" : [ 1, ? ] } ]',
    ],
)
def test_printed_values_that_are_not_whole_are_refused(text):
    with pytest.raises(JobError) as caught:
        tensors.parse_export(text)
    assert caught.value.kind == "tool"


@pytest.mark.parametrize(
    ("dtype", "words", "counts"),
    [
        ("float16", [0x3C00, 0x7C00, 0xFC00, 0x7E00, 0xFE01], (2, 2)),
        ("bfloat16", [0x3F80, 0x7F80, 0x7FC0, 0xFF80, 0xFF81], (2, 2)),
        ("int64", [0x7FFF, 0xFFFF, 0xFFFF, 0x7C00], (0, 0)),
    ],
)
def test_nonfinite_values_are_counted_in_halves_too(tmp_path, dtype, words, counts):
    path = tmp_path / "raw.bin"
    path.write_bytes(struct.pack(f"<{len(words)}H", *words))
    assert tensors.count_nonfinite(str(path), dtype) == counts


def test_large_finite_floats_are_not_taken_for_infinite(tmp_path):
    path = tmp_path / "raw.bin"
    path.write_bytes(struct.pack("<2000f", *[3.4e38] * 2000))
    assert tensors.count_nonfinite(str(path), "float32") == (0, 0)


def test_types_of_printed_outputs_come_from_the_passport(device, python):
    device.python = python
    ids = {"dtype": "int32", "shape": [2]}
    device.fake("8.2", inputs={"ids": ids})
    spec = device.build_spec(
        inputs=[{"name": "ids", "dtype": "int64", "shape": [2]}], onnx=device.blob(onnx_model(ids_out=INT64))
    )
    device.good("build", spec)
    given = launch(("ids", device.blob(struct.pack("<2i", 2**31 - 1, -5)), "int32", [2]))
    (output,) = device.good("run", given)["launches"][0]["outputs"]
    assert (output["dtype"], output["exact"]) == ("int32", True)
    assert struct.unpack("<2i", Path(output["path"]).read_bytes()) == (2**31 - 1, -5)


def test_an_output_that_does_not_come_is_missed(device):
    device.fake("10.3", inputs={"x": FLOAT})
    device.good("build", device.build_spec(onnx=device.blob(onnx_model(x_out=FLOAT32, aux=FLOAT32))))
    error = device.bad("run", launch(("x", device.floats(1, 2, 3, 4), "float32", [1, 4])))
    assert error["kind"] == "tool" and "'aux'" in error["what"]


def test_an_int8_output_of_the_graph_is_refused_before_it_is_garbled(device):
    device.fake("8.2", inputs={"x": FLOAT})
    device.good("build", device.build_spec(onnx=device.blob(onnx_model(x_out=INT8))))
    error = device.bad("run", launch(("x", device.floats(1, 2, 3, 4), "float32", [1, 4])))
    assert error["kind"] == "tool" and "characters" in error["why"]
    assert len(device.calls()) == 1


def test_an_engine_for_a_dla_is_loaded_for_that_dla(device):
    device.fake("8.5", inputs={"x": FLOAT})
    device.good("build", device.build_spec(precision="fp16", options={"dla_core": 1}))
    device.good("run", launch(("x", device.floats(1, 2, 3, 4), "float32", [1, 4])))
    assert "--useDLACore=1" in device.calls()[-1]


def test_a_scalar_output_has_an_empty_shape(device):
    scalar = {"dtype": "float32", "shape": []}
    for raw in ("mute", "told"):
        built(device, "10.3", [dict(scalar, name="s")], inputs={"s": scalar}, raw=raw)
        (output,) = device.good("run", launch(("s", device.floats(4), "float32", [])))["launches"][0]["outputs"]
        assert (output["shape"], output["size_bytes"], output["exact"]) == ([], 4, True)
