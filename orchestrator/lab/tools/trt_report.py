"""What trtexec prints and writes after the queries: the summary, its doubts, and the exported files."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable
from typing import Any

from trt_engine import Engine
from trt_log import Log
from trt_options import Options
from trt_runtime import DTYPES, Outcome, Query

UNSTABLE_PERCENT = {True: 1.0, False: 2.5}
"""By `version < 10.16`: the coefficient of variance above which trtexec doubts its own figures."""


def number(value: float) -> str:
    """A number as a C++ stream prints it by default: six significant digits, and no JSON for NaN and infinity."""
    if value != value:
        return "nan"
    if value in (float("inf"), float("-inf")):
        return "inf" if value > 0 else "-inf"
    return f"{value:.6g}"


def summary(outcome: Outcome, options: Options, log: Log) -> None:
    """The report of the queries, in the words of this release."""
    queries = outcome.queries
    log.info(f"Warmup completed {outcome.warmup_queries} queries over {number(options.warmup_ms)} ms")
    log.info(f"Timing trace has {len(queries)} queries over {number(outcome.walltime_s)} s")
    modern = log.version >= (8, 0, 0)
    if modern:
        log.info()
        log.info("=== Trace details ===")
        log.info(f"Trace averages of {options.average_runs} runs:")
    _averages(queries, options.average_runs, log)
    log.info()
    if modern:
        _modern(outcome, options, log)
    else:
        _old(outcome, options, log)


def _averages(queries: list[Query], runs: int, log: Log) -> None:
    for start in range(0, len(queries) - runs + 1, runs):
        part = queries[start : start + runs]

        def mean(get: Callable[[Query], float], part: list[Query] = part) -> str:
            return number(sum(map(get, part)) / len(part))

        compute, latency, enqueue = mean(lambda q: q.compute), mean(lambda q: q.latency), mean(lambda q: q.enqueue)
        end_to_end = f"end to end {latency} ms, " if log.version < (8, 4, 0) else ""
        log.info(
            f"Average on {runs} runs - GPU latency: {compute} ms - Host latency: {latency} ms "
            f"({end_to_end}enqueue {enqueue} ms)"
        )


def _modern(outcome: Outcome, options: Options, log: Log) -> None:
    queries = outcome.queries
    rows: list[tuple[str, Callable[[Query], float]]] = [("Latency", lambda q: q.latency)]
    if log.version < (8, 4, 0):
        rows.append(("End-to-End Host Latency", lambda q: q.d2h_end - q.h2d_start))
    rows += [
        ("Enqueue Time", lambda q: q.enqueue),
        ("H2D Latency", lambda q: q.h2d),
        ("GPU Compute Time", lambda q: q.compute),
        ("D2H Latency", lambda q: q.d2h),
    ]
    log.info("=== Performance summary ===")
    log.info(f"Throughput: {number(len(queries) / outcome.walltime_s)} qps")
    for title, get in rows:
        log.info(f"{title}: {_row([get(query) for query in queries], options)}")
    log.info(f"Total Host Walltime: {number(outcome.walltime_s)} s")
    log.info(f"Total GPU Compute Time: {number(sum(q.compute for q in queries) / 1000)} s")
    _doubts(queries, log)
    log.info("Explanations of the performance metrics are printed in the verbose logs.")
    log.info()


def _row(values: list[float], options: Options) -> str:
    parts = [f"min = {number(min(values))} ms", f"max = {number(max(values))} ms"]
    parts += [f"mean = {number(statistics.fmean(values))} ms", f"median = {number(statistics.median(values))} ms"]
    parts += [f"percentile({number(p)}%) = {number(_percentile(values, p))} ms" for p in options.percentiles]
    return ", ".join(parts)


def _percentile(values: list[float], percentile: float) -> float:
    ordered = sorted(values)
    excluded = int((1 - percentile / 100) * len(ordered))
    return ordered[max(0, len(ordered) - 1 - excluded)]


def _doubts(queries: list[Query], log: Log) -> None:
    compute = [q.compute for q in queries]
    median = statistics.median(compute)
    if statistics.median([q.enqueue for q in queries]) > 0.8 * median:
        log.warning(
            "* Throughput may be bound by Enqueue Time rather than GPU Compute and the GPU may be under-utilized."
        )
        log.warning(
            "  If not already in use, --useCudaGraph (utilize CUDA graphs where possible) may increase the throughput."
        )
    for title, flag, values in (
        ("host-to-device transfers for the inputs", "--noDataTransfers", [q.h2d for q in queries]),
        ("device-to-host transfers for the outputs", "--noDataTransfers", [q.d2h for q in queries]),
    ):
        if statistics.median(values) > median:
            log.warning(
                f"* Throughput may be bound by {title} rather than GPU Compute and the GPU may be under-utilized."
            )
            log.warning(f"  Add {flag} flag to disable data transfers.")
    if log.version >= (8, 4, 0) and len(compute) > 1:
        variance = 100 * statistics.pstdev(compute) / statistics.fmean(compute)
        if variance > UNSTABLE_PERCENT[log.version < (10, 16, 0)]:
            log.warning(f"* GPU compute time is unstable, with coefficient of variance = {number(variance)}%.")
            remedy = "locking GPU clock frequency or adding --useSpinWait may improve the stability."
            log.warning(f"  If not already in use, {remedy}")


def _old(outcome: Outcome, options: Options, log: Log) -> None:
    queries = outcome.queries
    latency, compute = [q.latency for q in queries], [q.compute for q in queries]
    percentile = options.percentiles[0]
    log.info("Host Latency")
    for title, pick in (("min", min), ("max", max), ("mean", statistics.fmean), ("median", statistics.median)):
        value = number(pick(latency))  # type: ignore[operator]
        log.info(f"{title}: {value} ms (end to end {value} ms)")
    tail = number(_percentile(latency, percentile))
    log.info(f"percentile: {tail} ms at {number(percentile)}% (end to end {tail} ms at {number(percentile)}%)")
    log.info(f"throughput: {number(len(queries) / outcome.walltime_s)} qps")
    log.info(f"walltime: {number(outcome.walltime_s)} s")
    log.info("Enqueue Time")
    enqueue = [q.enqueue for q in queries]
    for title, pick in (("min", min), ("max", max), ("median", statistics.median)):
        log.info(f"{title}: {number(pick(enqueue))} ms")  # type: ignore[operator]
    log.info("GPU Compute")
    for title, pick in (("min", min), ("max", max), ("mean", statistics.fmean), ("median", statistics.median)):
        log.info(f"{title}: {number(pick(compute))} ms")  # type: ignore[operator]
    log.info(f"percentile: {number(_percentile(compute, percentile))} ms at {number(percentile)}%")
    log.info(f"total compute time: {number(sum(compute) / 1000)} s")


def export_times(outcome: Outcome, file: str, version: tuple[int, int, int]) -> None:
    """--exportTimes. Before 8.0 the enqueue and input times are swapped, as in the real tool."""
    rows = []
    for q in outcome.queries:
        enqueue, h2d = (q.enqueue_start, q.enqueue_end), (q.h2d_start, q.h2d_end)
        if version < (8, 0, 0):
            enqueue, h2d = h2d, enqueue
            names = ("In", "Out", "in", "out")
        else:
            names = ("H2d", "D2h", "h2d", "d2h")
        fields = [("startEnqMs", enqueue[0]), ("endEnqMs", enqueue[1])]
        fields += [(f"start{names[0]}Ms", h2d[0]), (f"end{names[0]}Ms", h2d[1])]
        fields += [("startComputeMs", q.compute_start), ("endComputeMs", q.compute_end)]
        fields += [(f"start{names[1]}Ms", q.d2h_start), (f"end{names[1]}Ms", q.d2h_end)]
        fields += [
            (f"{names[2]}Ms", q.h2d),
            ("computeMs", q.compute),
            (f"{names[3]}Ms", q.d2h),
            ("latencyMs", q.latency),
        ]
        if version < (8, 4, 0):
            fields.append(("endToEndMs", q.d2h_end - q.h2d_start))
        rows.append("{ " + ", ".join(f'"{name}" : {number(value)}' for name, value in fields) + " }")
    with open(file, "w", encoding="utf-8") as stream:
        stream.write("[\n" + "".join(("  " if n == 0 else ", ") + row + "\n" for n, row in enumerate(rows)) + "]\n")


def values_text(array: Any, separator: str, version: tuple[int, int, int]) -> str:
    """Tensor values as trtexec prints them: six digits; int8 as characters before 8.5."""
    if array.dtype.name == "int8" and version < (8, 5, 0):
        return separator.join(chr(int(v) & 0xFF) for v in array.ravel())
    if array.dtype.kind == "f":
        return separator.join(number(float(v)) for v in array.ravel())
    return separator.join(str(int(v)) for v in array.ravel())


def export_output(outcome: Outcome, file: str, version: tuple[int, int, int]) -> None:
    """--exportOutput: looks like JSON, is not where a value is NaN, infinite or an int8 before 8.5."""
    with open(file, "w", encoding="latin-1") as stream:
        stream.write("[\n")
        for n, (name, array) in enumerate(outcome.outputs.items()):
            stream.write(f'{"  " if n == 0 else ", "}{{ "name" : "{name}"\n')
            stream.write(f'  , "dimensions" : "{"x".join(map(str, array.shape))}"\n')
            stream.write(f'  , "values" : [ {values_text(array, ", ", version)} ]\n  }}\n')
        stream.write("]\n")


def dump_output(outcome: Outcome, log: Log) -> None:
    log.info("Output Tensors:")
    for name, array in outcome.outputs.items():
        log.info(f"{name}: ({'x'.join(map(str, array.shape))})")
        log.info(values_text(array, " ", log.version))


def dump_raw(outcome: Outcome, engine: Engine, log: Log) -> None:
    """--dumpRawBindingsToFile: every binding's bytes, into the working folder, under names made safe."""
    spelled = {name: key for key, name in DTYPES.items()}
    log.info("Dumping I/O Bindings to RAW Files:")
    for binding in engine.bindings:
        kind = "input" if binding["input"] else "output"
        array = (outcome.inputs if binding["input"] else outcome.outputs)[binding["name"]]
        dims, dtype = ".".join(map(str, array.shape)), spelled[array.dtype.name]
        file = re.sub(r"[^A-Za-z0-9_.,-]", "_", f"{binding['name']}.{kind}.{dims}.{dtype}.raw")
        log.info(
            f"Writing file for {kind} binding {binding['name']} (with datatype {dtype} and dimensions {dims}) to {file}"
        )
        with open(file, "wb") as stream:
            stream.write(array.tobytes())


def export_profile(times_ms: dict[str, float], runs: int, file: str, version: tuple[int, int, int]) -> None:
    total = sum(times_ms.values()) or 1.0
    rows: list[dict[str, Any]] = [{"count": runs}]
    for name, time_ms in times_ms.items():
        row = {"name": name, "timeMs": time_ms, "averageMs": time_ms / runs, "percentage": 100 * time_ms / total}
        if version >= (8, 4, 0):
            row["medianMs"] = time_ms / runs
        rows.append(row)
    with open(file, "w", encoding="utf-8") as stream:
        stream.write("[\n  " + "\n, ".join(json.dumps(row) for row in rows) + "\n]\n")
