"""The one table of trtexec flags that Fleet uses, and which of several spellings to choose.

trtexec ends at the first flag that it does not know, so flags are chosen from the binary's own `--help`. The table is
what is used where the help cannot be read, and it documents when each flag came and went.

Source of the releases: `samples/common/sampleOptions.cpp` of NVIDIA/TensorRT, tags v6.0.1 to v11.1. The flags of shapes
and formats are read there through helper functions (getShapes, getFormats), in every tag from 6.0.
"""

FOREVER = (99, 0)

# flag: (first release, last release) as (major, minor)
RELEASES = {
    "--onnx": ((6, 0), FOREVER),
    "--saveEngine": ((6, 0), FOREVER),
    "--loadEngine": ((6, 0), FOREVER),
    "--help": ((6, 0), FOREVER),
    # shapes
    "--explicitBatch": ((6, 0), (8, 6)),
    "--minShapes": ((6, 0), FOREVER),
    "--optShapes": ((6, 0), FOREVER),
    "--maxShapes": ((6, 0), FOREVER),
    "--shapes": ((6, 0), FOREVER),
    # building
    "--workspace": ((6, 0), (8, 6)),
    "--memPoolSize": ((8, 4), FOREVER),
    "--buildOnly": ((6, 0), (8, 6)),
    "--skipInference": ((8, 6), FOREVER),
    "--timingCacheFile": ((8, 0), FOREVER),
    "--builderOptimizationLevel": ((8, 6), FOREVER),
    "--profilingVerbosity": ((8, 2), FOREVER),
    "--fp16": ((6, 0), (10, 99)),
    "--int8": ((6, 0), (10, 99)),
    "--calib": ((6, 0), (10, 99)),
    "--noTF32": ((7, 1), FOREVER),
    "--stronglyTyped": ((9, 0), FOREVER),
    "--useDLACore": ((6, 0), FOREVER),
    "--allowGPUFallback": ((6, 0), FOREVER),
    # running
    "--streams": ((6, 0), FOREVER),
    "--infStreams": ((8, 6), FOREVER),
    "--iterations": ((6, 0), FOREVER),
    "--duration": ((6, 0), FOREVER),
    "--warmUp": ((6, 0), FOREVER),
    "--avgRuns": ((6, 0), FOREVER),
    "--percentile": ((6, 0), FOREVER),
    "--loadInputs": ((7, 0), FOREVER),
    "--exportOutput": ((7, 0), FOREVER),
    "--dumpRawBindingsToFile": ((8, 6), FOREVER),
    "--exportTimes": ((6, 0), FOREVER),
    "--includeDataTransfers": ((11, 0), FOREVER),
    "--noCudaGraph": ((11, 0), FOREVER),
    "--noSpinWait": ((11, 0), FOREVER),
    # used as a sign of the release only: see tool.Tool
    "--allowWeightStreaming": ((10, 0), FOREVER),
}

OWNED = frozenset(
    flag
    for flag in RELEASES
    if flag not in ("--profilingVerbosity", "--avgRuns", "--percentile", "--allowWeightStreaming", "--stronglyTyped")
)
"""What a specification's `extra` flags may not set, because Fleet sets it or relies on its absence."""


def of_release(version):
    """The flags of RELEASES that the trtexec of this (major, minor) has."""
    return frozenset(flag for flag, (first, last) in RELEASES.items() if first <= tuple(version[:2]) <= last)


def workspace(has, mib):
    """The workspace limit in MiB: never left to trtexec, whose default is 16 MiB up to 8.3 and all memory from 8.4."""
    if "--memPoolSize" in has:
        return ["--memPoolSize=workspace:{}".format(mib)]
    return ["--workspace={}".format(mib)]


def build_only(has):
    """Build and save without timing inference afterwards."""
    return ["--skipInference"] if "--skipInference" in has else ["--buildOnly"] if "--buildOnly" in has else []


def explicit_batch(has):
    """The batch is a dimension of the network: to be said up to 8.1, when building and again when loading.

    From 8.2 (which brought --profilingVerbosity) the flag is only a deprecated synonym of what happens anyway.
    """
    return ["--explicitBatch"] if "--explicitBatch" in has and "--profilingVerbosity" not in has else []


def one_stream(has):
    """One query at a time."""
    return ["--infStreams=1"] if "--infStreams" in has else ["--streams=1"]


def plain_inference(has):
    """Inference as up to 10.x: with transfers, without CUDA graphs, blocking. 11 turned all three defaults around."""
    return [flag for flag in ("--includeDataTransfers", "--noCudaGraph", "--noSpinWait") if flag in has]


def precision(has, wanted, typed=False):
    """The flags for a precision, or None where this trtexec cannot be told (11: it must stand in the graph).

    args:
        wanted (str): fp32, fp16 or int8
        typed (bool): the graph itself says every tensor's type (casts, quantize nodes)
    """
    # TF32 multiplies with fp16's mantissa on Ampere and later; a build called fp32 is the reference that others fall
    # back to, so it must be fp32. Older devices have no TF32 and trtexec takes the flag all the same.
    exact = ["--noTF32"] if wanted == "fp32" and "--noTF32" in has else []
    if typed and "--stronglyTyped" in has:
        return ["--stronglyTyped"] + exact
    if wanted == "fp32":
        return exact
    flag = "--" + wanted
    if flag in has:
        return [flag]
    return [] if typed else None


def shapes(flag, by_name):
    """`--flag=name:1x3x8,other:1` for {name: shape}."""
    return "{}={}".format(
        flag, ",".join("{}:{}".format(name, "x".join(str(n) for n in shape)) for name, shape in by_name)
    )
