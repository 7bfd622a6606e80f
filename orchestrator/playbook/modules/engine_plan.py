"""The first step of a deploy: exports what is needed and says per engine what is to be done, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.engines.key import engine_key, engine_parts
from orchestrator.engines.plan import BUILD, REUSE, REVALIDATE, EnginePlan, Rung, decide
from orchestrator.engines.verdicts import Tolerance, verdict_digest
from orchestrator.engines.work import BLOCKED, Work
from orchestrator.errors import ActionError, BlockedError
from orchestrator.models import operators
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, Outcome, module

if TYPE_CHECKING:
    from orchestrator.models.exports import Export
    from orchestrator.models.spec import ModelSpec, Variant

SYSTEM_ROOT = "/var/lib/fleet"


@module(
    "engine_plan",
    models=Argument(
        "list", "model specifications: paths, or names that are looked for in playbooks/models", required=True
    ),
)
def engine_plan(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Say what each engine needs: reuse, revalidate, build, or why the device cannot have it.

    Exports and sanitizes a model on the controller where its checkpoint, code, opset, shapes or surgery are new; once,
    however many devices need it. Nothing is changed or pushed.

    Returns engines: model, batch, action and reason of each.
    """
    specs = [
        task.run.models.find(str(name), task.state_of_host.host) for name in task.run.options.models or args["models"]
    ]
    device = task.device
    if not task.check:
        _settle_root(task)
    # Three questions in one round trip.
    engines = device.submit("engines", {"keys": None})
    releases = device.submit("release_status", {"models": None})
    mode = None
    if task.facts.get("power_mode") is not None:
        # The mode that the engines are meant for is part of their key, so its name is needed: `fastest` is none.
        asked = task.evaluate("{{ fleet_power_mode }}")
        mode = device.submit("nvpmodel", {"mode": asked, "allow_reboot": True}, check=True)
    on_device = engines.result().data["engines"]
    power_mode = mode.result().data["mode"] if mode else None
    task.scratch["releases"] = releases.result().data["models"]
    works = [_plan(task, spec, variant, on_device, power_mode) for spec in specs for variant in spec.variants()]
    task.scratch["engines"] = works
    summary = [
        {"model": w.spec.name, "batch": w.variant.batch, "action": w.plan.action, "reason": w.plan.reason}
        for w in works
    ]
    blocked = [work for work in works if work.action == BLOCKED]
    if works and len(blocked) == len(works):
        report(task, works)
        assert blocked[0].error is not None
        raise blocked[0].error
    for work in works:
        task.note(f"{work.title}: {work.plan.action} ({work.plan.reason})")
    message = ", ".join(f"{w.title}: {w.plan.action}" for w in works)
    changed = task.check and any(w.plan.action in ("build", "revalidate") for w in works)
    if task.check:
        for work in works:
            _foretell(work)
        report(task, works)
    return Outcome(changed, {"engines": summary}, message=message)


def _settle_root(task: TaskContext) -> None:
    """Have fleet_root where the inventory wants it, else in /var/lib/fleet, where applications find engines.

    Without the right to make that folder, and where engines lie in the user's home already, it stays there.
    """
    device = task.device
    if device.settings.root:
        device.call("root_prepare", {"path": device.settings.root})
    elif device.root != SYSTEM_ROOT and not device.call("release_status", {"models": None}).data["models"]:
        try:
            device.call("root_prepare", {"path": SYSTEM_ROOT})
        except ActionError as problem:
            task.note(f"engines go to {device.root}: {SYSTEM_ROOT} cannot be made ({problem.what})")


def _foretell(work: Work) -> None:
    """What check mode says of an engine: nothing after this step will change it."""
    work.reason = work.reason or work.plan.reason
    for step in work.plan.steps:
        if step.action in (REUSE, REVALIDATE, BUILD):
            work.step = step
            if step.passport and step.action != BUILD:
                work.verdict, work.benchmark = step.passport.get("verdict"), step.passport.get("benchmark")
                work.engine = step.passport.get("engine") or {}
            return


def report(task: TaskContext, works: list[Work]) -> None:
    """Announce the engines whose fate is settled."""
    from orchestrator.events import EngineFinished

    for work in works:
        task.emit(EngineFinished(host=task.name, engine=work.to_json()))


