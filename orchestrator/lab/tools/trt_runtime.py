"""Runs an engine: bindings filled with each release's carelessness, queries really timed, outputs kept."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from trt_engine import Engine
from trt_log import Log
from trt_options import Options

NUMPY = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}
DTYPES = {"fp32": "float32", "fp16": "float16", "int8": "int8", "uint8": "uint8", "int32": "int32", "int64": "int64"}
DTYPES["bool"] = "bool"


QUERY_S = 0.0005
"""A query starts no sooner after the one before. Launches cost a board about that much; without it a tiny network would
run a hundred thousand times, and its exported times would outweigh the model."""


class InferenceFailed(Exception):
    """No inference; everything has been said in the log, except this last line."""


@dataclass
class Query:
    """Times of one query in milliseconds since the start of the inference."""

    enqueue_start: float
    enqueue_end: float
    h2d_start: float
    h2d_end: float
    compute_start: float
    compute_end: float
    d2h_start: float
    d2h_end: float

    @property
    def compute(self) -> float:
        return self.compute_end - self.compute_start

    @property
    def h2d(self) -> float:
        return self.h2d_end - self.h2d_start

    @property
    def d2h(self) -> float:
        return self.d2h_end - self.d2h_start

    @property
    def enqueue(self) -> float:
        return self.enqueue_end - self.enqueue_start

    @property
    def latency(self) -> float:
        return self.h2d + self.compute + self.d2h


@dataclass
class Outcome:
    """What an inference left: its queries after warm-up, the last query's tensors, and the times around them."""

    queries: list[Query]
    warmup_queries: int
    walltime_s: float
    inputs: dict[str, Any]
    outputs: dict[str, Any]


def session(onnx_bytes: bytes, exact: bool, profile_prefix: str = "") -> Any:
    """An ONNX Runtime session on one CPU thread.

    Args:
        exact: keep every node as it is: graph optimisations would remove the Cast pairs that round to fp16.
        profile_prefix: write ONNX Runtime's own profile to a file of this prefix.
    """
    import onnxruntime as ort

    ort.set_default_logger_severity(4)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_DISABLE_ALL if exact else level.ORT_ENABLE_ALL
    if profile_prefix:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    return ort.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])


def is_exact(engine: Engine) -> bool:
    return engine.precision != ["FP32"]


def run(engine: Engine, options: Options, log: Log) -> Outcome:
    """Run queries until both --iterations and --duration are served.

    Raises:
        InferenceFailed: shapes outside the profile, inputs that this release refuses, or a run that broke.
    """
    started = time.perf_counter()
    runner = session(engine.onnx, is_exact(engine))
    shapes = _shapes(engine, options, log)
    feed = _inputs(engine, options, shapes, log)
    names = [binding["name"] for binding in engine.bindings if not binding["input"]]
    setup_ms = (time.perf_counter() - started) * 1000
    log.verbose(f"[TRT] set up in {setup_ms:.3f} ms")
    log.info("Starting inference")
    warmup_s = options.warmup_ms / 1000
    begin = time.perf_counter()
    queries: list[Query] = []
    warmups = 0
    results: list[Any] = []
    while True:
        elapsed = time.perf_counter() - begin
        if warmups + len(queries) >= options.iterations and elapsed >= warmup_s + options.duration_s and queries:
            break
        query, results = _query(runner, names, feed, begin, options.transfers)
        time.sleep(max(0.0, begin + query.h2d_start / 1000 + QUERY_S - time.perf_counter()))
        if elapsed < warmup_s:
            warmups += 1
        else:
            queries.append(query)
    walltime = time.perf_counter() - begin - (queries[0].h2d_start / 1000)
    outputs = dict(zip(names, results, strict=True))
    return Outcome(queries, warmups, walltime, feed, outputs)


def _query(
    runner: Any, names: list[str], feed: dict[str, Any], begin: float, transfers: bool
) -> tuple[Query, list[Any]]:
    def now() -> float:
        return (time.perf_counter() - begin) * 1000

    start = now()
    device_side = {name: value.copy() for name, value in feed.items()} if transfers else feed
    copied = now() if transfers else start
    try:
        results = runner.run(names, device_side)
    except Exception as problem:
        raise InferenceFailed(str(problem).splitlines()[0]) from None
    computed = now()
    host_side = [result.copy() for result in results] if transfers else results
    end = now() if transfers else computed
    enqueue_end = copied + (computed - copied) * 0.1
    return Query(copied, enqueue_end, start, copied, copied, computed, computed, end), host_side


