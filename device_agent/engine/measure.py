"""Measure an engine's latency with trtexec, under the same conditions in every release."""

import math
import os

from .. import files
from ..errors import JobError
from . import bindings, texts, times

WARMUP_MS = 500
DURATION_S = 5
ITERATIONS = 50
MOST_TIMES = 20000

CONDITIONS = {"streams": 1, "transfers": True, "cuda_graph": False, "spin_wait": False}
"""What is held equal between releases: 11 leaves transfers out, captures CUDA graphs and spins unless told not to."""


def measure(spec, job):
    """Time an engine on random inputs.

    args:
        spec (dict): docs/architecture.md, Jobs; besides: trtexec, flags, tensorrt (else from the passport), timeout_s
    returns:
        dict: latency_ms (list of float: host latency per query, transfers included), gpu_ms (list: computation alone),
        queries (timed, without warm-up), wall_s, throughput_per_s (queries a second), warnings, argv, conditions.
        Of more than 20000 queries every n-th is listed; `queries` is the true number.
    raises:
        JobError: engine, spec, oom, flag, tool, timeout, cancelled
    """
    engine = bindings.open_engine(spec, job)
    shapes = spec.get("shapes") or {}
    if engine.inputs is not None:
        # Static inputs need not be named: the engine has their shape.
        shapes = dict({name: one["shape"] for name, one in engine.inputs.items() if not engine.dynamic(name)}, **shapes)
    engine.check_shapes(shapes)
    warmup_ms = int(spec.get("warmup_ms", WARMUP_MS))
    # Whole seconds: fractions are read as whole numbers by old releases.
    duration_s = math.ceil(spec.get("duration_s", DURATION_S))
    iterations = int(spec.get("iterations", ITERATIONS))
    engine.link(job.folder)
    exported = os.path.join(job.folder, "times.json")
    files.remove(exported)
    argv = (
        [engine.tool.path]
        + engine.load_arguments()
        + [
            "--warmUp={}".format(warmup_ms),
            "--duration={}".format(duration_s),
            "--iterations={}".format(iterations),
            "--avgRuns=10",
            "--percentile=99",
            "--exportTimes=times.json",
        ]
    )
    argv += engine.shape_arguments(shapes)
    watch, summary = _time(spec, job, argv, duration_s + warmup_ms / 1000.0)
    return _result(argv, exported, warmup_ms, watch, summary)


def _time(spec, job, argv, expected_s):
    watch = texts.Watch()
    summary = times.Summary()

    def on_line(line):
        watch.feed(line)
        summary.feed(line)

    job.event(phase="measuring", line="{:.0f} s of inference".format(expected_s))
    done = job.run(
        argv,
        on_line=on_line,
        timeout_s=spec.get("timeout_s", 600 + 10 * expected_s),
        silence_s=spec.get("silence_s", 600 + 10 * expected_s),
    )
    bindings.judge(watch, done)
    return watch, summary


def _result(argv, exported, warmup_ms, watch, summary):
    try:
        with open(exported, "r", encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    except OSError:
        raise JobError("tool", "trtexec exported no times", "times.json is missing", "see output.log of the job")
    latency_ms, gpu_ms = times.parse(text, warmup_ms, summary.queries)
    warnings = list(watch.diagnoses)
    if summary.queries and summary.queries != len(latency_ms):
        warnings.append("trtexec timed {} queries and exported {}".format(summary.queries, len(latency_ms)))
    if watch.other_model:
        warnings.append("the engine was built on another model or under another power cap: its timing may differ")
    queries = len(latency_ms)
    wall_s = summary.wall_s if summary.wall_s is not None else sum(latency_ms) / 1000.0
    throughput = summary.throughput_per_s
    if throughput is None and wall_s:
        throughput = queries / wall_s
    step = (queries + MOST_TIMES - 1) // MOST_TIMES
    return {
        "latency_ms": latency_ms[::step],
        "gpu_ms": gpu_ms[::step],
        "queries": queries,
        "wall_s": wall_s,
        "throughput_per_s": throughput,
        "warnings": warnings,
        "argv": argv,
        "conditions": CONDITIONS,
    }