def _plan(
    task: TaskContext, spec: ModelSpec, variant: Variant, on_device: dict[str, Any], power_mode: str | None
) -> Work:
    facts = task.facts
    opset = int(spec.opset or task.variables.get("fleet_opset") or facts["opset"])
    work = Work(spec, variant, opset, EnginePlan(spec.name, variant.batch, opset))
    try:
        _check_device(task, opset)
        export = _export(task, work)
        work.export = export
        lacking = operators.blocked(export, task.facts["tensorrt"])
        if lacking:
            raise lacking
    except BlockedError as problem:
        work.settle(BLOCKED, problem.what, problem)
        return work
    rungs = [_rung(task, spec, precision, export, power_mode) for precision in _ladder(task, spec)]
    release = task.scratch["releases"].get(spec.name) or {}
    steps = decide(
        rungs,
        on_device,
        sources=export.sources,
        model=spec.name,
        batch=variant.batch,
        active=[engine["key"] for engine in release.get("engines") or ()],
        force=task.run.options.force,
    )
    work.plan.steps = steps
    if work.plan.action == "blocked":
        why = "; ".join(f"{step.rung.precision}: {step.reason}" for step in steps)
        remembered = any(step.action == "failed" for step in steps)
        error = BlockedError(
            f"{work.title}: no precision of {[r.precision for r in rungs]} can be had",
            why,
            "add fp32 to the specification's precisions"
            if "fp32" not in _ladder(task, spec)
            else "see the reasons above",
        )
        for step in steps:
            work.note(step, step.action, step.reason)
            if step.passport and step.passport.get("verdict"):
                work.verdict, work.step = step.passport["verdict"], step
        work.settle("failed" if remembered else BLOCKED, why, error)
    return work


def _ladder(task: TaskContext, spec: ModelSpec) -> tuple[str, ...]:
    asked = task.variables.get("fleet_precisions")
    return tuple(asked) if asked else spec.precisions


OLDEST_OPSET = 11
"""Of TensorRT 7, the oldest that engines are built with; JetPack 4.3 and before have 5 and 6."""


def _check_device(task: TaskContext, opset: int) -> None:
    facts = task.facts
    if not facts.get("tensorrt"):
        raise BlockedError(
            "the device has no TensorRT",
            f"JetPack {facts.get('jetpack') or 'unknown'} without its SDK components",
            f"fleet provision --limit {task.name}",
        )
    if not facts.get("trtexec"):
        raise BlockedError(
            "the device has no trtexec",
            "it is neither in /usr/src/tensorrt/bin nor on the PATH",
            f"fleet provision --limit {task.name}",
        )
    ceiling = facts.get("opset_ceiling")
    if ceiling and ceiling < OLDEST_OPSET:
        raise BlockedError(
            f"TensorRT {facts['tensorrt']} is too old for Fleet",
            f"its parser imports opsets up to {ceiling}, engines are built from opset {OLDEST_OPSET} on (TensorRT 7)",
            "flash JetPack 4.4 or later (4.6 where the module has no newer one), then run fleet provision",
        )
    if ceiling and opset > ceiling:
        raise BlockedError(
            f"opset {opset} is too new for this device",
            f"TensorRT {facts['tensorrt']} (JetPack {facts.get('jetpack')}) imports opsets up to {ceiling}",
            f"remove `opset` from the specification, or set it to {facts['opset']}",
        )


def _export(task: TaskContext, work: Work) -> Export:
    from orchestrator.events import HostState, Note
    from orchestrator.models.exports import ExportNeed

    need = ExportNeed(work.spec, work.opset, work.variant)
    found = task.run.exports.lookup(need)
    if found is not None:
        return found
    task.state("exporting", f"{work.spec.name}, opset {work.opset}")

    def progress(step: str, fraction: float | None) -> None:
        detail = f"{work.spec.name} at opset {work.opset}: {step}"
        task.emit(HostState(host="controller", state="exporting", detail=detail, fraction=fraction))

    try:
        export = task.run.exports.export(need, progress)
    finally:
        task.emit(HostState(host="controller", state="ok"))
    for step in export.steps:
        if not step.get("kept", True):
            text = f"{work.spec.name}: step '{step['step']}' was dropped: {step.get('reason')}"
            task.emit(Note(host=None, level="warning", text=text))
    return export


def _rung(task: TaskContext, spec: ModelSpec, precision: str, export: Export, power_mode: str | None) -> Rung:
    facts = task.facts
    workspace = task.variables.get("fleet_workspace") or spec.build.workspace
    parts = engine_parts(
        onnx=export.onnx,
        precision=precision,
        shapes={binding.name: {k: v for k, v in binding.to_json().items() if k != "name"} for binding in export.inputs},
        options={"workspace": workspace, **spec.build.options},
        tool=spec.build.tool,
        facts=facts,
        power_mode=power_mode,
    )
    tolerance = Tolerance.of(precision, spec.tolerances.get(precision))
    judged = verdict_digest(export.reference.digest, tolerance, spec.classes)
    return Rung(precision, engine_key(parts), parts, judged, _unsupported(precision, facts, export))


def _unsupported(precision: str, facts: dict[str, Any], export: Export) -> str | None:
    if precision not in facts["precisions"]:
        return f"{facts.get('module') or 'this device'} ({facts.get('soc')}) has no fast {precision} units"
    if precision == "int8" and "QuantizeLinear" not in export.operators:
        # trtexec would make up ranges at random and build without a word.
        return "int8 needs QuantizeLinear/DequantizeLinear nodes in the model; this one has none"
    return None
