"""trtexec of every release: its flags and traps, and numbers that come from really running the network."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

NANO, XAVIER, NX = "nano-jetpack-4.6.1", "agx-xavier-jetpack-4.6", "xavier-nx-jetpack-5.1.2"
ORIN_NANO, AGX_ORIN = "orin-nano-jetpack-6.2", "agx-orin-jetpack-6.0"
EVERY = [NANO, XAVIER, NX, ORIN_NANO, AGX_ORIN]
BUILD_ONLY = {NANO: "--buildOnly", XAVIER: "--buildOnly", NX: "--buildOnly"}
ONE_QUERY = ["--iterations=1", "--duration=0", "--warmUp=0"]


@pytest.fixture
def bench(device, tmp_path):
    """`bench(profile)(*args)` runs that device's trtexec as its user, in a folder with the models."""

    def make(name: str):
        board = device(name)

        def trtexec(*args: str, seconds: str = "0.05", env: dict[str, str] | None = None):
            variables = {"FLEET_LAB_BUILD_SECONDS": seconds, **(env or {})}
            return board.run("trtexec", *args, root=False, env=variables, cwd=tmp_path)

        trtexec.board = board
        trtexec.skip = BUILD_ONLY.get(name, "--skipInference")
        return trtexec

    return make


def _save(path: Path, nodes, inputs, outputs, weights=(), opset=13) -> str:
    graph = helper.make_graph(nodes, "g", inputs, outputs, [numpy_helper.from_array(a, n) for n, a in weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
    onnx.save(model, str(path))
    return path.name


@pytest.fixture
def mlp(tmp_path) -> str:
    """Two layers over a dynamic batch of 16 values: x -> y."""
    random = np.random.default_rng(5)
    first, second = (random.normal(size=shape).astype(np.float32) for shape in ((16, 32), (32, 4)))
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "w2"], ["y"], name="second"),
    ]
    value = helper.make_tensor_value_info
    weights = [("w1", first), ("w2", second)]
    io = [value("x", TensorProto.FLOAT, ["n", 16])], [value("y", TensorProto.FLOAT, ["n", 4])]
    np.save(tmp_path / "w1.npy", first)
    np.save(tmp_path / "w2.npy", second)
    return _save(tmp_path / "mlp.onnx", nodes, *io, weights)


PROFILE = ["--minShapes=x:1x16", "--optShapes=x:2x16", "--maxShapes=x:8x16"]


def _input(tmp_path: Path, batch: int = 2) -> np.ndarray:
    x = np.random.default_rng(9).normal(size=(batch, 16)).astype(np.float32)
    (tmp_path / "x.bin").write_bytes(x.tobytes())
    return x


def _exported(tmp_path: Path) -> np.ndarray:
    text = (tmp_path / "out.json").read_text()
    return np.array([float(v) for v in re.search(r'"values" : \[ (.*) \]', text)[1].split(", ")])


def _build_and_run(trtexec, tmp_path: Path, *flags: str) -> np.ndarray:
    built = trtexec("--onnx=mlp.onnx", "--saveEngine=m.engine", trtexec.skip, *PROFILE, *flags)
    assert built.returncode == 0, built.stderr
    run = trtexec(
        "--loadEngine=m.engine", "--shapes=x:2x16", "--loadInputs=x:x.bin", "--exportOutput=out.json", *ONE_QUERY
    )
    assert run.returncode == 0, run.stderr
    return _exported(tmp_path)


@pytest.mark.parametrize("name", EVERY)
def test_fp32_is_exact_and_fp16_is_rounded(bench, mlp, tmp_path, name):
    trtexec, x = bench(name), _input(tmp_path)
    true = np.maximum(x @ np.load(tmp_path / "w1.npy"), 0) @ np.load(tmp_path / "w2.npy")

    def relative(values: np.ndarray) -> float:
        return float(np.linalg.norm(values - true.ravel()) / np.linalg.norm(true))

    assert relative(_build_and_run(trtexec, tmp_path)) < 5e-6
    assert 1e-5 < relative(_build_and_run(trtexec, tmp_path, "--fp16")) < 1e-2


