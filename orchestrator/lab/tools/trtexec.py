"""trtexec of any TensorRT release from 7.0 on: builds engines of the lab and really runs them, on the CPU."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import trt_options
from trt_log import Log, release
from trt_options import Options, Refused


def main(argv: list[str]) -> int:
    profile = device.profile()
    trt = profile["tensorrt"]
    binary = "/usr/src/tensorrt/bin/trtexec"
    log = Log(trt["version"], " ".join([binary, *argv]))
    log.banner("RUNNING")
    if not argv or {"--help", "-h"} & {arg.split("=")[0] for arg in argv}:
        trt_options.print_help(trt["version"])
        return 0 if argv else log.passed()
    try:
        options = trt_options.parse(argv, trt["version"], log)
    except Refused as problem:
        trt_options.print_help(trt["version"])
        log.error(str(problem))
        return log.failed()
    log.verbose_on = options.on("--verbose", "-v")
    _describe(options, log)
    _device(profile, log)
    return _work(options, profile, log)


def _work(options: Options, profile: dict[str, Any], log: Log) -> int:
    import trt_build
    import trt_engine
    import trt_report
    import trt_runtime

    try:
        if options.on("--loadEngine"):
            if options.on("--getPlanVersionOnly"):
                log.info(f"Plan was created with TensorRT version {_plan_version(options, log)}")
                return log.passed()
            engine = _load(options, profile, log)
        else:
            engine = trt_build.build(options, profile, log)
            _save(engine, options, log)
    except (trt_build.BuildError, trt_engine.EngineError):
        log.error("Engine set up failed")
        return log.failed()
    except OSError:
        log.error("Saving engine to file failed.")
        log.error("Engine set up failed")
        return log.failed()
    if options.on("--exportLayerInfo"):
        _layer_info(engine, options.value("--exportLayerInfo"))
    skip = "--skipInference" if log.version >= (8, 6, 0) else "--buildOnly"
    if options.on("--skipInference", "--buildOnly"):
        log.info(f"Skipped inference phase since {skip} is added.")
        return log.passed()
    try:
        outcome = trt_runtime.run(engine, options, log)
    except trt_runtime.InferenceFailed as problem:
        log.error(str(problem))
        if "set up" not in str(problem):
            log.error("Inference set up failed")
        return log.failed()
    trt_report.summary(outcome, options, log)
    if options.on("--dumpOutput"):
        trt_report.dump_output(outcome, log)
    if options.on("--dumpRawBindingsToFile"):
        trt_report.dump_raw(outcome, engine, log)
    if options.on("--exportTimes"):
        trt_report.export_times(outcome, options.value("--exportTimes"), log.version)
    if options.on("--exportOutput"):
        trt_report.export_output(outcome, options.value("--exportOutput"), log.version)
    if options.on("--exportProfile"):
        times = trt_runtime.layer_times(engine, outcome.inputs)
        trt_report.export_profile(times, len(outcome.queries), options.value("--exportProfile"), log.version)
    return log.passed()


def _load(options: Options, profile: dict[str, Any], log: Log) -> Any:
    import trt_build
    import trt_engine

    file = options.value("--loadEngine")
    started = time.monotonic()
    try:
        with open(file, "rb") as stream:
            data = stream.read()
    except OSError:
        log.error(f"Error opening engine file: {file}")
        raise trt_engine.EngineError(file) from None
    try:
        engine = trt_engine.load(data, profile["tensorrt"], log)
    except trt_engine.EngineError:
        log.error("Engine deserialization failed")
        raise
    if engine.device != trt_build.board(profile) and log.version >= (8, 0, 0):
        text = "not recommended and is likely to affect performance or even cause errors."
        if log.version >= (10, 0, 0):
            text = "not supported and is likely to affect performance or even cause errors or deadlock."
        log.warning(f"[TRT] Using an engine plan file across different models of devices is {text}")
    word = "loaded" if log.version < (8, 4, 0) else "deserialized"
    log.info(f"Engine {word} in {time.monotonic() - started:.6g} sec.")
    return engine


def _plan_version(options: Options, log: Log) -> str:
    """The release that wrote the plan, whether or not it would load here."""
    import trt_engine

    file = options.value("--loadEngine")
    try:
        with open(file, "rb") as stream:
            engine = trt_engine.unpack(stream.read())
    except OSError:
        engine = None
    if engine is None:
        log.error(f"Error opening engine file: {file}")
        raise trt_engine.EngineError(file)
    return engine.tensorrt


def _save(engine: Any, options: Options, log: Log) -> None:
    file = options.value("--saveEngine")
    if not file:
        return
    with open(file, "wb") as stream:
        stream.write(engine.pack())
    log.verbose(f"Engine saved to {file}")


def _layer_info(engine: Any, file: str) -> None:
    import json

    names = [binding["name"] for binding in engine.bindings]
    with open(file, "w", encoding="utf-8") as stream:
        json.dump({"Layers": engine.layers, "Bindings": names}, stream)


def _describe(options: Options, log: Log) -> None:
    """The options as understood, which the real tool prints before it starts."""
    precision = "FP32" + ("+FP16" if options.fp16 else "") + ("+INT8" if options.int8 else "")
    size = "all memory" if options.workspace_mib is None else f"{options.workspace_mib:g} MiB"
    workspace = f"Workspace: {size}"
    if log.version >= (8, 4, 0):
        amount = "default" if options.workspace_mib is None else f"{options.workspace_mib:g} MiB"
        workspace = (
            f"Memory Pools: workspace: {amount}, dlaSRAM: default, dlaLocalDRAM: default, dlaGlobalDRAM: default"
        )
    lines = ["=== Model Options ==="]
    lines += ["Format: ONNX" if options.on("--onnx") else "Format: *", f"Model: {options.value('--onnx')}", "Output:"]
    lines += ["=== Build Options ===", "Max batch: explicit batch", workspace, f"Precision: {precision}"]
    lines += [f"Save engine: {options.value('--saveEngine')}", f"Load engine: {options.value('--loadEngine')}"]
    lines += [f"timingCacheFile: {options.value('--timingCacheFile')}"]
    for name, shape in options.shapes.items():
        lines.append(
            f"Input build shape: {name}=" + "+".join("x".join(map(str, shape[k])) for k in ("min", "opt", "max"))
        )
    lines += ["=== System Options ===", "Device: 0", f"DLACore: {options.dla if options.dla >= 0 else ''}", "Plugins:"]
    lines += ["=== Inference Options ===", "Batch: Explicit", f"Iterations: {options.iterations}"]
    lines += [f"Duration: {options.duration_s:g}s (+ {options.warmup_ms:g}ms warm up)", "Streams: 1"]
    lines += ["=== Reporting Options ===", f"Averages: {options.average_runs} inferences"]
    lines.append("Percentile: " + ",".join(f"{p:g}" for p in options.percentiles))
    for line in lines:
        log.info(line)
    log.info()


def _device(profile: dict[str, Any], log: Log) -> None:
    trt = profile["tensorrt"]
    log.info("=== Device Information ===")
    lines = [f"Selected Device: {trt['device_name']}", f"Compute Capability: {trt['sm']}", f"SMs: {trt['sms']}"]
    memory = [f"Device Global Memory: {profile['ram_mb']} MiB", f"Shared Memory per SM: {trt['shared_kib']} KiB"]
    memory.append(f"Memory Bus Width: {trt['bus_bits']} bits (ECC disabled)")
    clock, memory_clock = f"{trt['clock_ghz']} GHz", f"{trt['memory_clock_ghz']} GHz"
    if log.version >= (8, 6, 0):
        uuid = "GPU-00000000-0000-0000-0000-000000000000"
        log.info("Available Devices: ")
        log.info(f'  Device 0: "{trt["device_name"]}" UUID: {uuid}')
        lines[1:1] = ["Selected Device ID: 0", f"Selected Device UUID: {uuid}"]
        lines += [*memory, f"Application Compute Clock Rate: {clock}", f"Application Memory Clock Rate: {memory_clock}"]
    else:
        lines += [f"Compute Clock Rate: {clock}", *memory, f"Memory Clock Rate: {memory_clock}"]
    for line in lines:
        log.info(line)
    log.info()
    if log.version >= (8, 0, 0):
        major, minor, patch = release(trt["version"])
        old = log.version < (8, 2, 0)
        log.info(f"TensorRT version: {major * 1000 + minor * 100 + patch if old else trt['version']}")


if __name__ == "__main__":
    device.run(main)
