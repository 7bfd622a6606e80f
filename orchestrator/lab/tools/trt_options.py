"""trtexec's command line: the flags of each release, --help, and the strict reading of arguments."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field

from trt_log import Log, release

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "trtexec_flags.csv")

HINTS = {
    "--onnx": ("<file>", "ONNX model"),
    "--saveEngine": ("<file>", "Save the serialized engine"),
    "--loadEngine": ("<file>", "Load a serialized engine"),
    "--minShapes": ("spec", "Build with dynamic shapes, least shape of each input"),
    "--optShapes": ("spec", "Build with dynamic shapes, shape to optimise for"),
    "--maxShapes": ("spec", "Build with dynamic shapes, greatest shape of each input"),
    "--shapes": ("spec", "Input shapes of the inference"),
    "--workspace": ("N", "Workspace size in MiB"),
    "--memPoolSize": ("poolspec", "Size limits of memory pools: workspace, dlaSRAM, dlaLocalDRAM, dlaGlobalDRAM"),
    "--calib": ("<file>", "Calibration cache of INT8"),
    "--timingCacheFile": ("<file>", "Read and write the timing cache"),
    "--useDLACore": ("N", "DLA core for the layers that support it"),
    "--device": ("N", "CUDA device"),
    "--iterations": ("N", "Run at least N inferences"),
    "--duration": ("N", "Run at least N seconds"),
    "--warmUp": ("N", "Run N milliseconds before measuring"),
    "--avgRuns": ("N", "Average over N inferences"),
    "--percentile": ("P", "Percentiles to report"),
    "--loadInputs": ("spec", "Input values from files, name:file"),
    "--exportTimes": ("<file>", "Write the times as JSON"),
    "--exportOutput": ("<file>", "Write the outputs as JSON"),
    "--exportProfile": ("<file>", "Write the time of each layer as JSON"),
    "--exportLayerInfo": ("<file>", "Write the layers as JSON"),
    "--builderOptimizationLevel": ("", "Effort of the builder, 0 to 5"),
    "--inputIOFormats": ("spec", "Types and formats of the inputs"),
    "--outputIOFormats": ("spec", "Types and formats of the outputs"),
    "--fp16": ("", "Enable fp16 precision"),
    "--int8": ("", "Enable int8 precision"),
    "--best": ("", "Enable all precisions"),
    "--noTF32": ("", "Disable tf32 precision"),
    "--verbose": ("", "Verbose logging"),
    "--help": ("", "Print this message"),
}

DEPRECATED = {
    "--explicitBatch": ((8, 0, 0), "--explicitBatch flag has been deprecated and has no effect!"),
    "--explicitPrecision": ((8, 0, 0), "--explicitPrecision flag has been deprecated and has no effect!"),
    "--workspace": ((8, 4, 0), "--workspace flag has been deprecated by --memPoolSize flag."),
    "--buildOnly": ((8, 6, 0), "--buildOnly flag has been deprecated by --skipInference flag."),
    "--streams": ((8, 6, 0), "--streams flag has been deprecated by --infStreams flag."),
    "--nvtxMode": ((8, 2, 0), "--nvtxMode flag has been deprecated by --profilingVerbosity flag."),
}
SIZE_UNITS = {"B": 1 / 1048576, "K": 1 / 1024, "M": 1.0, "G": 1024.0}


class Refused(Exception):
    """An argument that trtexec turns down: help, the message, FAILED."""


def flags(version: str) -> list[str]:
    """Every flag that the trtexec of this TensorRT reads (the nearest older release of the table)."""
    with open(TABLE, encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    wanted = release(version)[:2]
    columns = [n for n, name in enumerate(rows[0]) if n and tuple(map(int, name.split("."))) <= wanted]
    column = columns[-1] if columns else 1
    return [row[0] for row in rows[1:] if row[column]]


def print_help(version: str) -> None:
    """The options, a line each, as `--help` lists them."""
    known = flags(version)
    groups = {
        "Model Options": ("--onnx", "--model", "--deploy", "--output", "--uff", "--uffInput", "--uffNHWC"),
        "Inference Options": (
            *("--batch", "--shapes", "--loadInputs", "--iterations", "--warmUp", "--duration", "--sleepTime"),
            *("--idleTime", "--streams", "--infStreams", "--exposeDMA", "--noDataTransfers", "--useManagedMemory"),
            *("--useSpinWait", "--threads", "--useCudaGraph", "--timeDeserialize", "--timeRefit"),
            *("--separateProfileRun", "--skipInference", "--persistentCacheRatio", "--useProfile"),
        ),
        "Reporting Options": (
            *("--verbose", "--avgRuns", "--percentile", "--dumpRefit", "--dumpOutput", "--dumpProfile"),
            *("--dumpLayerInfo", "--dumpRawBindingsToFile", "--exportTimes", "--exportOutput", "--exportProfile"),
            *("--exportLayerInfo",),
        ),
        "System Options": (
            *("--device", "--useDLACore", "--allowGPUFallback", "--plugins", "--dynamicPlugins", "--staticPlugins"),
            *("--setPluginsToSerialize", "--ignoreParsedPluginLibs"),
        ),
        "Help": ("--help", "-h"),
    }
    placed = {flag for group in groups.values() for flag in group}
    groups = {
        "Model Options": groups.pop("Model Options"),
        "Build Options": tuple(f for f in known if f not in placed),
        **groups,
    }
    for title, members in groups.items():
        shown = [flag for flag in members if flag in known]
        if not shown:
            continue
        print(f"=== {title} ===")
        for flag in shown:
            hint, text = HINTS.get(flag, ("", ""))
            spelled = flag + (f"={hint}" if hint else "")
            print(f"  {spelled:<27} {text}".rstrip())
        print()


@dataclass
class Options:
    """What was asked, in trtexec's own defaults."""

    given: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Inputs with a profile: name -> {min, opt, max}."""
    inference_shapes: dict[str, list[int]] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    workspace_mib: float | None = None
    """None means all memory."""
    iterations: int = 10
    duration_s: float = 3.0
    warmup_ms: float = 200.0
    average_runs: int = 10
    percentiles: list[float] = field(default_factory=list)
    fp16: bool = False
    int8: bool = False
    dla: int = -1
    transfers: bool = True
    """Whether inputs and outputs are copied with every query."""
    kept_fp32: list[str] = field(default_factory=list)
    """Layers that a precision constraint keeps in fp32; `*` stands for any text."""

    def on(self, *names: str) -> bool:
        return any(name in self.given for name in names)

    def value(self, name: str) -> str:
        return self.given.get(name, "")


def parse(argv: list[str], version: str, log: Log) -> Options:
    """Read the arguments as this release does.

    Raises:
        Refused: an unknown flag or a value that does not parse; its text is what trtexec prints at level E.
    """
    known = set(flags(version))
    given: dict[str, str] = {}
    unknown = []
    for arg in argv:
        name, _, value = arg.partition("=")
        if name in known:
            given.setdefault(name, value)
        else:
            unknown.append((name, value))
    options = Options(given=given)
    for name, (since, text) in DEPRECATED.items():
        if name in given and release(version) >= since:
            log.warning(text)
    try:
        _values(options, release(version))
    except ValueError as problem:
        raise Refused(str(problem)) from None
    if unknown:
        raise Refused("\n".join(f"Unknown option: {name} {value}" for name, value in sorted(unknown)))
    if not options.on("--onnx", "--loadEngine"):
        raise Refused("Model missing or format not recognized")
    if options.on("--loadEngine") and options.on("--saveEngine"):
        raise Refused("Incompatible load and save engine options selected")
    return options


def _values(options: Options, version: tuple[int, int, int]) -> None:
    value = options.value
    options.percentiles = [99.0] if version < (8, 5, 0) else [90.0, 95.0, 99.0]
    if options.on("--percentile"):
        options.percentiles = [float(p) for p in value("--percentile").split(",")]
    for percentile in options.percentiles:
        if not 0 <= percentile <= 100:
            raise ValueError(f"Percentile {percentile:f}is not in [0,100]")
    options.iterations = _whole(options, "--iterations", 10)
    options.duration_s = float(value("--duration") or 3)
    options.warmup_ms = float(value("--warmUp") or 200)
    options.average_runs = max(1, _whole(options, "--avgRuns", 10))
    options.dla = _whole(options, "--useDLACore", -1)
    options.fp16 = options.on("--fp16", "--best")
    options.int8 = options.on("--int8", "--best") and version < (11, 0, 0)
    if options.dla >= 0 and not options.int8:
        options.fp16 = True
    options.workspace_mib = 16.0 if version < (8, 4, 0) else None
    if options.on("--workspace"):
        options.workspace_mib = float(value("--workspace"))
    for pool in filter(None, value("--memPoolSize").split(",")):
        name, _, size = pool.partition(":")
        if name not in ("workspace", "dlaSRAM", "dlaLocalDRAM", "dlaGlobalDRAM", "tacticSharedMem", "tempfs"):
            raise ValueError(f"Unknown memory pool: {name}")
        if name == "workspace":
            options.workspace_mib = _mib(size)
    wanted = options.on("--includeDataTransfers") if version >= (11, 0, 0) else not options.on("--noDataTransfers")
    options.transfers = wanted
    if value("--precisionConstraints") in ("obey", "prefer"):
        for item in filter(None, value("--layerPrecisions").split(",")):
            name, _, precision = item.rpartition(":")
            if precision == "fp32":
                options.kept_fp32.append(name.replace("'", ""))
    _shapes(options)
    for item in filter(None, value("--loadInputs").split(",")):
        name, _, file = item.rpartition(":")
        options.inputs[name.replace("'", "")] = file


def _whole(options: Options, name: str, default: int) -> int:
    text = options.value(name)
    try:
        return int(text) if text else default
    except ValueError:
        raise ValueError("stoi") from None


def _mib(size: str) -> float:
    unit = size[-1:].upper()
    return float(size[:-1]) * SIZE_UNITS[unit] if unit in SIZE_UNITS else float(size)


def _shapes(options: Options) -> None:
    ranges: dict[str, dict[str, list[int]]] = {}
    for key in ("min", "opt", "max"):
        for name, dims in _shape_list(options.value(f"--{key}Shapes")).items():
            ranges.setdefault(name, {})[key] = dims
    asked = {key for key in ("min", "opt", "max") if options.on(f"--{key}Shapes")}
    if asked and asked not in ({"opt"}, {"min", "opt", "max"}):
        raise ValueError("Must specify only --optShapes or all of --minShapes, --optShapes, --maxShapes")
    for name, shape in ranges.items():
        if "opt" not in shape:
            raise ValueError(f"Input {name} has no --optShapes")
        options.shapes[name] = {key: shape.get(key, shape["opt"]) for key in ("min", "opt", "max")}
    options.inference_shapes = _shape_list(options.value("--shapes"))
    if not options.shapes:
        for name, dims in options.inference_shapes.items():
            options.shapes[name] = {"min": dims, "opt": dims, "max": dims}
    elif not options.inference_shapes:
        options.inference_shapes = {name: shape["opt"] for name, shape in options.shapes.items()}


def _shape_list(text: str) -> dict[str, list[int]]:
    found = {}
    for item in filter(None, text.split(",")):
        # Names may hold colons: the last one ends the name.
        name, _, dims = item.rpartition(":")
        try:
            found[name.replace("'", "")] = [int(n) for n in dims.split("x") if n]
        except ValueError:
            raise ValueError("stoi") from None
    return found