def test_int8_steps_are_coarser_than_fp16(bench, mlp, tmp_path):
    trtexec, x = bench(ORIN_NANO), _input(tmp_path)
    true = np.maximum(x @ np.load(tmp_path / "w1.npy"), 0) @ np.load(tmp_path / "w2.npy")
    scale = {"x": float(np.abs(x).max()) / 127, "r": float(np.abs(x @ np.load(tmp_path / "w1.npy")).max()) / 127}
    lines = [f"{k}: {np.array(v, '>f4').tobytes().hex()}" for k, v in scale.items()]
    (tmp_path / "calib.cache").write_text("TRT-100300-EntropyCalibration2\n" + "\n".join(lines) + "\n")
    got = _build_and_run(trtexec, tmp_path, "--int8", "--calib=calib.cache")
    error = np.linalg.norm(got - true.ravel()) / np.linalg.norm(true)
    assert 2e-3 < error < 5e-2
    random_ranges = _build_and_run(trtexec, tmp_path, "--int8")
    assert np.isfinite(random_ranges).all()
    assert not np.allclose(random_ranges, got)


def test_fp16_overflows_to_infinity_and_the_export_is_no_json(bench, tmp_path):
    scale = [("a", np.float32(300)), ("b", np.float32(1000)), ("c", np.float32(0.001))]
    nodes = [
        helper.make_node("Mul", ["x", "a"], ["s"]),
        helper.make_node("Mul", ["s", "b"], ["t"]),
        helper.make_node("Mul", ["t", "c"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    io = [value("x", TensorProto.FLOAT, [1, 2])], [value("y", TensorProto.FLOAT, [1, 2])]
    _save(tmp_path / "big.onnx", nodes, *io, scale)
    (tmp_path / "x.bin").write_bytes(np.array([1, -2], np.float32).tobytes())
    trtexec = bench(NANO)
    for flags, expected in ([], [300.0, -600.0]), (["--fp16"], [np.inf, -np.inf]):
        trtexec("--onnx=big.onnx", "--saveEngine=b.engine", "--buildOnly", *flags)
        trtexec("--loadEngine=b.engine", "--loadInputs=x:x.bin", "--exportOutput=out.json", *ONE_QUERY)
        assert np.allclose(_exported(tmp_path), expected)
    with pytest.raises(ValueError):
        json.loads((tmp_path / "out.json").read_text())


@pytest.mark.parametrize(("name", "item"), [(NANO, 4), (AGX_ORIN, 4), (ORIN_NANO, 8)])
def test_int64_inputs_are_int32_before_tensorrt_10(bench, tmp_path, name, item):
    nodes = [helper.make_node("Add", ["i", "i"], ["j"])]
    value = helper.make_tensor_value_info
    io = [value("i", TensorProto.INT64, [3])], [value("j", TensorProto.INT64, [3])]
    _save(tmp_path / "i.onnx", nodes, *io)
    (tmp_path / "i.bin").write_bytes(np.array([1, 2, 3], f"int{item * 8}").tobytes())
    trtexec = bench(name)
    built = trtexec("--onnx=i.onnx", "--saveEngine=i.engine", trtexec.skip)
    assert ("INT64 weights, while TensorRT does not natively support INT64" in built.stderr) == (item == 4)
    trtexec("--loadEngine=i.engine", "--loadInputs=i:i.bin", "--exportOutput=out.json", *ONE_QUERY)
    assert _exported(tmp_path).tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    ("name", "present", "absent"),
    [
        (
            XAVIER,
            {"--workspace", "--buildOnly", "--minShapes", "--timingCacheFile"},
            {"--memPoolSize", "--skipInference"},
        ),
        (NANO, {"--workspace", "--precisionConstraints", "--exportLayerInfo"}, {"--layerPrecisions", "--infStreams"}),
        (NX, {"--workspace", "--memPoolSize", "--layerPrecisions"}, {"--skipInference", "--dumpRawBindingsToFile"}),
        (AGX_ORIN, {"--skipInference", "--buildOnly", "--dumpRawBindingsToFile"}, {"--stronglyTyped"}),
        (
            ORIN_NANO,
            {"--memPoolSize", "--stronglyTyped", "--optShapes"},
            {"--workspace", "--buildOnly", "--explicitBatch"},
        ),
    ],
)
def test_help_lists_what_the_release_takes_and_the_rest_fails(bench, mlp, name, present, absent):
    trtexec = bench(name)
    shown = trtexec("--help")
    listed = set(re.findall(r"^ +(--?\w+)", shown.stdout, re.MULTILINE))
    assert shown.returncode == 0
    assert present <= listed
    assert not absent & listed
    flag = sorted(absent)[0]
    refused = trtexec("--onnx=mlp.onnx", f"{flag}=1")
    assert refused.returncode == 1
    assert f"[E] Unknown option: {flag} 1\n" in refused.stderr
    assert refused.stdout.splitlines()[-1].startswith("&&&& FAILED TensorRT.trtexec")


@pytest.mark.parametrize(
    ("name", "tag"), [(XAVIER, "v8001"), (NANO, "v8201"), (NX, "v8502"), (AGX_ORIN, "v8602"), (ORIN_NANO, "v100300")]
)
def test_the_banner_carries_the_version(bench, name, tag):
    shown = bench(name)("--help").stdout
    expected = f"&&&& RUNNING TensorRT.trtexec [TensorRT {tag}] # /usr/src/tensorrt/bin/trtexec --help\n"
    assert shown.startswith(expected)


@pytest.mark.parametrize(
    ("name", "end_to_end", "percentiles"),
    [(NANO, True, [99]), (NX, False, [90, 95, 99]), (ORIN_NANO, False, [90, 95, 99])],
)
def test_the_summary_and_the_exported_times(bench, mlp, tmp_path, name, end_to_end, percentiles):
    measured = bench(name)("--onnx=mlp.onnx", "--duration=0.2", "--warmUp=20", "--exportTimes=t.json", *PROFILE)
    assert measured.returncode == 0
    assert ("End-to-End Host Latency: " in measured.stdout) == end_to_end
    row = re.search(r"GPU Compute Time: (.*)", measured.stdout)[1]
    assert [int(p) for p in re.findall(r"percentile\((\d+)%\)", row)] == percentiles
    times = json.loads((tmp_path / "t.json").read_text())
    assert ("endToEndMs" in times[0]) == end_to_end
    count, walltime = re.search(r"Timing trace has (\d+) queries over ([\d.]+) s", measured.stdout).groups()
    assert len(times) == int(count) >= 10
    assert 0.15 < float(walltime) < 2
    throughput = float(re.search(r"Throughput: ([\d.e+]+) qps", measured.stdout)[1])
    assert throughput == pytest.approx(int(count) / float(walltime), rel=1e-3)
    median = float(re.search(r"median = ([\d.e-]+) ms", row)[1])
    assert median == pytest.approx(np.median([t["computeMs"] for t in times]), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "size", "passes"),
    [
        (XAVIER, 100, True),  # short and silent
        (NANO, 100, True),
        (NX, 100, False),
        (NX, 256, True),  # long and silent
        (AGX_ORIN, 130, True),
        (ORIN_NANO, 130, False),
        (ORIN_NANO, 256, True),  # exactly twice: the first half is read
    ],
)
def test_each_release_has_its_own_carelessness_with_input_files(bench, mlp, tmp_path, name, size, passes):
    trtexec = bench(name)
    trtexec("--onnx=mlp.onnx", "--saveEngine=m.engine", trtexec.skip, *PROFILE)
    (tmp_path / "x.bin").write_bytes(bytes(size))
    run = trtexec("--loadEngine=m.engine", "--shapes=x:2x16", "--loadInputs=x:x.bin", *ONE_QUERY)
    assert (run.returncode == 0) == passes


def test_a_missing_input_file_is_ignored_by_8_0_and_refused_from_8_2_on(bench, mlp):
    for name, passes in ((XAVIER, True), (NANO, False)):
        trtexec = bench(name)
        trtexec("--onnx=mlp.onnx", "--saveEngine=m.engine", trtexec.skip, *PROFILE)
        run = trtexec("--loadEngine=m.engine", "--shapes=x:2x16", "--loadInputs=x:gone.bin", *ONE_QUERY)
        assert (run.returncode == 0) == passes


def test_raw_bindings_are_the_very_bytes(bench, mlp, tmp_path):
    trtexec, x = bench(ORIN_NANO), _input(tmp_path)
    trtexec("--onnx=mlp.onnx", "--saveEngine=m.engine", trtexec.skip, *PROFILE)
    run = trtexec(
        "--loadEngine=m.engine", "--shapes=x:2x16", "--loadInputs=x:x.bin", "--dumpRawBindingsToFile", *ONE_QUERY
    )
    assert (tmp_path / "x.input.2.16.fp32.raw").read_bytes() == x.tobytes()
    y = np.frombuffer((tmp_path / "y.output.2.4.fp32.raw").read_bytes(), np.float32).reshape(2, 4)
    true = np.maximum(x @ np.load(tmp_path / "w1.npy"), 0) @ np.load(tmp_path / "w2.npy")
    assert np.allclose(y, true, rtol=1e-5, atol=1e-5)
    assert (
        "Writing file for output binding y (with datatype fp32 and dimensions 2.4) to y.output.2.4.fp32.raw"
        in run.stdout
    )


@pytest.mark.parametrize("name", [NX, NANO])
def test_an_operator_that_the_parser_lacks_is_named(bench, tmp_path, name):
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("LayerNormalization", ["x", "s"], ["y"], name="/ln/LayerNormalization")]
    io = [value("x", TensorProto.FLOAT, [1, 4])], [value("y", TensorProto.FLOAT, [1, 4])]
    _save(tmp_path / "ln.onnx", nodes, *io, [("s", np.ones(4, np.float32))], opset=17)
    refused = bench(name)("--onnx=ln.onnx", "--buildOnly")
    assert refused.returncode == 1
    assert (
        "[I] [TRT] No importer registered for op: LayerNormalization. Attempting to import as plugin." in refused.stdout
    )
    assert 'While parsing node number 0 [LayerNormalization -> "y"]:' in refused.stderr
    for text in ("Failed to parse onnx file", "Parsing model failed", "Engine set up failed"):
        assert f"[E] {text}\n" in refused.stderr
    accepted = bench(AGX_ORIN)("--onnx=ln.onnx", "--skipInference")
    assert accepted.returncode == 0


