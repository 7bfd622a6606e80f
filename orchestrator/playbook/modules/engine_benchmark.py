"""Measures the engines that were built or judged in this run."""

from __future__ import annotations

import time
from typing import Any

from orchestrator.engines.measurements import percentiles
from orchestrator.engines.work import BUILT, REVALIDATED, Work, launch_shapes
from orchestrator.errors import ActionError
from orchestrator.events import Note
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, Outcome, module


@module(
    "engine_benchmark",
    warmup_ms=Argument("int", "milliseconds of inferences before measuring", 200),
    duration_s=Argument("float", "seconds to measure at least", 1.0),
    iterations=Argument("int", "inferences to measure at least", 20),
)
def engine_benchmark(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Measure latency and throughput of each new engine at its opt shape, and keep them in its passport.

    Engines that are reused keep the figures of their passport.

    Returns engines: model, batch, latency_ms (p50, p90, p95, p99), throughput_per_s.
    """
    if task.check:
        return Outcome(skipped="nothing is measured in check mode")
    works: list[Work] = [w for w in task.scratch["engines"] if w.action in (BUILT, REVALIDATED)]
    for work in works:
        assert work.step is not None
        key = work.step.rung.key
        detail = f"{work.spec.name} {work.step.rung.precision}"
        task.state("benchmarking", detail)
        name = f"measure-{key[:20]}-{task.run.id}"
        job = {"key": key, "trtexec": task.facts["trtexec"], "shapes": launch_shapes(work), **args}
        task.device.start_job(name, "measure", job)
        ended = task.device.follow_job(name, lambda _: None)
        if ended["state"] != "done":
            error = ended.get("error") or {}
            raise ActionError(
                f"{work.title}: not measured: {error.get('what') or ended['state']}",
                error.get("why") or "",
                error.get("remedy") or "",
            )
        result = ended["result"]
        work.benchmark = {
            "latency_ms": percentiles(result["latency_ms"]),
            "gpu_ms": percentiles(result["gpu_ms"]),
            "throughput_per_s": round(result["throughput_per_s"] * work.variant.inputs[0].typical[0], 3)
            if work.variant.batched
            else round(result["throughput_per_s"], 3),
            "queries": result["queries"],
            "shapes": launch_shapes(work),
            "power_mode": task.facts.get("power_mode"),
            "clocks": task.facts.get("clocks"),
            "virtual": task.facts["virtual"],
            "warnings": result.get("warnings") or [],
            "at": time.time(),
        }
        # That an emulator's times are unsteady says nothing of a board.
        level = "debug" if task.facts["virtual"] else "warning"
        for warning in work.benchmark["warnings"]:
            task.emit(Note(host=task.name, level=level, text=f"{work.title}: {warning}"))
        task.device.call("passport_write", {"key": key, "passport": {"benchmark": work.benchmark}})
        task.device.call("job_remove", {"id": name})
    if not works:
        return Outcome(message="nothing new to measure")
    data = [{"model": w.spec.name, "batch": w.variant.batch, **(w.benchmark or {})} for w in works]
    return Outcome(False, {"engines": data}, message=f"{len(works)} measured")
