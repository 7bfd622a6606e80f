"""What a build says and leaves behind when it goes wrong, and how it climbs down when memory runs out."""

import pytest
from engine_device import onnx_model

NODE_OF_8_4 = [
    '[05/25/2022-15:35:26] [E] [TRT] ModelImporter.cpp:748: While parsing node number 205 [Range -> "652"]:',
    "[05/25/2022-15:35:26] [E] [TRT] ModelImporter.cpp:749: --- Begin node ---",
    '[05/25/2022-15:35:26] [E] [TRT] ModelImporter.cpp:750: input: "1055"',
    'output: "652"',
    'name: "Range_271"',
    'op_type: "Range"',
    "attribute {",
    '  name: "not_the_node"',
    "}",
    "[05/25/2022-15:35:26] [E] [TRT] ModelImporter.cpp:751: --- End node ---",
    "[05/25/2022-15:35:26] [E] [TRT] ModelImporter.cpp:754: ERROR: ModelImporter.cpp:162 In function parseGraph:",
    "[6] Invalid Node - Range_271",
]
NODE_OF_8_5 = [
    "[05/18/2023-21:52:15] [I] No importer registered for op: LayerNormalization. Attempting to import as plugin.",
    '[05/18/2023-21:52:15] [E] [TRT] ModelImporter.cpp:731: While parsing node number 12 [LayerNormalization -> "y"]:',
    "[05/18/2023-21:52:15] [E] [TRT] ModelImporter.cpp:732: --- Begin node ---",
    'name: "/norm/LayerNormalization"',
    "ERROR: builtin_op_importers.cpp:5411 In function importFallbackPluginImporter:",
    '[8] Assertion failed: creator && "Plugin not found, are the plugin name, version, and namespace correct?"',
]
NODE_OF_10 = [
    "[06/17/2025-10:21:18] [E] In node 11 with name: /dense/GridSample and operator: GridSample3D "
    '(checkFallbackPluginImporter): INVALID_NODE: creator && "Plugin not found"',
]


def test_killed_once_then_a_smaller_workspace_does_it(device, python):
    device.python = python
    device.fake("8.2", memory_mib=128)
    result = device.good("build", device.build_spec())
    assert result["build"]["workspace_mib"] == 128
    first, second = result["build"]["attempts"]
    assert (first["workspace_mib"], first["rc"], first["signal"], first["reason"]) == (256, 137, 9, "oom")
    assert (second["workspace_mib"], second["rc"], second["reason"]) == (128, 0, None)
    assert device.passport()["build"]["attempts"] == result["build"]["attempts"]
    assert any("trying a workspace of 128 MiB" in event.get("line", "") for event in device.events("build1"))


def test_always_killed_goes_down_to_16_mib_and_says_so(device, python):
    device.python = python
    device.fake("10.3", memory_mib=1)
    error = device.bad("build", device.build_spec(workspace=100))
    assert error["kind"] == "oom" and error["rc"] == 137 and error["signal"] == 9
    assert [one["workspace_mib"] for one in error["attempts"]] == [100, 50, 25, 16]
    assert "killed by the kernel" in error["what"] and "16 MiB" in error["what"]
    assert "100, 50, 25, 16" in error["why"] and "were available" in error["why"]
    assert device.engine_files() == []


@pytest.mark.parametrize(
    "text",
    [
        "1: [defaultAllocator.cpp::allocate::19] Error Code 1: Cuda Runtime (out of memory)",
        "../rtSafe/safeRuntime.cpp (25) - Cuda Error in allocate: 2 (out of memory)",
        "2: [virtualMemoryBuffer.cpp::resizePhysical::160] Error Code 2: OutOfMemory (no further information)",
        "LLVM ERROR: out of memory",
    ],
)
def test_an_allocation_error_without_a_kill_is_memory_too(device, text):
    device.fake("8.5", memory_mib=64, oom_text=text)
    result = device.good("build", device.build_spec())
    assert [one["reason"] for one in result["build"]["attempts"]] == ["oom", "oom", None]
    assert result["build"]["attempts"][0]["rc"] == 1


