"""Run input blobs through an engine with trtexec and bring its outputs back as raw files."""

import os
import re

from .. import files
from ..errors import JobError
from . import bindings, tensors, texts
from . import spec as specs

SILENCE_S = 600
TIMEOUT_S = 1800

_WRITING = re.compile(r"Writing file for output binding (.*) \(with datatype (\w+) and dimensions ([\d.]*)\) to (.+)$")
_RAW_NAME = re.compile(r"^(.*?)\.output\.((?:\d+\.)+|\.)(\w+)\.raw$")


def run(spec, job):
    """Run every launch of a spec.

    args:
        spec (dict): docs/architecture.md, Jobs; besides: trtexec, flags, tensorrt (else from the passport), timeout_s
            (one launch), and outputs as [{name, dtype}] (else from the passport): trtexec before 8.6 prints no types
    returns:
        dict: launches [{outputs [{name, dtype, shape, path, sha256, size_bytes, nan, inf, exact}], duration_s, argv}],
        warnings. `exact` is false where values were printed with six digits (before 8.6).
    raises:
        JobError: engine (does not load here), spec (inputs), oom, flag, tool, timeout, cancelled
    """
    specs.require(spec, "key", "launches")
    engine = bindings.open_engine(spec, job)
    if "--loadInputs" not in engine.tool.flags:
        raise JobError(
            "tool",
            "this trtexec cannot be given inputs",
            "--loadInputs came with TensorRT 7",
            "validate on a JetPack from 4.4 on",
        )
    given = {one["name"]: one["dtype"] for one in spec.get("outputs") or () if one.get("dtype")}
    declared = dict(engine.outputs, **given)
    warnings = []
    launches = []
    for number, launch in enumerate(spec["launches"]):
        job.event(phase="running", fraction=float(number) / len(spec["launches"]))
        folder = os.path.join(job.folder, "launch{}".format(number))
        files.make_folder(folder)
        launches.append(_Launch(spec, job, engine, folder, declared).go(launch["inputs"], warnings))
    job.event(phase="running", fraction=1.0)
    return {"launches": launches, "warnings": warnings}


