"""Build, run and measure with the trtexec of every release, under every device Python."""

import csv
import struct
from pathlib import Path

import pytest
from engine_device import onnx_model

from device_agent.engine import flags, tool

VERSIONS = ["6.0", "7.0", "7.1", "8.0", "8.2", "8.4", "8.5", "8.6", "10.3", "10.13", "10.16", "11.1"]
CSV = Path(__file__).parent / "data" / "trtexec_flags.csv"
# Text searches miss flags that are read through helpers; --int8 of 11.1 is the safety builder's.
BY_HELPER = {"--minShapes", "--optShapes", "--maxShapes", "--shapes"}
NOT_READ_BY_TRTEXEC = {("11.1", "--int8")}


@pytest.mark.parametrize("version", VERSIONS)
def test_our_table_agrees_with_the_sources_of_each_release(version):
    with CSV.open() as stream:
        real = {row["flag"] for row in csv.DictReader(stream) if row[version]} | BY_HELPER
    real -= {flag for release, flag in NOT_READ_BY_TRTEXEC if release == version}
    ours = flags.of_release(tuple(int(n) for n in version.split(".")))
    assert ours == real & set(flags.RELEASES)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_engine_is_built_run_and_measured(device, python, version):
    device.python = python
    device.fake(version, inputs={"x": {"dtype": "float32", "shape": [1, 4]}})
    run = {
        "key": "k" * 64,
        "launches": [
            {"inputs": [{"name": "x", "blob": device.floats(1, 2.5, -3, 0.125), "dtype": "float32", "shape": [1, 4]}]}
        ],
        "outputs": None,
    }
    measure = {"key": "k" * 64, "shapes": {}, "warmup_ms": 100, "duration_s": 0.5, "iterations": 20}
    steps = [("build", device.build_spec()), ("measure", measure), ("run", run)]
    built, measured, ran = device.steps(*steps)

    argv = device.calls()[0]
    workspace = [flag for flag in argv if "orkspace" in flag]
    number = tuple(int(n) for n in version.split("."))
    assert workspace == ["--memPoolSize=workspace:256" if number >= (8, 4) else "--workspace=256"]
    assert ("--skipInference" in argv) == (number >= (8, 6))
    assert ("--explicitBatch" in argv) == (number < (8, 2))
    assert ("--noTF32" in argv) == (number >= (7, 1))
    result = built["result"]
    assert result["engine"]["size_bytes"] == len(b"engine:" + onnx_model())
    assert device.engine_files() == ["build.log", "model.engine", "passport.json"]
    passport = device.passport()
    assert passport["engine"]["sha256"] == result["engine"]["sha256"] and passport["verdict"] is None
    assert passport["build"]["workspace_mib"] == 256

    latency = measured["result"]["latency_ms"]
    assert len(latency) == measured["result"]["queries"] == 20
    assert latency[0] == pytest.approx(2.5) and latency[-1] == pytest.approx(2.69)
    assert measured["result"]["gpu_ms"][0] == pytest.approx(2.0)
    assert measured["result"]["throughput_per_s"] == pytest.approx(33.3)
    assert measured["result"]["wall_s"] == pytest.approx(1.5)
    assert measured["result"]["warnings"] == []
    assert (
        ("--includeDataTransfers" in device.calls()[1]) == ("--noCudaGraph" in device.calls()[1]) == (number >= (11,))
    )

    if number < (7, 0):
        assert ran["error"]["kind"] == "tool" and "--loadInputs" in ran["error"]["why"]
        return
    (output,) = ran["result"]["launches"][0]["outputs"]
    assert output["name"] == "x_out" and output["shape"] == [1, 4] and output["dtype"] == "float32"
    assert struct.unpack("<4f", Path(output["path"]).read_bytes()) == (2, 5, -6, 0.25)
    assert output["exact"] == (number >= (8, 6))
    assert (output["nan"], output["inf"]) == (0, 0)


