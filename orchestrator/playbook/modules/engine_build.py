"""Walks each engine's precision ladder on the device: build, run, judge, until a rung stands."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator.engines.inference import fetch_bytes, run_launches
from orchestrator.engines.key import digest
from orchestrator.engines.launches import join
from orchestrator.engines.plan import BUILD, REUSE, REVALIDATE, Step
from orchestrator.engines.verdicts import Tolerance, Verdict, judge
from orchestrator.engines.work import BUILT, FAILED, REUSED, REVALIDATED, Work
from orchestrator.errors import ActionError, BuildError, DeviceError, RunError, VerdictError
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Outcome, module
from orchestrator.playbook.modules.engine_push import launches, push


@module("engine_build")
def engine_build(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Build the engines that are to be built and judge their outputs against the reference.

    Each build is a job of its own on the device, which goes on when the link or the controller dies. A rung of the
    ladder that fails its verdict is remembered on the device and the next one is tried. Where the power state had to be
    mended in this run, engines that stand are judged again.

    Returns engines: model, batch, action, precision of each.
    """
    works: list[Work] = task.scratch["engines"]
    if task.check:
        todo = [work for work in works if work.plan.action in (BUILD, REVALIDATE)]
        return Outcome(bool(todo), message=f"would build or judge {len(todo)} of {len(works)} engines")
    for work in works:
        if work.action is None:
            _walk(task, work)
    summary = [
        {
            "model": work.spec.name,
            "batch": work.variant.batch,
            "action": work.action,
            "precision": work.step.rung.precision if work.step else None,
        }
        for work in works
    ]
    changed = any(work.action in (BUILT, REVALIDATED) for work in works)
    return Outcome(changed, {"engines": summary}, message=", ".join(f"{w.title}: {w.action}" for w in works))


def _walk(task: TaskContext, work: Work) -> None:
    error: DeviceError | None = None
    for step in work.plan.steps:
        work.step = step
        if step.action not in (REUSE, REVALIDATE, BUILD):
            work.note(step, step.action, step.reason)
            continue
        try:
            _climb(task, work, step)
            return
        except (BuildError, RunError, VerdictError) as problem:
            error = problem
            work.note(step, FAILED, f"{problem.what}: {problem.why}" if problem.why else problem.what)
            task.warn(f"{work.title} at {step.rung.precision}: {problem.what}; {problem.why}")
    assert error is not None
    work.settle(FAILED, error.why or error.what, error)


def _climb(task: TaskContext, work: Work, step: Step) -> None:
    """Bring one rung to a good end, or raise a BuildError, RunError or VerdictError."""
    action, reason = step.action, step.reason
    mended = task.state_of_host.repaired
    if action == REUSE and mended:
        action, reason = REVALIDATE, "; ".join(mended)
    if action == REUSE:
        assert step.passport is not None
        work.verdict, work.benchmark = step.passport["verdict"], step.passport.get("benchmark")
        work.engine, work.build = step.passport["engine"], step.passport.get("build") or {}
        work.note(step, REUSED, reason)
        work.settle(REUSED, _with_earlier(work, reason))
        return
    if action == BUILD:
        _build(task, work, step)
    else:
        assert step.passport is not None
        work.engine, work.build = step.passport["engine"], step.passport.get("build") or {}
    task.device.call("passport_write", {"key": step.rung.key, "passport": _passport(task, work, step)})
    verdict = _judge(task, work, step)
    work.verdict = verdict.to_json()
    work.fresh = True
    task.device.call(
        "passport_write", {"key": step.rung.key, "passport": {"verdict": {**work.verdict, "at": time.time()}}}
    )
    if not verdict.passed:
        raise VerdictError(
            f"{work.title}: the {step.rung.precision} engine's outputs are wrong",
            "; ".join(verdict.reasons),
            "see the verdict in the report; add a more exact precision to the ladder, or change the tolerances",
        )
    done = BUILT if action == BUILD else REVALIDATED
    work.note(step, done, reason)
    work.settle(done, _with_earlier(work, reason))


def _passport(task: TaskContext, work: Work, step: Step) -> dict[str, Any]:
    """What an engine was made from and for; how it was built is the agent's to write."""
    assert work.export is not None
    names = ("hostname", "module", "l4t", "jetpack", "tensorrt", "power_mode", "clocks")
    return {
        "model": work.spec.name,
        "precision": step.rung.precision,
        "batch": work.variant.batch,
        "parts": dict(step.rung.parts),
        "sources": work.export.sources,
        "export": {"opset": work.export.opset, "steps": list(work.export.steps)},
        "virtual": task.facts["virtual"],
        "device": {name: task.facts.get(name) for name in names},
        "failure": None,
    }


def _with_earlier(work: Work, reason: str) -> str:
    """The reason, and why the rungs above this one were passed over."""
    above = [f"{r['precision']}: {r['reason']}" for r in work.rungs[:-1]]
    return "; ".join([reason, *above])


