"""Brings models and samples to the device: only what it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.engines.launches import raw, spread
from orchestrator.engines.plan import BUILD, REVALIDATE
from orchestrator.engines.work import Work
from orchestrator.events import BytesPushed
from orchestrator.models.references import Launch
from orchestrator.platforms.operators import int64_bindings
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Outcome, module
from orchestrator.reports.text import size


@dataclass(frozen=True)
class Prepared:
    """A launch of the reference, and its inputs as the `run` job wants them."""

    launch: Launch
    inputs: list[dict[str, Any]]

    @property
    def blobs(self) -> list[str]:
        return [tensor["blob"] for tensor in self.inputs]


@module("engine_push")
def engine_push(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Push the ONNX files that are to be built, and the samples that engines are judged on.

    The device is asked what it lacks; each file is hashed on arrival.

    Returns bytes_pushed.
    """
    works: list[Work] = task.scratch["engines"]
    wanted: set[str] = set()
    for work in works:
        actions = {step.action for step in work.plan.steps} if work.action is None else set()
        if work.export and actions & {BUILD}:
            wanted.add(work.export.onnx)
        if work.export and work.plan.action in (BUILD, REVALIDATE):
            wanted |= {digest for launch in launches(task, work) for digest in launch.blobs}
    if not wanted:
        return Outcome(data={"bytes_pushed": 0}, message="nothing to push")
    if task.check:
        return Outcome(True, {"bytes_pushed": 0}, message=f"would push up to {len(wanted)} files")
    return push(task, wanted)


def push(task: TaskContext, wanted: set[str]) -> Outcome:
    """Push the blobs of these digests that the device lacks, from the store."""
    store = task.run.store
    task.state("pushing")

    def progress(done: int, total: int) -> None:
        task.state("pushing", f"{size(done)} of {size(total)}", done / total if total else None)

    sizes = task.device.push_missing({digest: store.path(digest) for digest in sorted(wanted)}, progress)
    pushed = sum(sizes.values())
    if pushed:
        task.emit(BytesPushed(host=task.name, size_bytes=pushed))
    return Outcome(pushed > 0, {"bytes_pushed": pushed}, message=size(pushed) if pushed else "all there")


def launches(task: TaskContext, work: Work) -> list[Prepared]:
    """The launches that judge an engine, with their raw inputs in the store."""
    from orchestrator.models.references import read_launches

    assert work.export is not None
    wide = int64_bindings(task.facts["tensorrt"])
    digest = work.export.reference.digest
    cached = task.scratch.setdefault("launches", {})
    if (digest, wide) not in cached:
        found = read_launches(task.run.store.path(digest))
        cached[digest, wide] = [prepare(task, found[i], wide) for i in spread(len(found))]
    return list(cached[digest, wide])


def prepare(task: TaskContext, launch: Launch, wide: bool) -> Prepared:
    """A launch with its raw inputs in the store, by digest."""
    inputs = [
        {"name": t.name, "blob": task.run.store.add_bytes(t.content), "dtype": t.dtype, "shape": list(t.shape)}
        for t in raw(launch.inputs, int64_bindings=wide)
    ]
    return Prepared(launch, inputs)