@pytest.mark.parametrize("version", ["7.1", "8.2", "10.3", "11.1"])
def test_dynamic_shapes_are_given_when_building_and_when_running(device, version):
    device.fake(version, inputs={"x": {"dtype": "float32", "shape": [2, 3]}})
    inputs = [
        {"name": "x", "dtype": "float32", "shape": [-1, 3], "min": [1, 3], "opt": [2, 3], "max": [8, 3]},
    ]
    run = {
        "key": "k" * 64,
        "launches": [
            {"inputs": [{"name": "x", "blob": device.floats(*range(6)), "dtype": "float32", "shape": [2, 3]}]}
        ],
    }
    _, ran = device.steps(("build", device.build_spec(inputs=inputs)), ("run", run))
    build_argv, run_argv = device.calls()
    assert {"--minShapes=x:1x3", "--optShapes=x:2x3", "--maxShapes=x:8x3"} <= set(build_argv)
    assert "--shapes=x:2x3" in run_argv
    assert ran["result"]["launches"][0]["outputs"][0]["shape"] == [2, 3]


def test_flags_of_the_facts_spare_reading_the_help(device):
    device.fake("8.2")
    device.good("build", device.build_spec(flags=sorted(flags.of_release((8, 2)))))
    assert "--help" not in (device.bin / "calls.jsonl").read_text()


def test_an_unreadable_help_falls_back_to_the_table(device):
    device.fake("8.2", dead=True)
    error = device.bad("build", device.build_spec(tensorrt="8.2.1"))
    assert error["kind"] == "tool" and error["rc"] == 127
    assert any(argv for argv in device.calls() if "--workspace=256" in argv and "--buildOnly" in argv)


def test_without_help_or_version_nothing_is_guessed(device):
    device.fake("8.2", dead=True)
    error = device.bad("build", device.build_spec())
    assert error["kind"] == "tool" and "--help" in error["why"]
    assert device.calls() == []


def test_only_flags_that_begin_a_line_of_the_help_count():
    text = """
  --onnx=<file>      model
  --help, -h         this
                     superseded by --memPoolSize flag
  --fp16  Enable (see --int8)
"""
    assert tool.read_help(text) == {"--onnx", "--help", "-h", "--fp16"}


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("&&&& RUNNING TensorRT.trtexec [TensorRT v8201] # trtexec", (8, 2, 1)),
        ("&&&& RUNNING TensorRT.trtexec [TensorRT v101602] [b10] # trtexec --help", (10, 16, 2)),
        ("&&&& RUNNING TensorRT.trtexec # trtexec", None),
    ],
)
def test_the_version_is_read_from_the_banner(banner, version):
    assert tool.banner_version(banner) == version


@pytest.mark.parametrize(
    ("version", "precision", "typed", "expected"),
    [
        ("8.2", "fp16", False, ["--fp16"]),
        ("8.2", "fp32", False, ["--noTF32"]),
        ("7.0", "fp32", False, []),
        ("10.3", "fp16", True, ["--stronglyTyped"]),
        ("10.3", "int8", False, ["--int8"]),
        ("11.1", "fp16", False, None),
        ("11.1", "fp32", False, ["--noTF32"]),
        ("11.1", "fp16", True, ["--stronglyTyped"]),
    ],
)
def test_precision_flags_follow_the_release(version, precision, typed, expected):
    has = flags.of_release(tuple(int(n) for n in version.split(".")))
    assert flags.precision(has, precision, typed) == expected


def test_the_help_is_read_once_per_binary(device):
    device.fake("8.2")
    device.good("build", device.build_spec())
    device.good("build", device.build_spec(trtexec={"path": str(device.trtexec), "version": "8.2.1", "flags": []}))
    started = (device.bin / "calls.jsonl").read_text()
    assert started.count("--help") == 1
    device.trtexec.write_text(device.trtexec.read_text() + "\n# an update\n")
    device.good("build", device.build_spec())
    assert (device.bin / "calls.jsonl").read_text().count("--help") == 2