def _shapes(engine: Engine, options: Options, log: Log) -> dict[str, list[int]]:
    shapes = {}
    for index, binding in enumerate(engine.bindings):
        if not binding["input"]:
            continue
        name, dims = binding["name"], binding["shape"]
        asked = options.inference_shapes.get(name)
        if -1 not in dims:
            shapes[name] = dims
            continue
        if asked is None:
            asked = [1 if n < 0 else n for n in dims]
            log.warning(
                f"Dynamic dimensions required for input: {name}, but no shapes were provided. "
                f"Automatically overriding shape to: {'x'.join(map(str, asked))}"
            )
        if len(asked) != len(dims):
            log.error_code(
                3,
                "[executionContext.cpp::setBindingDimensions::926] Error Code 3: API Usage Error (Parameter check "
                "failed at: runtime/api/executionContext.cpp::setBindingDimensions::926, condition: "
                "engineDims.nbDims == dimensions.nbDims)",
            )
            raise InferenceFailed("Inference set up failed")
        limits = engine.profile[name]
        for axis, (low, value, high) in enumerate(zip(limits["min"], asked, limits["max"], strict=True)):
            if not low <= value <= high:
                log.error_code(
                    3,
                    "[executionContext.cpp::setBindingDimensions::943] Error Code 3: API Usage Error (Parameter check "
                    "failed at: runtime/api/executionContext.cpp::setBindingDimensions::943, condition: "
                    f"profileMaxDims.d[i] >= dimensions.d[i]. Supplied binding dimension [{value}] for "
                    f"bindings[{index}] exceed min ~ max range at index {axis}, maximum dimension in profile is "
                    f"{high}, minimum dimension in profile is {low}, but supplied dimension is {value}.)",
                )
                raise InferenceFailed("Inference set up failed")
        shapes[name] = asked
    return shapes


def _inputs(engine: Engine, options: Options, shapes: dict[str, list[int]], log: Log) -> dict[str, Any]:
    """Each input's tensor: from its file, else random, as trtexec fills what nobody named."""
    import numpy as np

    random = np.random.default_rng(1)
    feed = {}
    for binding in engine.bindings:
        if not binding["input"]:
            continue
        name, dtype = binding["name"], np.dtype(DTYPES[binding["dtype"]])
        shape = shapes[name]
        if name in options.inputs:
            log.info(f"Using values loaded from {options.inputs[name]} for input {name}")
            data = _read_input(options.inputs[name], int(np.prod(shape)) * dtype.itemsize, log)
            feed[name] = np.frombuffer(data, dtype).reshape(shape).copy()
            continue
        log.info(f"Using random values for input {name}")
        low, high = (-1, 1) if dtype.kind == "f" else (0, 2)
        values = random.uniform(low, high, shape) if dtype.kind == "f" else random.integers(low, high, shape)
        feed[name] = values.astype(dtype)
    for name in options.inputs:
        if name not in shapes:
            log.error(
                f'Cannot find input tensor with name "{name}" in the engine bindings! Please make sure the input '
                "tensor names are correct."
            )
            raise InferenceFailed("Inference set up failed")
    return feed


def _read_input(file: str, size: int, log: Log) -> bytes:
    """Exactly `size` bytes, with each release's silence about files that have fewer or more."""
    if not os.path.isfile(file):
        if log.version >= (8, 2, 0):
            raise InferenceFailed(f"Cannot open file {file}!")
        return bytes(size)
    with open(file, "rb") as stream:
        data = stream.read()
    if len(data) < size:
        if log.version >= (8, 5, 0):
            raise InferenceFailed(
                f"Unexpected file size for input file: {file}. Note: Expected: {size} bytes but got: {len(data)} bytes."
            )
        return data + bytes(size - len(data))
    # Twice the size passes in 10 and later (an int64 file for an int32 binding): its first half is read.
    if len(data) > size and log.version >= (10, 0, 0) and len(data) != 2 * size:
        raise InferenceFailed(
            f"Unexpected file size for input file: {file}. Note: Input binding size is: {size} bytes but "
            f"the file size is {len(data)} bytes. Double check the size and datatype of the provided data."
        )
    return data[:size]


def layer_times(engine: Engine, feed: dict[str, Any], runs: int = 5) -> dict[str, float]:
    """Milliseconds per layer over `runs` queries, from ONNX Runtime's own profile; rounding steps are left out."""
    import json
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        runner = session(engine.onnx, is_exact(engine), os.path.join(folder, "profile"))
        for _ in range(runs):
            runner.run(None, feed)
        with open(runner.end_profiling(), encoding="utf-8") as stream:
            events = json.load(stream)
    times = dict.fromkeys(engine.layers, 0.0)
    for event in events:
        name = str(event.get("name", "")).removesuffix("_kernel_time")
        if event.get("cat") == "Node" and name in times:
            times[name] += event["dur"] / 1000
    return times
