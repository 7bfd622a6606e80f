"""Builds an engine: checks the hardware, chooses profiles, lowers the graph, times tactics through the timing cache."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from typing import Any

import device
import trt_lower
import trt_parser
import trt_runtime
from trt_engine import Engine
from trt_log import Log
from trt_options import Options

CACHE_MAGIC = b"FLEETVTC"
BUILD_S = 1.0
"""Of a build whose tactics are in no cache; `build_seconds` of state or profile says otherwise."""
SPELLED = {"float": "fp32", "float16": "fp16", "int8": "int8", "int32": "int32", "int64": "int64", "bool": "bool"}


class BuildError(Exception):
    """No engine; everything has been said in the log."""


def build(options: Options, profile: dict[str, Any], log: Log) -> Engine:
    """Parse and build.

    Raises:
        BuildError: the parser refused, no such DLA, or shapes that do not fit.
    """
    trt = profile["tensorrt"]
    started = time.monotonic()
    late = log.version >= (8, 6, 0)
    log.info("Start parsing network model" + ("." if late else ""))
    try:
        model = trt_parser.load(options.value("--onnx"), trt["version"], log)
    except trt_parser.ParserError:
        if not late:
            log.info("Finish parsing network model")
        log.error("Parsing model failed")
        old = log.version < (8, 4, 0)
        log.error("Failed to create engine from model." if old else "Failed to create engine from model or file.")
        raise BuildError("parser") from None
    elapsed = f"{time.monotonic() - started:.6g}"
    log.info(f"Finished parsing network model. Parse time: {elapsed}" if late else "Finish parsing network model")
    started = time.monotonic()
    ranges = _profiles(model, options, log)
    _hardware(options, trt, log)
    model_mib = sum(len(tensor.raw_data) for tensor in model.graph.initializer) / 1048576
    _memory(options, model_mib, log)
    layers = [node.name or f"{node.op_type}_{n}" for n, node in enumerate(model.graph.node)]
    operators = [node.op_type for node in model.graph.node]
    precision = ["FP32", *(["FP16"] if options.fp16 else []), *(["INT8"] if options.int8 else [])]
    onnx_bytes = _lower(model, options, ranges, log)
    _tactics(operators, layers, precision, options, profile, log)
    engine = Engine(
        tensorrt=trt["version"],
        sm=trt["sm"],
        platform=trt["platform"],
        device=board(profile),
        precision=precision,
        bindings=_bindings(model),
        profile=ranges,
        layers=layers,
        onnx=onnx_bytes,
    )
    _report(engine, model_mib, started, log)
    return engine


def board(profile: dict[str, Any]) -> str:
    """What an engine remembers of its device: on Orin another GPU cap counts as another model, as on the boards."""
    cap = device.read(profile["power"]["gpu"]["devfreq"] + "/max_freq")
    return f"{profile['module']} at {cap} Hz" if profile["tensorrt"]["sm"] == "8.7" else str(profile["module"])


def _profiles(model: Any, options: Options, log: Log) -> dict[str, dict[str, list[int]]]:
    """The optimisation profile: what was asked for the dynamic inputs, 1 for a dimension that nobody named."""
    ranges = {}
    names = {value.name for value in trt_lower.inputs(model)}
    for name in options.shapes:
        if name not in names:
            log.error(
                f'Cannot find input tensor with name "{name}" in the network inputs! Please make sure the input tensor '
                "names are correct."
            )
            _engine_failed(log, "Network And Config setup failed")
    for value in trt_lower.inputs(model):
        dims = _dims(value)
        asked = options.shapes.get(value.name)
        if -1 not in dims:
            if asked and any(shape != dims for shape in asked.values()):
                log.error_code(
                    4,
                    f"[network.cpp::validate::2959] Error Code 4: Internal Error ({value.name}: for dimension number "
                    f"0 in profile 0 does not match network definition (got min={asked['min'][0]}, "
                    f"opt={asked['opt'][0]}, max={asked['max'][0]}), expected min=opt=max={dims[0] if dims else 0}).)",
                )
                _engine_failed(log, "Engine could not be created from network")
            continue
        if asked is None:
            static = [1 if n < 0 else n for n in dims]
            text = "x".join(map(str, static))
            log.warning(
                f"Dynamic dimensions required for input: {value.name}, but no shapes were provided. "
                f"Automatically overriding shape to: {text}"
            )
            asked = dict.fromkeys(("min", "opt", "max"), static)
            options.inference_shapes.setdefault(value.name, static)
        fits = all(
            len(asked[key]) == len(dims) and all(w in (-1, g) for w, g in zip(dims, asked[key], strict=True))
            for key in ("min", "opt", "max")
        ) and all(lo <= at <= hi for lo, at, hi in zip(asked["min"], asked["opt"], asked["max"], strict=True))
        if not fits:
            log.error_code(
                4,
                f"[network.cpp::validate::2965] Error Code 4: Internal Error ({value.name}: optimization profile is "
                f"missing values for shape input or does not match network definition)",
            )
            _engine_failed(log, "Engine could not be created from network")
        ranges[value.name] = asked
    return ranges


def _engine_failed(log: Log, reason: str) -> None:
    log.error(reason)
    log.error("Building engine failed")
    old = log.version < (8, 4, 0)
    log.error("Failed to create engine from model." if old else "Failed to create engine from model or file.")
    raise BuildError(reason)


def _hardware(options: Options, trt: dict[str, Any], log: Log) -> None:
    if options.dla >= trt["dla_cores"]:
        log.error(f"Cannot create DLA engine, {options.dla} not available")
        raise BuildError("dla")
    for asked, fast, text in (
        (options.fp16, trt["fast_fp16"], "Half2 support requested on hardware without native FP16 support"),
        (options.int8, trt["fast_int8"], "Int8 support requested on hardware without native Int8 support"),
    ):
        if asked and not fast:
            log.warning(f"[TRT] {text}, performance will be negatively affected.")
    if (options.fp16 or options.int8) and log.version >= (10, 12, 0):
        log.warning("[TRT] Weakly-typed networks have been deprecated in TensorRT.")


def _memory(options: Options, model_mib: float, log: Log) -> None:
    """Where the state says so (`oom_above_mib`), or where the model alone is too big, the kernel kills the builder."""
    state = device.state()
    fields = dict(line.split(":", 1) for line in device.read("/proc/meminfo").splitlines() if ":" in line)
    available = int(fields.get("MemAvailable", "0 kB").split()[0]) / 1024 or float("inf")
    workspace = available if options.workspace_mib is None else min(options.workspace_mib, available)
    need = model_mib * 4
    limit = state.get("oom_above_mib")
    if need > available or (limit is not None and workspace + need > limit):
        total = int((workspace + need + 8000) * 1024)
        rss = int(min(workspace + need, available) * 1024)
        sizes = f"total-vm:{total}kB, anon-rss:{rss}kB, file-rss:41224kB, shmem-rss:0kB"
        process = f"process {os.getpid()} (trtexec)"
        if device.profile()["kernel"].startswith("4."):
            device.kernel_log(f"Out of memory: Kill {process} score 842 or sacrifice child")
            device.kernel_log(f"Killed {process} {sizes}")
        else:
            device.kernel_log(f"Out of memory: Killed {process} {sizes}, UID:1000 pgtables:4096kB oom_score_adj:0")
        os.kill(os.getpid(), signal.SIGKILL)
    if options.workspace_mib is not None and options.workspace_mib < 64:
        log.info(
            "[TRT] Some tactics do not have sufficient workspace memory to run. Increasing workspace size will enable "
            "more tactics, please check verbose output for requested sizes."
        )


def _lower(model: Any, options: Options, ranges: dict[str, dict[str, list[int]]], log: Log) -> bytes:
    trt_lower.narrow_bindings(model, int64=log.version < (10, 0, 0))
    if _has_half(model) and not trt_lower.widen_half(model, allowed=options.fp16 or options.on("--stronglyTyped")):
        log.error_code(
            4,
            "[network.cpp::validate::2919] Error Code 4: Internal Error (fp16 precision has been set for a layer or "
            "layer output, but fp16 is not configured in the builder)",
        )
        _engine_failed(log, "Engine could not be created from network")
    if options.int8:
        cache = options.value("--calib")
        if cache and os.path.isfile(cache):
            with open(cache, encoding="utf-8", errors="replace") as stream:
                scales = trt_lower.read_calibration(stream.read())
        else:
            scales = trt_lower.calibrate(model, {name: shape["opt"] for name, shape in ranges.items()})
        trt_lower.to_int8(model, scales)
    if options.fp16:
        trt_lower.to_fp16(model, options.kept_fp32)
    result: bytes = model.SerializeToString()
    try:
        trt_runtime.session(result, exact=True)
    except Exception as problem:
        why = str(problem).splitlines()[0]
        log.error_code(2, f"[builder.cpp::buildSerializedNetwork] Error Code 2: Internal Error ({why})")
        _engine_failed(log, "Engine could not be created from network")
    return result


def _has_half(model: Any) -> bool:
    from onnx import TensorProto

    values = [*model.graph.input, *model.graph.output]
    return any(tensor.data_type == TensorProto.FLOAT16 for tensor in model.graph.initializer) or any(
        value.type.tensor_type.elem_type == TensorProto.FLOAT16 for value in values
    )


def _tactics(
    operators: list[str], layers: list[str], precision: list[str], options: Options, profile: dict[str, Any], log: Log
) -> None:
    """Time every layer's tactics, or take them from the cache."""
    trt = profile["tensorrt"]
    key = json.dumps([trt["version"], trt["sm"], precision], sort_keys=True)
    digests = [
        hashlib.sha256(f"{key} {operator} {n}".encode()).hexdigest()[:24] for n, operator in enumerate(operators)
    ]
    file = options.value("--timingCacheFile")
    known = _read_cache(file, key, log) if file else set()
    if file:
        log.info("[TRT] Global timing cache in use. Profiling results in this builder pass will be stored.")
    else:
        log.info("[TRT] Local timing cache in use. Profiling results in this builder pass will not be stored.")
    seconds = device.state().get("build_seconds", profile.get("build_seconds", BUILD_S))
    whole = float(os.environ.get("FLEET_LAB_BUILD_SECONDS") or seconds)
    fresh = [digest for digest in digests if digest not in known]
    pause = whole / max(1, len(digests))
    for number, layer in enumerate(layers):
        log.verbose(f"[TRT] *************** Autotuning format combination: {layer} ***************")
        if number < len(fresh):
            time.sleep(pause)
    if file:
        _write_cache(file, key, known | set(digests), log)


