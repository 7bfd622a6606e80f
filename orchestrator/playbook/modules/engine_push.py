"""Brings models and samples to the device: only what it lacks."""

from __future__ import annotations

from typing import Any

from orchestrator.engines.launches import Launch, cut
from orchestrator.engines.plan import BUILD, REVALIDATE
from orchestrator.engines.work import Work
from orchestrator.events import BytesPushed
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Outcome, module


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
            wanted |= {digest for launch in launches(task, work) for digest in launch["digests"]}
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
        task.state("pushing", f"{done / 1e6:.1f} of {total / 1e6:.1f} MB", done / total if total else None)

    sizes = task.device.push_missing({digest: store.path(digest) for digest in sorted(wanted)}, progress)
    pushed = sum(sizes.values())
    if pushed:
        task.emit(BytesPushed(host=task.name, size_bytes=pushed))
    return Outcome(pushed > 0, {"bytes_pushed": pushed}, message=f"{pushed} bytes" if pushed else "all there")


def launches(task: TaskContext, work: Work) -> list[dict[str, Any]]:
    """The launches that judge an engine, with their inputs in the store.

    Returns:
        per launch: `launch` (a Launch), `inputs` (as the `run` job wants them) and `digests`.
    """
    import numpy as np

    from orchestrator.platforms.operators import int64_bindings

    assert work.export is not None
    wide = int64_bindings(task.facts["tensorrt"])
    key = ("launches", work.export.reference, work.variant, wide)
    cached = task.scratch.get(key)
    if cached is None:
        with np.load(task.run.store.path(work.export.reference)) as reference:
            arrays = {binding.name: reference[f"input/{binding.name}"] for binding in work.variant.inputs}
        cached = [stored(task, launch) for launch in cut(arrays, work.variant, int64_bindings=wide)]
        task.scratch[key] = cached
    return cached


def stored(task: TaskContext, launch: Launch) -> dict[str, Any]:
    """A launch with its raw inputs in the store, by digest."""
    inputs = [
        {
            "name": tensor.name,
            "blob": task.run.store.add_bytes(tensor.content),
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
        }
        for tensor in launch.inputs
    ]
    return {"launch": launch, "inputs": inputs, "digests": [tensor["blob"] for tensor in inputs]}