def test_auto_takes_half_of_what_is_available(device):
    device.fake("8.2")
    attempt = device.good("build", device.build_spec(workspace="auto"))["build"]["attempts"][0]
    assert attempt["workspace_mib"] % 16 == 0
    expected = max(16, min(4096, attempt["available_mib"] // 2))
    assert abs(attempt["workspace_mib"] - expected) <= 256  # memory moves between the two readings


def test_an_unknown_flag_is_named(device, python):
    device.python = python
    device.fake("8.2", refuses="--noTF32")
    error = device.bad("build", device.build_spec())
    assert error["kind"] == "flag" and error["flag"] == "--noTF32" and error["rc"] == 1
    assert len(error["attempts"]) == 1


@pytest.mark.parametrize(
    ("version", "lines", "operator", "node", "name", "message"),
    [
        ("8.4", NODE_OF_8_4, "Range", 205, "Range_271", "Invalid Node - Range_271"),
        ("8.5", NODE_OF_8_5, "LayerNormalization", 12, "/norm/LayerNormalization", "Plugin not found"),
        ("10.3", NODE_OF_10, "GridSample3D", 11, "/dense/GridSample", "Plugin not found"),
    ],
)
def test_a_parser_error_names_operator_and_node(device, version, lines, operator, node, name, message):
    device.fake(version, parser=lines)
    error = device.bad("build", device.build_spec())
    assert error["kind"] == "parser"
    assert (error["operator"], error["node"], error["node_name"]) == (operator, node, name)
    assert operator in error["what"] and str(node) in error["what"] and message in error["why"]
    assert any(name in line for line in error["tail"])


@pytest.mark.parametrize("leaves", ["nothing", "empty"])
def test_passed_without_an_engine_is_a_failure(device, python, leaves):
    device.python = python
    device.fake("8.6", leaves=leaves)
    error = device.bad("build", device.build_spec())
    assert error["kind"] == "tool" and "left no engine" in error["what"]
    assert device.engine_files() == []


def test_status_0_without_passed_is_a_failure(device):
    device.fake("8.6", silent_end=True)
    error = device.bad("build", device.build_spec())
    assert error["kind"] == "tool" and "PASSED" in error["what"]
    assert device.engine_files() == []


def test_a_crash_is_no_matter_of_memory(device):
    device.fake("8.6", crash=True)
    error = device.bad("build", device.build_spec())
    assert error["kind"] == "tool" and error["signal"] == 11 and len(error["attempts"]) == 1


def test_too_long_is_a_timeout(device, python):
    device.python = python
    device.fake("8.2", sleep_s=30, talk=True)
    error = device.bad("build", device.build_spec(timeout_s=1))
    assert error["kind"] == "timeout" and error["silent"] is False
    assert error["attempts"][0]["reason"] == "timeout" and error["attempts"][0]["duration_s"] < 10


def test_silence_is_a_timeout_of_its_own(device):
    device.fake("8.2", sleep_s=30)
    error = device.bad("build", device.build_spec(silence_s=1))
    assert error["kind"] == "timeout" and error["silent"] is True


def test_a_failed_rebuild_leaves_the_old_engine_whole(device):
    device.fake("8.2")
    before = device.good("build", device.build_spec())["engine"]
    device.fake("8.2", memory_mib=1)
    device.bad("build", device.build_spec(onnx=device.blob(onnx_model(b"another"))))
    assert device.passport()["engine"] == before
    assert device.engine_files() == ["build.log", "model.engine", "passport.json"]


def test_a_rebuilt_engine_loses_the_verdict_of_the_old_one(device):
    device.fake("8.2")
    device.good("build", device.build_spec())
    path = device.root / "engines" / ("k" * 64) / "passport.json"
    path.write_text('{"verdict": {"passed": true}, "benchmark": {}, "parts": {"l4t": "32.7.1"}}')
    device.good("build", device.build_spec())
    passport = device.passport()
    assert passport["verdict"] is None and passport["benchmark"] is None
    assert passport["parts"] == {"l4t": "32.7.1"}


def test_the_timing_cache_grows_only_with_good_builds(device):
    cache = device.root / "timing" / "orin.cache"
    device.fake("8.2")
    device.good("build", device.build_spec(timing_cache="orin"))
    assert cache.read_bytes() == b"tactic;"
    device.good("build", device.build_spec(timing_cache="orin"))
    assert cache.read_bytes() == b"tactic;tactic;"
    device.fake("8.2", leaves="nothing")
    device.bad("build", device.build_spec(timing_cache="orin"))
    assert cache.read_bytes() == b"tactic;tactic;"
    device.fake("7.1")
    device.good("build", device.build_spec(timing_cache="nano"))
    assert not any("timingCache" in flag for flag in device.calls()[-1])


def test_fractions_never_go_back(device):
    device.fake("8.2", memory_mib=32)
    device.good("build", device.build_spec())
    events = [event for event in device.events("build1") if "fraction" in event]
    fractions = [event["fraction"] for event in events]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert {event["phase"] for event in events} == {"parsing", "building", "saving"}


def test_tactics_skipped_for_memory_are_a_warning(device):
    texts = [
        "[TRT] Tactic Device request: 538MB Available: 166MB. Device memory is insufficient to use tactic.",
        "[TRT] Skipping tactic 3 due to insuficient memory on requested size of 538 detected for tactic 4.",
        "[TRT] Skipping tactic 1 due to oom error on requested size of 2168 detected for tactic 1.",
    ]
    device.fake("8.2", says=texts)
    (warning,) = device.good("build", device.build_spec())["build"]["warnings"]
    assert warning.startswith("2 tactics were not tried")


def test_a_dla_that_is_not_there(device):
    device.fake("8.5", no_dla=True)
    spec = device.build_spec(precision="fp16", options={"dla_core": 0})
    error = device.bad("build", spec)
    assert error["kind"] == "tool" and "DLA" in error["what"]
    assert {"--useDLACore=0", "--allowGPUFallback", "--fp16"} <= set(device.calls()[0])


CUT_SHORT = onnx_model()[:-2]
DYNAMIC = [{"name": "x", "dtype": "float32", "shape": [-1, 4]}]


@pytest.mark.parametrize(
    ("version", "changes", "kind", "text"),
    [
        ("8.2", {"precision": "int8"}, "spec", "random ranges"),
        ("8.2", {"precision": "fp64"}, "spec", "fp64"),
        ("11.1", {"precision": "fp16"}, "spec", "strongly typed"),
        ("8.5", {"options": {"dla_core": 0}}, "spec", "DLA"),
        ("8.5", {"options": {"extra": ["--memPoolSize=workspace:9"]}}, "spec", "Fleet"),
        ("8.2", {"options": {"extra": ["--builderFlagOfTomorrow"]}}, "flag", "--builderFlagOfTomorrow"),
        ("8.2", {"workspace": "lots"}, "spec", "lots"),
        ("8.2", {"workspace": 0}, "spec", "workspace"),
        ("8.2", {"onnx": "0" * 64}, "spec", "push"),
        ("8.2", {"onnx": "../../etc/passwd"}, "spec", "hexadecimal"),
        ("8.2", {"key": "../../current"}, "spec", "engine key"),
        ("8.2", {"timing_cache": "a/b"}, "spec", "timing cache"),
        ("8.2", {"inputs": None}, "spec", "lacks 'inputs'"),
        ("8.2", {"onnx": CUT_SHORT}, "spec", "cut short"),
        ("8.2", {"inputs": DYNAMIC}, "spec", "min"),
        ("8.2", {"trtexec": "/nowhere/trtexec"}, "tool", "/nowhere/trtexec"),
    ],
)
def test_what_cannot_work_is_refused_before_trtexec_starts(device, version, changes, kind, text):
    device.fake(version)
    if changes.get("onnx") == CUT_SHORT:
        changes = {"onnx": device.blob(CUT_SHORT)}
    error = device.bad("build", device.build_spec(**changes))
    assert error["kind"] == kind
    assert text in " ".join([error["what"], error["why"], error["remedy"]])
    assert device.calls() == []


def test_int8_is_built_from_a_quantized_graph_or_with_a_calibration_cache(device):
    device.fake("8.5")
    device.good(
        "build", device.build_spec(precision="int8", onnx=device.blob(onnx_model(nodes=["QuantizeLinear", "Conv"])))
    )
    device.good("build", device.build_spec(precision="int8", options={"calibration": device.blob(b"ranges")}))
    plain, calibrated = device.calls()
    assert "--int8" in plain and not any(flag.startswith("--calib") for flag in plain)
    assert "--int8" in calibrated and any(flag.startswith("--calib=") for flag in calibrated)


def test_options_of_newer_releases(device):
    device.fake("8.6")
    result = device.good("build", device.build_spec(options={"opt_level": 5, "extra": ["--sparsity=enable"]}))
    assert {"--builderOptimizationLevel=5", "--sparsity=enable"} <= set(device.calls()[0])
    assert result["build"]["warnings"] == []
    device.fake("8.2")
    result = device.good("build", device.build_spec(options={"opt_level": 5}))
    assert "opt_level is ignored" in result["build"]["warnings"][0]


def test_the_kernels_words_on_this_kill_are_kept(device, python):
    device.python = python
    dmesg = device.bin / "dmesg"
    dmesg.write_text(
        "#!/bin/sh\n"
        "read now rest < /proc/uptime\n"
        "echo '[    1.000000] Out of memory: Killed process 1 (yesterday)'\n"
        'echo "[$now] usb 1-2: new device"\n'
        'echo "[$now] Out of memory: Killed process 7 (trtexec) total-vm:9kB, anon-rss:8kB, file-rss:7kB"\n'
    )
    dmesg.chmod(0o755)
    device.fake("8.2", memory_mib=1)
    (line,) = device.bad("build", device.build_spec(workspace=16))["kernel"]
    assert "Killed process 7 (trtexec)" in line


def test_a_full_disk_is_named(device):
    device.fake("8.2", disk="full")
    error = device.bad("build", device.build_spec())
    assert error["kind"] == "tool" and "save the engine" in error["what"] and "MiB are free" in error["why"]