def _read_cache(file: str, key: str, log: Log) -> set[str]:
    try:
        with open(file, "rb") as stream:
            data = stream.read()
        body = json.loads(data[len(CACHE_MAGIC) :]) if data.startswith(CACHE_MAGIC) else None
    except (OSError, ValueError):
        body = None
        data = b""
    if not isinstance(body, dict):
        log.warning(f"Could not read timing cache from: {file}. A new timing cache will be generated and written.")
        return set()
    log.info(f"Loaded {len(data)} bytes of timing cache from {file}")
    return set(body.get(key, []))


def _write_cache(file: str, key: str, digests: set[str], log: Log) -> None:
    try:
        with open(file, "rb") as stream:
            body = json.loads(stream.read()[len(CACHE_MAGIC) :])
    except (OSError, ValueError):
        body = {}
    body[key] = sorted(digests)
    data = CACHE_MAGIC + json.dumps(body, sort_keys=True).encode()
    try:
        with open(file, "wb") as stream:
            stream.write(data)
    except OSError:
        log.warning(f"Could not write timing cache to: {file}")
        return
    log.info(f"Saved {len(data)} bytes of timing cache to {file}")


def _bindings(model: Any) -> list[dict[str, Any]]:
    import onnx

    found = []
    for is_input, values in ((True, trt_lower.inputs(model)), (False, model.graph.output)):
        for value in values:
            kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
            found.append(
                {"name": value.name, "input": is_input, "dtype": SPELLED.get(kind, kind), "shape": _dims(value)}
            )
    return found


def _dims(value: Any) -> list[int]:
    return [
        d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else -1 for d in value.type.tensor_type.shape.dim
    ]


def _report(engine: Engine, model_mib: float, started: float, log: Log) -> None:
    ins = sum(binding["input"] for binding in engine.bindings)
    log.info(f"[TRT] Detected {ins} inputs and {len(engine.bindings) - ins} output network tensors.")
    log.info(f"[TRT] Total Host Persistent Memory: {len(engine.layers) * 1024}")
    log.info(f"[TRT] Total Device Persistent Memory: {int(model_mib * 1048576)}")
    log.info("[TRT] Total Scratch Memory: 0")
    took = time.monotonic() - started
    if log.version >= (8, 4, 0):
        log.info(f"[TRT] Engine generation completed in {took:.6g} seconds.")
    if log.version >= (10, 0, 0):
        log.info(f"Created engine with size: {len(engine.onnx) / 1048576:.6g} MiB")
    if log.version < (8, 4, 0) or log.version >= (8, 6, 0):
        log.info(f"Engine built in {took:.6g} sec.")