def _build(task: TaskContext, work: Work, step: Step) -> None:
    rung, spec, facts = step.rung, work.spec, task.facts
    assert work.export is not None
    push(task, {work.export.onnx, *(blob for launch in launches(task, work) for blob in launch.blobs)})
    bucket = _bucket(facts, rung.parts.get("power_mode"))
    job = {
        "key": rung.key,
        "onnx": work.export.onnx,
        "tool": spec.build.tool,
        "trtexec": facts["trtexec"],
        "precision": rung.precision,
        "inputs": [binding.to_json() for binding in work.export.inputs],
        "workspace": rung.parts["options"]["workspace"],
        "timing_cache": bucket if spec.build.timing_cache else None,
        "options": dict(spec.build.options),
        "timeout_s": spec.build.timeout_s,
    }
    # The job's name holds what it builds: a build that another run started and that still goes on is attached to, not
    # doubled. One that has ended is past: the plan says that its engine is not there or not wanted.
    name = f"build-{rung.key[:20]}"
    with contextlib.suppress(ActionError):
        task.device.call("job_remove", {"id": name})
    detail = f"{spec.name} {rung.precision}"
    task.state("building", detail)
    _start(task, name, rung.key, job)
    result = task.device.follow_job(name, _progress(task, "building", detail))
    if result["state"] in ("lost", "cancelled"):
        raise ActionError(
            f"{work.title}: the build was {result['state']}", "that says nothing of the model", "run again"
        )
    if result["state"] != "done":
        raise _build_error(task, work, step, name, result)
    work.engine, work.build = result["result"]["engine"], result["result"]["build"]
    work.timing_cache = bucket if spec.build.timing_cache else None
    for warning in work.build.get("warnings") or []:
        task.note(f"{work.title}: {warning}")


def _start(task: TaskContext, name: str, key: str, job: dict[str, Any]) -> None:
    started = task.device.start_job(name, "build", job)
    # A job that is done is attached to as well, but what it built may have been damaged or lost since.
    if started["attached"] and started["state"] == "done":
        engine = task.device.call("engines", {"keys": [key]}).data["engines"][key]
        if not engine["intact"]:
            task.device.call("job_remove", {"id": name})
            task.device.start_job(name, "build", job)


def _bucket(facts: dict[str, Any], power_mode: str | None) -> str:
    """Devices of one bucket may share a timing cache: it is bound to device, CUDA, TensorRT and power state."""
    names = ("module", "compute_capability", "tensorrt", "cuda")
    return digest([*(facts.get(name) for name in names), power_mode])[:20]


def _progress(task: TaskContext, state: str, detail: str) -> Callable[[dict[str, Any]], None]:
    """Shows a job's events as the device's state."""

    def event(data: dict[str, Any]) -> None:
        if data.get("fraction") is not None or data.get("phase"):
            task.state(state, f"{detail} {data.get('phase') or ''}".strip(), data.get("fraction"))

    return event


def _save_log(task: TaskContext, work: Work, step: Step, name: str, tail: list[str]) -> Path:
    """What the build printed, beside the run's artifacts: whole if the device still has it, else its end."""
    folder = task.run.directory / "artifacts" / task.name / work.spec.name
    log = folder / f"{work.file.removesuffix('.engine')}.{step.rung.precision}.failed.log"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        content = fetch_bytes(task.device, f"{task.device.root}/jobs/{name}/output.log")
    except DeviceError:
        content = ("\n".join(tail) + "\n").encode()
    log.write_bytes(content)
    return log


def _build_error(task: TaskContext, work: Work, step: Step, name: str, result: dict[str, Any]) -> BuildError:
    from orchestrator.platforms.failures import explain

    error = result.get("error") or {}
    log = _save_log(task, work, step, name, error.get("tail") or [])
    known = explain(error.get("tail") or [])
    what = f"{work.title}: engine not built: {error.get('what') or 'the job ' + result['state']}"
    why = (known.why if known else "") or error.get("why") or ""
    remedy = (known.remedy if known else "") or error.get("remedy") or ""
    kind = error.get("kind")
    # What the parser refuses today it refuses tomorrow; memory and time may be found.
    failure = {
        "what": error.get("what") or what,
        "kind": kind,
        "permanent": kind == "parser",
        "at": time.time(),
    }
    passport = {
        "model": work.spec.name,
        "batch": work.variant.batch,
        "parts": dict(step.rung.parts),
        "failure": failure,
    }
    task.device.call("passport_write", {"key": step.rung.key, "passport": passport})
    work.build = {"attempts": error.get("attempts")}
    return BuildError(what, why, remedy, device=task.name, log=os.path.relpath(log))


def _judge(task: TaskContext, work: Work, step: Step) -> Verdict:
    import numpy as np

    assert work.export is not None
    prepared = launches(task, work)
    push(task, {blob for launch in prepared for blob in launch.blobs})
    samples = sum(launch.launch.samples for launch in prepared)
    task.state("validating", f"{work.spec.name} {step.rung.precision}, {samples} samples")
    job = {
        "key": step.rung.key,
        "trtexec": task.facts["trtexec"],
        "launches": [{"inputs": launch.inputs} for launch in prepared],
        "outputs": None,
    }
    detail = f"{work.spec.name} {step.rung.precision}"
    outputs = run_launches(
        task.device, f"run-{step.rung.key[:20]}-{task.run.id}", job, _progress(task, "validating", detail)
    )
    batched = work.variant.batched
    labels = [launch.launch.labels for launch in prepared if launch.launch.labels is not None]
    tolerance = Tolerance.of(step.rung.precision, work.spec.tolerances.get(step.rung.precision))
    try:
        return judge(
            join(outputs, batched),
            join([launch.launch.outputs for launch in prepared], batched),
            tolerance,
            precision=step.rung.precision,
            reference_digest=work.export.reference.digest,
            classes=work.spec.classes,
            labels=np.concatenate(labels) if labels else None,
        )
    except ValueError as problem:
        raise VerdictError(f"{work.title}: outputs cannot be compared", str(problem)) from None
