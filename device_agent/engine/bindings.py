"""What an engine takes: its file, its trtexec and the inputs that it was built with, from its passport."""

import os

from .. import files
from ..errors import JobError
from . import flags, tool
from . import spec as specs

CARRIED = ("--useDLACore", "--plugins", "--staticPlugins", "--dynamicPlugins")
"""Flags of a build that its engine needs again when it is loaded."""


class Engine(object):
    """An engine of this device, ready to be loaded by trtexec.

    attributes:
        path (str): the engine's file
        tool (tool.Tool): the trtexec to load it with, the one that built it unless the spec names another
        inputs (dict or None): name -> {dtype, shape, min, opt, max} of the ONNX file, None for an unknown passport
        outputs (dict): name -> type of the binding, as far as the passport tells
    """

    def __init__(self, path, trtexec, built):
        self.path = path
        self.tool = trtexec
        self.inputs = {one["name"]: one for one in built["inputs"]} if built.get("inputs") else None
        self._carried = [one for one in built.get("argv") or () if one.split("=")[0] in CARRIED]
        self.outputs = {one["name"]: self._bound(one["dtype"]) for one in built.get("outputs") or () if one["dtype"]}

    def load_arguments(self):
        """trtexec's arguments that load it and run plain inference; cwd holds a link `model.engine`."""
        has = self.tool.flags
        return (
            ["--loadEngine=model.engine"]
            + flags.explicit_batch(has)
            + flags.one_stream(has)
            + flags.plain_inference(has)
            + self._carried
        )

    def link(self, folder):
        """Put `model.engine` into a folder: short, and free of the `:` and `,` that trtexec splits at."""
        path = os.path.join(folder, "model.engine")
        files.remove(path)
        os.symlink(self.path, path)

    def dynamic(self, name):
        """Whether an input's shape must be given."""
        known = (self.inputs or {}).get(name)
        return known is None or any(n < 0 for n in known["shape"])

    def dtype(self, name, given):
        """The type of an input's binding."""
        known = (self.inputs or {}).get(name)
        return self._bound(known["dtype"] if known else given)

    def _bound(self, dtype):
        """What becomes of a type of the ONNX file: int64 is int32 before TensorRT 10, and there is no float64."""
        if dtype == "int64" and not self.tool.int64_bindings:
            return "int32"
        return "float32" if dtype == "float64" else dtype

    def check_shapes(self, shapes):
        """Refuse unknown or missing inputs and shapes that the engine was not built for. raises: JobError (spec)."""
        for name, shape in shapes.items():
            check_name(name)
            if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in shape):
                raise JobError("spec", "input '{}' has shape {}".format(name, shape), "allowed: whole numbers")
        if self.inputs is None:
            return
        unknown = sorted(set(shapes) - set(self.inputs))
        missing = sorted(set(self.inputs) - set(shapes))
        if unknown or missing:
            what = "has no input '{}'".format(unknown[0]) if unknown else "needs input '{}'".format(missing[0])
            raise JobError("spec", "the engine " + what, "its inputs: {}".format(", ".join(sorted(self.inputs))))
        for name, shape in shapes.items():
            problem = _misfit(self.inputs[name], shape)
            if problem:
                raise JobError("spec", "input '{}' has shape {}".format(name, _x(shape)), problem)

    def shape_arguments(self, shapes):
        """`--shapes` for the inputs that need it. A static input takes its shape from the engine."""
        needed = [(name, shape) for name, shape in sorted(shapes.items()) if self.dynamic(name)]
        return [flags.shapes("--shapes", needed)] if needed else []


def open_engine(spec, job):
    """The Engine of spec["key"].

    args:
        spec (dict): key; optional trtexec (device path), flags, tensorrt
    raises:
        JobError: engine (not there), tool (no trtexec)
    """
    key = specs.engine_key(spec)
    path = job.root.engine(key)
    if not os.path.isfile(path) or not os.path.getsize(path):
        raise JobError("engine", "there is no engine {}".format(key[:12]), path, "build it: fleet deploy")
    built = (files.read_json(job.root.passport(key), {}) or {}).get("build") or {}
    trtexec = tool.find(
        job.root,
        spec.get("trtexec") or built.get("trtexec"),
        spec.get("flags"),
        spec.get("tensorrt") or built.get("tensorrt"),
    )
    return Engine(path, trtexec, built)


def check_name(name):
    """Refuse a tensor name that trtexec's lists cannot carry. raises: JobError (spec)."""
    if "," in name or "'" in name:
        raise JobError(
            "spec",
            "input '{}' cannot be given to trtexec".format(name),
            "it splits its lists at commas and quotes",
            "rename the input (surgery)",
        )


def judge(watch, done):
    """Raise the JobError of a trtexec that loaded an engine and did not pass."""
    if done.rc == 0 and watch.passed:
        return
    data = {"rc": done.rc, "signal": done.signal, "tail": done.tail}
    if watch.flag:
        raise JobError("flag", "trtexec does not know the flag {}".format(watch.flag), flag=watch.flag, **data)
    if watch.oom or done.rc == 137:
        why = watch.oom or "killed by the kernel (signal 9)"
        raise JobError("oom", "no memory to run the engine", why, "free memory on the device", **data)
    if watch.engine:
        raise JobError("engine", watch.engine_means, watch.engine, "rebuild it: fleet deploy --force", **data)
    why = watch.errors[0] if watch.errors else "it ended with status {} and named no error".format(done.rc)
    raise JobError("tool", "trtexec could not run the engine", why, "see output.log of the job", **data)


def _misfit(known, shape):
    """Why a shape does not fit an input, or an empty string."""
    if len(shape) != len(known["shape"]):
        return "the engine takes {} dimensions".format(len(known["shape"]))
    for axis, (given, fixed) in enumerate(zip(shape, known["shape"])):  # noqa: B905
        low = fixed if fixed >= 0 else known["min"][axis]
        high = fixed if fixed >= 0 else known["max"][axis]
        if not low <= given <= high:
            allowed = str(low) if low == high else "{} to {}".format(low, high)
            return "the engine takes {} in dimension {}".format(allowed, axis)
    return ""


def _x(shape):
    return "x".join(str(n) for n in shape) or "scalar"