class _Launch(object):
    """One start of trtexec, in a folder of its own: one query, its inputs and outputs."""

    def __init__(self, spec, job, engine, folder, declared):
        self.spec = spec
        self.job = job
        self.engine = engine
        self.folder = folder
        self.declared = declared

    def go(self, inputs, warnings):
        shapes = {one["name"]: one["shape"] for one in inputs}
        if len(shapes) != len(inputs):
            raise JobError("spec", "an input is given twice", ", ".join(one["name"] for one in inputs))
        self.engine.check_shapes(shapes)
        self.engine.link(self.folder)
        pairs = [self._place(number, one) for number, one in enumerate(inputs)]
        # One query and nothing else: in every release the loop runs while i < iterations or time < duration + warmUp.
        argv = (
            [self.engine.tool.path]
            + self.engine.load_arguments()
            + ["--iterations=1", "--duration=0", "--warmUp=0", "--loadInputs=" + ",".join(pairs)]
        )
        argv += self.engine.shape_arguments(shapes)
        outputs = None
        if "--dumpRawBindingsToFile" in self.engine.tool.flags:
            full, lines, done = self._start(argv + ["--dumpRawBindingsToFile"], warnings)
            outputs = self._raw_outputs(lines)
        if outputs is None:
            self._refuse_int8_as_text()
            full, _, done = self._start(argv + ["--exportOutput=out.json"], warnings)
            outputs = self._text_outputs()
        lost = sorted(set(self.declared) - {one["name"] for one in outputs})
        if lost:
            why = "it returned {}".format(", ".join(one["name"] for one in outputs))
            raise JobError("tool", "trtexec returned no output '{}'".format(lost[0]), why, "see output.log of the job")
        return {"outputs": outputs, "duration_s": done.duration_s, "argv": full}

    def _start(self, argv, warnings):
        watch = texts.Watch()
        lines = []

        def on_line(line):
            watch.feed(line)
            if "Writing file for output binding" in line:
                lines.append(texts.strip(line))

        done = self.job.run(
            argv,
            cwd=self.folder,
            on_line=on_line,
            timeout_s=self.spec.get("timeout_s", TIMEOUT_S),
            silence_s=self.spec.get("silence_s", SILENCE_S),
        )
        bindings.judge(watch, done)
        note = "the engine was built on another model or under another power cap: its timing may differ"
        if watch.other_model and note not in warnings:
            warnings.append(note)
        return argv, lines, done

    def _place(self, number, one):
        """Check an input's bytes and lay it down under a short name; trtexec itself takes short and long files."""
        name, dtype, shape = one["name"], one["dtype"], one["shape"]
        blob = specs.blob(self.job, one["blob"], "input '{}'".format(name))
        target = "in{}.bin".format(number)
        path = os.path.join(self.folder, target)
        files.remove(path)
        if dtype not in tensors.ITEM_BYTES:
            raise JobError("spec", "input '{}' has type {}".format(name, dtype), "no engine takes that type")
        found = os.path.getsize(blob)
        wanted = tensors.size_bytes(dtype, shape)
        if found != wanted:
            raise JobError(
                "spec",
                "input '{}' has {} bytes".format(name, found),
                "{} of shape {} has {}".format(dtype, "x".join(str(n) for n in shape) or "scalar", wanted),
                "send the tensor in the engine's type and shape",
            )
        takes = self.engine.dtype(name, dtype)
        if dtype == takes:
            os.symlink(blob, path)
        elif (dtype, takes) == ("int64", "int32"):
            tensors.cast_int64_to_int32(blob, path, name)
        else:
            raise JobError("spec", "input '{}' is {}".format(name, dtype), "the engine takes {}".format(takes))
        return "{}:{}".format(name, target)

    def _raw_outputs(self, lines):
        """The outputs that trtexec dumped, or None where their names cannot be understood."""
        found = []
        for line in lines:
            match = _WRITING.search(line)
            if match:
                found.append(match.groups())
        if not found:
            found = self._raw_names()
        outputs = []
        for number, (name, spelled, dims, file_name) in enumerate(found):
            dtype = tensors.SPELLED.get(spelled.lower())
            source = os.path.join(self.folder, os.path.basename(file_name.strip()))
            shape = [int(n) for n in dims.split(".") if n]
            if dtype is None or not os.path.isfile(source):
                return None
            if os.path.getsize(source) != tensors.size_bytes(dtype, shape):
                return None
            path = os.path.join(self.folder, "out{}.bin".format(number))
            os.replace(source, path)
            outputs.append(_output(name, dtype, shape, path, True))
        return outputs or None

    def _raw_names(self):
        """[(name, type, dimensions, file)] from the files themselves, whose names have every odd character as `_`."""
        found = []
        for file_name in sorted(os.listdir(self.folder)):
            match = _RAW_NAME.match(file_name)
            if match:
                safe, dims, spelled = match.groups()
                names = [name for name in self.declared if re.sub(r"[^\w.,-]", "_", name) == safe]
                found.append((names[0] if len(names) == 1 else safe, spelled, dims, file_name))
        return found

    def _refuse_int8_as_text(self):
        for name, dtype in sorted(self.declared.items()):
            # 8.5 brought --persistentCacheRatio, and prints int8 as numbers.
            if dtype == "int8" and "--persistentCacheRatio" not in self.engine.tool.flags:
                raise JobError(
                    "tool",
                    "output '{}' cannot be read".format(name),
                    "trtexec before 8.5 prints int8 as characters",
                    "give the model a float output (a Cast at the end of the graph)",
                )

    def _text_outputs(self):
        path = os.path.join(self.folder, "out.json")
        try:
            with open(path, "r", encoding="utf-8", errors="replace") as stream:
                text = stream.read()
        except OSError:
            raise JobError("tool", "trtexec exported no outputs", "out.json is missing", "see output.log of the job")
        outputs = []
        for number, (name, dtype, shape, data) in enumerate(tensors.parse_export(text, self.declared)):
            kept = dtype if dtype in tensors.ARRAY_TYPES else "float32"
            target = os.path.join(self.folder, "out{}.bin".format(number))
            with open(target, "wb") as stream:
                data.tofile(stream)
            outputs.append(_output(name, kept, shape, target, kept != "float32"))
        files.remove(path)
        return outputs


def _output(name, dtype, shape, path, exact):
    nan, inf = tensors.count_nonfinite(path, dtype)
    return {
        "name": name,
        "dtype": dtype,
        "shape": shape,
        "path": path,
        "sha256": files.sha256_of(path),
        "size_bytes": os.path.getsize(path),
        "nan": nan,
        "inf": inf,
        "exact": exact,
    }
