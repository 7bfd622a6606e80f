"""Latencies as every release exports them, and what trtexec itself thinks of its measurement."""

import pytest

from device_agent.engine import texts, times
from device_agent.errors import JobError

MEASURE = {"key": "k" * 64, "shapes": {}, "warmup_ms": 100, "duration_s": 1, "iterations": 5}

SUMMARIES = {
    "8.2 on a Nano": (
        """[05/18/2023-21:52:15] [I] Timing trace has 219 queries over 3.03096 s
[05/18/2023-21:52:15] [I] === Performance summary ===
[05/18/2023-21:52:15] [I] Throughput: 72.2544 qps
[05/18/2023-21:52:15] [I] Latency: min = 13.7075 ms, max = 14.8861 ms, mean = 13.8259 ms
[05/18/2023-21:52:15] [I] Total Host Walltime: 3.03096 s
[05/18/2023-21:52:15] [I] Total GPU Compute Time: 2.99948 s""",
        (219, 72.2544, 3.03096),
    ),
    "7.1": (
        """[06/10/2020-10:00:00] [I] Timing trace has 100 queries over 3.01 s
[06/10/2020-10:00:00] [I] Host Latency
[06/10/2020-10:00:00] [I] min: 1.1 ms (end to end 2.2 ms)
[06/10/2020-10:00:00] [I] throughput: 33.2 qps
[06/10/2020-10:00:00] [I] walltime: 3.01 s""",
        (100, 33.2, 3.01),
    ),
    "6.0": (
        """[06/10/2019-10:00:00] [I] Timing trace of 12 iterations over 3.5 s
[06/10/2019-10:00:00] [I] throughput: 3.4 qps
[06/10/2019-10:00:00] [I] walltime: 3.5 s""",
        (12, 3.4, 3.5),
    ),
}


@pytest.mark.parametrize("case", SUMMARIES)
def test_summaries_of_each_generation(case):
    text, expected = SUMMARIES[case]
    summary = times.Summary()
    for line in text.splitlines():
        summary.feed(line)
    assert (summary.queries, summary.throughput_per_s, summary.wall_s) == expected


SWAPPED_7_1 = """[
  { "startEnqMs" : 0.0, "endEnqMs" : 0.2, "startInMs" : 0.1, "endInMs" : 0.15, "startComputeMs" : 0.3
, "endComputeMs" : 9.3, "startOutMs" : 9.3, "endOutMs" : 9.4, "inMs" : 0.2, "computeMs" : 9, "outMs" : 0.1
, "latencyMs" : 9.3, "endToEndMs" : 9.4 }
, { "startEnqMs" : 200, "endEnqMs" : 200.2, "startInMs" : 200.1, "endInMs" : 200.15, "startComputeMs" : 200.3
, "endComputeMs" : 202.3, "startOutMs" : 202.3, "endOutMs" : 202.4, "inMs" : 0.2, "computeMs" : 2, "outMs" : 0.1
, "latencyMs" : 2.3, "endToEndMs" : 2.4 }
]"""


@pytest.mark.parametrize("queries", [1, None])
def test_warm_up_records_of_old_releases_do_not_count(queries):
    assert times.parse(SWAPPED_7_1, warmup_ms=200, queries=queries) == ([2.3], [2.0])


def test_latency_is_put_together_where_it_is_not_exported():
    text = '[ { "startComputeMs" : 1, "h2dMs" : 0.5, "computeMs" : 2, "d2hMs" : 0.25 } ]'
    assert times.parse(text, 0) == ([2.75], [2.0])


@pytest.mark.parametrize(
    "text", ["", "[ ]", '[ { "startComputeMs" : 5, "weather" : 3 } ]', '[ { "startComputeMs" : 1 } ]']
)
def test_times_that_cannot_be_read_are_refused(text):
    with pytest.raises(JobError) as caught:
        times.parse(text, 0)
    assert caught.value.kind == "tool"


def test_doubts_of_trtexec_are_passed_on(device, python):
    device.python = python
    says = [
        "* Throughput may be bound by Enqueue Time rather than GPU Compute and the GPU may be under-utilized.",
        "  If not already in use, --useCudaGraph (utilize CUDA graphs where possible) may increase the throughput.",
        "* GPU compute time is unstable, with coefficient of variance = 5.43%.",
    ]
    device.fake("8.5")
    device.good("build", device.build_spec())
    device.fake("8.5", says=says)
    warnings = device.good("measure", MEASURE)["warnings"]
    assert [warning.split(",")[0] for warning in warnings] == [
        "Throughput may be bound by Enqueue Time rather than GPU Compute and the GPU may be under-utilized.",
        "GPU compute time is unstable",
    ]
    assert "5.43%" in warnings[1]


def test_conditions_are_explicit(device):
    device.fake("8.2")
    device.good("build", device.build_spec())
    result = device.good("measure", {**MEASURE, "duration_s": 1.2})
    assert {"--warmUp=100", "--duration=2", "--iterations=5", "--avgRuns=10", "--percentile=99"} <= set(result["argv"])
    assert result["conditions"] == {"streams": 1, "transfers": True, "cuda_graph": False, "spin_wait": False}


def test_an_engine_that_fails_to_load_is_no_measurement(device):
    device.fake("8.5")
    device.good("build", device.build_spec())
    device.fake("8.5", load_fails=["Version tag does not match"])
    assert device.bad("measure", MEASURE)["kind"] == "engine"


def test_a_dynamic_engine_needs_its_shapes(device):
    device.fake("8.5")
    dynamic = {"name": "x", "dtype": "float32", "shape": [-1, 4], "min": [1, 4], "opt": [2, 4], "max": [4, 4]}
    device.good("build", device.build_spec(inputs=[dynamic]))
    assert "needs input 'x'" in device.bad("measure", MEASURE)["what"]
    result = device.good("measure", {**MEASURE, "shapes": {"x": [3, 4]}})
    assert "--shapes=x:3x4" in result["argv"]
    error = device.bad("measure", {**MEASURE, "shapes": {"x": [5, 4]}})
    assert "1 to 4 in dimension 0" in error["why"]


def test_many_queries_are_thinned_not_miscounted(device):
    device.fake("8.5")
    device.good("build", device.build_spec())
    result = device.good("measure", {**MEASURE, "iterations": 45000})
    assert result["queries"] == 45000 and len(result["latency_ms"]) == len(result["gpu_ms"]) == 15000


def test_a_watch_forgets_a_pass_that_was_taken_back():
    watch = texts.Watch()
    watch.feed("&&&& PASSED TensorRT.trtexec [TensorRT v8201] # x")
    assert watch.passed
    watch.feed("&&&& FAILED TensorRT.trtexec [TensorRT v8201] # x")
    assert not watch.passed


def test_an_engine_of_another_power_cap_is_a_warning(device):
    device.fake("8.5", inputs={"x": {"dtype": "float32", "shape": [1]}})
    device.good("build", device.build_spec())
    text = "[TRT] Using an engine plan file across different models of devices is not recommended and is likely to"
    device.fake("8.5", says=[text])
    (warning,) = device.good("measure", MEASURE)["warnings"]
    assert "power cap" in warning
