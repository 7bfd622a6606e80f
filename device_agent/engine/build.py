"""Build an engine from an ONNX blob with trtexec, retrying with smaller workspaces when memory runs out."""

import os
import signal
import time

from .. import files
from ..errors import JobError
from . import flags, graph, landing, memory, texts, tool
from . import spec as specs
from .progress import Progress

PRECISIONS = ("fp32", "fp16", "int8")
ONNX = "model.onnx"
ENGINE = "model.engine"
# The longest that a healthy build was seen silent is the timing of one layer's tactics, minutes on a Nano.
SILENCE_S = 1800


def build(spec, job):
    """Make engines/<key>/model.engine.

    args:
        spec (dict): docs/architecture.md, Jobs; besides: `flags` (what --help lists, from the facts), `tensorrt`
            ("8.2.1"), `expected_s`, `silence_s`, options.typed (the graph itself says every tensor's type) and
            options.calibration (digest of a calibration cache, for int8)
    returns:
        dict: engine {path, sha256, size_bytes}, build {tool, argv, duration_s, workspace_mib, attempts, warnings, ...}
    raises:
        JobError: oom, flag, parser, timeout, cancelled, tool or spec; data: rc, signal, tail, kernel, attempts, argv
    """
    started = time.monotonic()
    specs.require(spec, "key", "onnx", "precision", "inputs")
    key, bucket = specs.engine_key(spec), specs.timing_bucket(spec)
    trtexec = tool.find(job.root, spec.get("trtexec"), spec.get("flags"), spec.get("tensorrt"))
    onnx = _onnx(spec, job)
    fixed, warnings = arguments(spec, job, trtexec, onnx)
    ladder = _Ladder(spec, job, trtexec, fixed)
    watch, argv, mib = ladder.climb()
    ladder.progress.saving()
    if watch.skipped_tactics:
        warnings.append(
            "{} tactics were not tried for want of memory: the engine may be slower than it could be".format(
                watch.skipped_tactics
            )
        )
    version = watch.version or trtexec.version
    report = {
        "tool": "trtexec",
        "trtexec": trtexec.path,
        "tensorrt": ".".join(str(n) for n in version) if version else spec.get("tensorrt"),
        "argv": argv,
        "duration_s": round(time.monotonic() - started, 3),
        "workspace_mib": mib,
        "attempts": ladder.attempts,
        "warnings": warnings,
        "inputs": spec["inputs"],
        "outputs": onnx.outputs,
    }
    engine = landing.land(
        job,
        key,
        os.path.join(job.folder, ENGINE),
        {"precision": spec["precision"], "built_at": int(time.time()), "build": report},
    )
    landing.return_timing_cache(job, bucket)
    ladder.progress.tell("engine of {} bytes saved".format(engine["size_bytes"]), 1.0)
    return {"engine": engine, "build": report}


def arguments(spec, job, trtexec, onnx):
    """trtexec's arguments but for the workspace, and warnings. raises: JobError (spec, flag)."""
    options = spec.get("options") or {}
    has = trtexec.flags
    warnings = []
    argv = ["--onnx=" + ONNX, "--saveEngine=" + ENGINE] + flags.explicit_batch(has) + flags.build_only(has)
    argv += _precision(spec, options, job, trtexec, onnx)
    argv += _shapes(spec["inputs"])
    private = landing.borrow_timing_cache(job, spec.get("timing_cache")) if "--timingCacheFile" in has else None
    if private:
        argv.append("--timingCacheFile=" + os.path.basename(private))
    if options.get("dla_core") is not None:
        if spec["precision"] == "fp32":
            raise JobError("spec", "fp32 on a DLA is not possible", "a DLA computes in fp16 and int8", "ask for fp16")
        argv += ["--useDLACore={}".format(options["dla_core"]), "--allowGPUFallback"]
    if options.get("opt_level") is not None:
        if "--builderOptimizationLevel" in has:
            argv.append("--builderOptimizationLevel={}".format(options["opt_level"]))
        else:
            warnings.append("opt_level is ignored: {} has no --builderOptimizationLevel (8.6 on)".format(trtexec.name))
    return argv + _extra(options.get("extra") or [], trtexec), warnings