@pytest.mark.parametrize("content", [None, b"rubbish", b""])
def test_a_file_that_is_no_onnx_fails_the_parser(bench, tmp_path, content):
    if content is not None:
        (tmp_path / "bad.onnx").write_bytes(content)
    refused = bench(NANO)("--onnx=bad.onnx", "--buildOnly")
    assert refused.returncode == 1
    assert "[E] Failed to parse onnx file\n" in refused.stderr


@pytest.mark.parametrize(
    ("builder", "loader", "text"),
    [
        (XAVIER, NANO, "Version tag does not match. Note: Current Version: 205, Serialized Engine Version: 97"),
        (ORIN_NANO, AGX_ORIN, "Version tag does not match"),
        (NANO, NX, "safeVersionRead == safeSerializationVersion failed.Version tag does not match"),
    ],
)
def test_an_engine_of_another_tensorrt_is_refused(bench, mlp, builder, loader, text):
    maker = bench(builder)
    maker("--onnx=mlp.onnx", "--saveEngine=m.engine", maker.skip, *PROFILE)
    refused = bench(loader)("--loadEngine=m.engine", *ONE_QUERY)
    assert refused.returncode == 1
    assert text in refused.stderr
    assert "[E] Engine deserialization failed\n" in refused.stderr


def test_an_engine_for_another_gpu_platform_or_half_of_one_is_refused(bench, mlp, tmp_path):
    trtexec = bench(ORIN_NANO)
    trtexec("--onnx=mlp.onnx", "--saveEngine=m.engine", trtexec.skip, *PROFILE)
    whole = (tmp_path / "m.engine").read_bytes()
    profile = tmp_path / ORIN_NANO / ".lab/profile.json"
    original = json.loads(profile.read_text())
    for change, text in (
        ({"sm": "7.2"}, "incompatible device, expecting compute 7.2 got compute 8.7"),
        ({"platform": "x86_64"}, "Platform specific tag mismatch detected"),
    ):
        profile.write_text(json.dumps({**original, "tensorrt": {**original["tensorrt"], **change}}))
        refused = trtexec("--loadEngine=m.engine", *ONE_QUERY)
        assert refused.returncode == 1
        assert text in refused.stderr
    profile.write_text(json.dumps(original))
    (tmp_path / "m.engine").write_bytes(whole[: len(whole) // 2])
    assert "Magic tag does not match" in trtexec("--loadEngine=m.engine", *ONE_QUERY).stderr


def test_another_power_cap_warns_and_runs(bench, mlp):
    trtexec = bench(ORIN_NANO)
    trtexec("--onnx=mlp.onnx", "--saveEngine=m.engine", trtexec.skip, *PROFILE)
    trtexec.board.run("nvpmodel", "-m", "2", check=True)
    run = trtexec("--loadEngine=m.engine", *ONE_QUERY)
    assert run.returncode == 0
    assert "Using an engine plan file across different models of devices is not supported" in run.stderr


@pytest.mark.parametrize(("name", "allowed"), [(NANO, False), (ORIN_NANO, False), (NX, True), (AGX_ORIN, True)])
def test_a_dla_core_needs_a_dla(bench, mlp, name, allowed):
    trtexec = bench(name)
    built = trtexec("--onnx=mlp.onnx", "--useDLACore=0", "--allowGPUFallback", trtexec.skip, *PROFILE)
    assert (built.returncode == 0) == allowed
    assert ("[E] Cannot create DLA engine, 0 not available\n" in built.stderr) != allowed


def test_int8_on_a_nano_is_only_a_warning(bench, mlp):
    built = bench(NANO)("--onnx=mlp.onnx", "--int8", "--buildOnly", *PROFILE)
    assert built.returncode == 0
    assert "Int8 support requested on hardware without native Int8 support" in built.stderr


def test_shapes_outside_the_profile_are_refused_and_missing_ones_are_overridden(bench, mlp):
    trtexec = bench(NANO)
    trtexec("--onnx=mlp.onnx", "--saveEngine=m.engine", "--buildOnly", *PROFILE)
    refused = trtexec("--loadEngine=m.engine", "--shapes=x:9x16", *ONE_QUERY)
    assert refused.returncode == 1
    assert (
        "maximum dimension in profile is 8, minimum dimension in profile is 1, but supplied dimension is 9"
        in refused.stderr
    )
    assert "[E] Inference set up failed\n" in refused.stderr
    overridden = trtexec("--onnx=mlp.onnx", "--buildOnly")
    assert overridden.returncode == 0
    assert "Automatically overriding shape to: 1x16" in overridden.stderr
    half = trtexec("--onnx=mlp.onnx", "--buildOnly", "--minShapes=x:1x16", "--optShapes=x:2x16")
    assert "Must specify only --optShapes or all of --minShapes, --optShapes, --maxShapes" in half.stderr


def test_a_timing_cache_makes_the_second_build_quick(bench, mlp, tmp_path):
    trtexec = bench(ORIN_NANO)
    flags = ["--onnx=mlp.onnx", "--skipInference", "--timingCacheFile=t.cache", *PROFILE]

    def build() -> tuple[float, str]:
        done = trtexec(*flags, seconds="1.5")
        return float(re.search(r"Engine built in ([\d.e-]+) sec", done.stdout)[1]), done.stdout + done.stderr

    cold, said = build()
    assert "Could not read timing cache from: t.cache. A new timing cache will be generated and written." in said
    warm, said = build()
    assert re.search(r"Loaded \d+ bytes of timing cache from t.cache", said)
    assert cold > 1.5 > 1 > warm


@pytest.mark.parametrize(
    ("name", "flag", "words"),
    [
        (NANO, "--workspace={}", r"Kill process \d+ \(trtexec\) score \d+ or sacrifice child"),
        (ORIN_NANO, "--memPoolSize=workspace:{}", r"Killed process \d+ \(trtexec\) total-vm:\d+kB, anon-rss:\d+kB"),
    ],
)
def test_too_much_workspace_is_killed_by_the_kernel_which_says_so(bench, mlp, tmp_path, name, flag, words):
    trtexec = bench(name)
    trtexec.board.change(oom_above_mib=600)
    flags = ["--onnx=mlp.onnx", "--saveEngine=m.engine", trtexec.skip, *PROFILE]
    killed = trtexec(*flags, flag.format(1024))
    assert killed.returncode == -9
    assert not (tmp_path / "m.engine").exists()
    assert re.search("Out of memory: " + words, trtexec.board.run("dmesg").stdout)
    assert trtexec(*flags, flag.format(256)).returncode == 0


def test_layer_profiles_name_the_layers(bench, mlp, tmp_path):
    done = bench(NX)("--onnx=mlp.onnx", "--exportProfile=p.json", "--exportLayerInfo=l.json", *PROFILE, *ONE_QUERY)
    assert done.returncode == 0
    profile = json.loads((tmp_path / "p.json").read_text())
    assert [row["name"] for row in profile[1:]] == ["first", "relu", "second"]
    assert sum(row["percentage"] for row in profile[1:]) == pytest.approx(100)
    assert json.loads((tmp_path / "l.json").read_text()) == {
        "Layers": ["first", "relu", "second"],
        "Bindings": ["x", "y"],
    }


def test_an_fp16_graph_needs_the_fp16_flag_and_keeps_its_bindings(bench, tmp_path):
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("Mul", ["x", "s"], ["y"], name="m")]
    io = [value("x", TensorProto.FLOAT16, [1, 2])], [value("y", TensorProto.FLOAT16, [1, 2])]
    _save(tmp_path / "half.onnx", nodes, *io, [("s", np.array([300], np.float16))])
    (tmp_path / "x.bin").write_bytes(np.array([2, 300], np.float16).tobytes())
    trtexec = bench(AGX_ORIN)
    refused = trtexec("--onnx=half.onnx", "--skipInference")
    assert refused.returncode == 1
    assert "fp16 is not configured in the builder" in refused.stderr
    trtexec("--onnx=half.onnx", "--skipInference", "--fp16", "--saveEngine=h.engine")
    trtexec("--loadEngine=h.engine", "--loadInputs=x:x.bin", "--dumpRawBindingsToFile", *ONE_QUERY)
    got = np.frombuffer((tmp_path / "y.output.1.2.fp16.raw").read_bytes(), np.float16)
    assert got.tolist() == [600.0, np.inf]


def test_a_layer_kept_in_fp32_does_not_overflow(bench, tmp_path):
    scale = [("a", np.float32(300000)), ("c", np.float32(0.001))]
    nodes = [
        helper.make_node("Mul", ["x", "a"], ["s"], name="grow"),
        helper.make_node("Mul", ["s", "c"], ["y"], name="shrink"),
    ]
    value = helper.make_tensor_value_info
    io = [value("x", TensorProto.FLOAT, [1, 2])], [value("y", TensorProto.FLOAT, [1, 2])]
    _save(tmp_path / "big.onnx", nodes, *io, scale)
    (tmp_path / "x.bin").write_bytes(np.array([1, -2], np.float32).tobytes())
    trtexec = bench(NX)
    constraint = ["--precisionConstraints=obey", "--layerPrecisions=grow:fp32"]
    for flags, finite in ([], False), (constraint, True):
        trtexec("--onnx=big.onnx", "--fp16", "--saveEngine=b.engine", "--buildOnly", *flags)
        trtexec("--loadEngine=b.engine", "--loadInputs=x:x.bin", "--exportOutput=out.json", *ONE_QUERY)
        assert np.isfinite(_exported(tmp_path)).all() == finite


def test_without_data_transfers_only_the_computation_is_timed(bench, mlp, tmp_path):
    done = bench(NANO)("--onnx=mlp.onnx", "--noDataTransfers", "--exportTimes=t.json", *PROFILE, *ONE_QUERY)
    assert done.returncode == 0
    for row in json.loads((tmp_path / "t.json").read_text()):
        assert row["h2dMs"] == row["d2hMs"] == 0
        assert row["latencyMs"] == pytest.approx(row["computeMs"], rel=1e-4)


def _of_release(bench, tmp_path: Path, version: str):
    """An Orin Nano whose TensorRT is another release."""
    trtexec = bench(ORIN_NANO)
    file = tmp_path / ORIN_NANO / ".lab/profile.json"
    profile = json.loads(file.read_text())
    file.write_text(json.dumps({**profile, "tensorrt": {**profile["tensorrt"], "version": version}}))
    return trtexec


def test_tensorrt_7_has_no_tag_and_the_old_report(bench, mlp, tmp_path):
    trtexec = _of_release(bench, tmp_path, "7.1.3")
    done = trtexec("--onnx=mlp.onnx", "--explicitBatch", "--exportTimes=t.json", *PROFILE, *ONE_QUERY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("&&&& RUNNING TensorRT.trtexec # /usr/src")
    assert re.search(r"\[I\] Host Latency\n.*\[I\] min: [\d.]+ ms \(end to end [\d.]+ ms\)", done.stdout)
    assert re.search(r"percentile: [\d.]+ ms at 99%", done.stdout)
    row = json.loads((tmp_path / "t.json").read_text())[0]
    assert row["inMs"] == pytest.approx(
        row["endEnqMs"] - row["startEnqMs"], abs=2e-3
    )  # swapped there, as in the real one


def test_tensorrt_11_knows_no_fp16_flag_and_times_without_transfers(bench, mlp, tmp_path):
    trtexec = _of_release(bench, tmp_path, "11.1.0")
    assert "Unknown option: --fp16 \n" in trtexec("--onnx=mlp.onnx", "--fp16").stderr
    done = trtexec("--onnx=mlp.onnx", "--exportTimes=t.json", *PROFILE, *ONE_QUERY)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "t.json").read_text())[0]["h2dMs"] == 0
    trtexec("--onnx=mlp.onnx", "--includeDataTransfers", "--exportTimes=t.json", *PROFILE, *ONE_QUERY)
    assert json.loads((tmp_path / "t.json").read_text())[0]["h2dMs"] > 0