def _onnx(spec, job):
    """Check the ONNX blob, lay it down as model.onnx and return what it says of itself."""
    blob = specs.blob(job, spec["onnx"], "the ONNX file")
    link = os.path.join(job.folder, ONNX)
    files.remove(link)
    os.symlink(blob, link)
    return graph.read(blob)


def _precision(spec, options, job, trtexec, onnx):
    wanted = spec["precision"]
    if wanted not in PRECISIONS:
        raise JobError("spec", "precision '{}' is unknown".format(wanted), "known: {}".format(", ".join(PRECISIONS)))
    typed = bool(options.get("typed"))
    chosen = flags.precision(trtexec.flags, wanted, typed)
    if chosen is None:
        raise JobError(
            "spec",
            "{} cannot build {} from an untyped graph".format(trtexec.name, wanted),
            "TensorRT 11 takes precision from the graph alone (strongly typed)",
            "export the model in {} (casts or quantize nodes in the graph), or ask for fp32".format(wanted),
        )
    if wanted != "int8" or typed:
        return chosen
    calibration = options.get("calibration")
    if calibration:
        return chosen + ["--calib=" + specs.blob(job, calibration, "the calibration cache")]
    if not onnx.quantized:
        raise JobError(
            "spec",
            "int8 without calibration",
            "the graph has no QuantizeLinear and no calibration cache is given; trtexec would use random ranges",
            "quantize the model, or give a calibration cache",
        )
    return chosen


def _shapes(inputs):
    """The profile of the dynamic inputs; static ones have their shape from the graph."""
    dynamic = [one for one in inputs if any(n < 0 for n in one["shape"])]
    for one in dynamic:
        if "," in one["name"]:
            raise JobError(
                "spec",
                "input '{}' cannot be given a shape".format(one["name"]),
                "trtexec splits its lists at commas",
                "rename the input (surgery)",
            )
        for bound in ("min", "opt", "max"):
            if not one.get(bound) or len(one[bound]) != len(one["shape"]):
                raise JobError(
                    "spec",
                    "input '{}' is dynamic and has no {} shape of its rank".format(one["name"], bound),
                    "its shape is {}".format(one["shape"]),
                    "give min, opt and max",
                )
    if not dynamic:
        return []
    return [
        flags.shapes(flag, [(one["name"], one[bound]) for one in dynamic])
        for flag, bound in (("--minShapes", "min"), ("--optShapes", "opt"), ("--maxShapes", "max"))
    ]


def _extra(extra, trtexec):
    for item in extra:
        name = item.split("=")[0]
        if name in flags.OWNED:
            raise JobError("spec", "extra flag {} is Fleet's own".format(name), "Fleet sets it, or needs it unset")
        if trtexec.all_flags and name not in trtexec.flags:
            raise JobError(
                "flag",
                "{} has no flag {}".format(trtexec.name, name),
                "an unknown flag ends the build",
                "remove it from build.extra for this device",
                flag=name,
            )
    return list(extra)