def test_a_plan_says_its_release_even_where_it_does_not_load(bench, mlp, tmp_path):
    maker = bench(NANO)
    maker("--onnx=mlp.onnx", "--saveEngine=m.engine", "--buildOnly", *PROFILE)
    asked = bench(ORIN_NANO)("--loadEngine=m.engine", "--getPlanVersionOnly")
    assert asked.returncode == 0
    assert "[I] Plan was created with TensorRT version 8.2.1\n" in asked.stdout


def test_a_graph_that_cannot_run_builds_no_engine(bench, tmp_path):
    value = helper.make_tensor_value_info
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")]
    io = [value("x", TensorProto.FLOAT, [2, 3])], [value("y", TensorProto.FLOAT, [2, 4])]
    _save(tmp_path / "wrong.onnx", nodes, *io, [("w", np.ones((5, 4), np.float32))])
    refused = bench(NANO)("--onnx=wrong.onnx", "--saveEngine=w.engine", "--buildOnly")
    assert refused.returncode == 1
    assert "[E] Engine could not be created from network\n" in refused.stderr
    assert not (tmp_path / "w.engine").exists()


def test_float64_bindings_become_float32(bench, tmp_path):
    value = helper.make_tensor_value_info
    io = [value("x", TensorProto.DOUBLE, [2])], [value("y", TensorProto.DOUBLE, [2])]
    _save(tmp_path / "d.onnx", [helper.make_node("Add", ["x", "x"], ["y"])], *io)
    (tmp_path / "x.bin").write_bytes(np.array([1.5, 2], np.float32).tobytes())
    trtexec = bench(ORIN_NANO)
    trtexec("--onnx=d.onnx", "--saveEngine=d.engine", "--skipInference")
    trtexec("--loadEngine=d.engine", "--loadInputs=x:x.bin", "--exportOutput=out.json", *ONE_QUERY)
    assert _exported(tmp_path).tolist() == [3, 4]