class _Ladder(object):
    """Attempts with ever smaller workspaces, until one is good or fails for another reason than memory."""

    def __init__(self, spec, job, trtexec, fixed):
        self.spec = spec
        self.job = job
        self.tool = trtexec
        self.fixed = fixed
        self.attempts = []
        self.progress = Progress(job, spec.get("expected_s"))
        self._built = os.path.join(job.folder, ENGINE)

    def climb(self):
        """(Watch, argv, workspace in MiB) of the attempt that was good. raises: JobError."""
        mib = memory.first_mib(self.spec.get("workspace"))
        limit_s = self.spec.get("timeout_s")
        started = time.monotonic()
        while True:
            left_s = limit_s - (time.monotonic() - started) if limit_s else None
            argv = [self.tool.path] + self.fixed + flags.workspace(self.tool.flags, mib)
            failure, watch = self._attempt(argv, mib, left_s if left_s is None else max(left_s, 1))
            if failure is None:
                return watch, argv, mib
            smaller = memory.next_mib(mib) if failure.kind == "oom" else None
            if smaller is None:
                raise failure
            self.progress.restart()
            self.progress.tell("{}; trying a workspace of {} MiB".format(failure.what, smaller))
            mib = smaller

    def _attempt(self, argv, mib, timeout_s):
        """One run of trtexec: (None, Watch) if it is good, else (JobError, Watch)."""
        files.remove(self._built)
        watch = texts.Watch()

        def on_line(line):
            watch.feed(line)
            self.progress.feed(line)

        began_s = memory.uptime_s()
        available_mib = memory.available_mib()
        record = {"workspace_mib": mib, "available_mib": available_mib, "rc": None, "signal": None, "reason": None}
        self.attempts.append(record)
        clock = time.monotonic()
        try:
            done = self.job.run(
                argv, on_line=on_line, timeout_s=timeout_s, silence_s=self.spec.get("silence_s", SILENCE_S)
            )
        except JobError as problem:
            record.update(duration_s=round(time.monotonic() - clock, 3), reason=problem.kind)
            problem.data.update(attempts=self.attempts, argv=argv)
            raise
        failure = self._judge(watch, done, mib, available_mib)
        record.update(rc=done.rc, signal=done.signal, duration_s=done.duration_s)
        if failure is not None:
            record["reason"] = failure.kind
            failure.data.update(
                rc=done.rc,
                signal=done.signal,
                tail=done.tail,
                kernel=memory.kernel_lines(began_s) if failure.kind == "oom" else [],
                attempts=self.attempts,
                argv=argv,
            )
        return failure, watch

    def _judge(self, watch, done, mib, available_mib):
        """None for a success: rc 0, `&&&& PASSED` and an engine that is not empty. All three, else a JobError."""
        if done.rc == 0 and watch.passed:
            if os.path.isfile(self._built) and os.path.getsize(self._built):
                return None
            return JobError(
                "tool",
                "trtexec said PASSED and left no engine",
                "no {} in the job's folder, or an empty one".format(ENGINE),
                "is the disk full? see build.log",
            )
        if any("Saving engine to file failed" in line for line in watch.errors):
            free = files.free_bytes(self.job.folder)
            why = "" if free is None else "{} MiB are free on its disk".format(free >> 20)
            return JobError("tool", "trtexec could not save the engine", why, "free disk space below fleet_root")
        return explain(watch, done, mib, available_mib, [one["workspace_mib"] for one in self.attempts])


def explain(watch, done, mib, available_mib=None, tried=()):
    """The JobError for a trtexec that failed to build."""
    if watch.flag:
        return JobError(
            "flag",
            "trtexec does not know the flag {}".format(watch.flag),
            "this trtexec's --help does not match what it takes",
            "remove the flag from build.extra, or gather the device's facts again",
            flag=watch.flag,
        )
    refused = watch.parse_failure()
    if refused:
        return _parser_error(refused)
    if watch.dla:
        return JobError("tool", "the device has no such DLA", watch.dla, "remove dla_core for this device")
    killed = done.signal == signal.SIGKILL or done.rc == 128 + signal.SIGKILL
    if killed or watch.oom:
        how = "was killed by the kernel (out of memory)" if killed else "ran out of memory"
        why = [] if available_mib is None else ["{} MiB were available when it started".format(available_mib)]
        why += ["tried workspaces of {} MiB".format(", ".join(str(one) for one in tried))] if len(tried) > 1 else []
        return JobError(
            "oom",
            "trtexec {} at workspace {} MiB".format(how, mib),
            "; ".join(why) or watch.oom or "",
            "free memory on the device (stop the desktop and other services), or build a smaller batch",
        )
    if done.signal:
        return _tool_error("trtexec crashed with signal {}".format(done.signal), watch)
    if watch.workspace:
        what = "the workspace of {} MiB is too small".format(mib)
        return JobError("tool", what, watch.workspace, "raise build.workspace")
    if done.rc == 0:
        return _tool_error("trtexec ended without saying PASSED", watch)
    return _tool_error("trtexec failed with status {}".format(done.rc), watch)


def _tool_error(what, watch):
    return JobError("tool", what, watch.errors[0] if watch.errors else "it named no error", "see build.log")


def _parser_error(refused):
    operator, node = refused["operator"], refused["node"]
    what = "the ONNX parser refused the model"
    if operator:
        what = "the ONNX parser refused operator {}".format(operator)
    if node is not None:
        what += " (node {}{})".format(node, " '{}'".format(refused["name"]) if refused["name"] else "")
    return JobError(
        "parser",
        what,
        refused["message"] or "see build.log",
        "export with another opset, or replace the operator (surgery)",
        operator=operator,
        node=node,
        node_name=refused["name"],
        output=refused["output"],
    )
