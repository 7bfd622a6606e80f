"""One engine of one model on one device, from its plan to its place in result.json."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.engines.plan import EnginePlan, Step
from orchestrator.reports.text import engine_name

if TYPE_CHECKING:
    from orchestrator.errors import FleetError
    from orchestrator.models.exports import Export
    from orchestrator.models.spec import ModelSpec, Variant

BUILT, REUSED, REVALIDATED, BLOCKED, FAILED = "built", "reused", "revalidated", "blocked", "failed"

# What a run in check mode says of an engine that it only planned.
PLANNED = {"reuse": REUSED, "build": "would build", "revalidate": "would revalidate", "blocked": BLOCKED}


@dataclass
class Work:
    """What is known of one engine while a run lasts."""

    spec: ModelSpec
    variant: Variant
    opset: int
    plan: EnginePlan
    export: Export | None = None
    step: Step | None = None
    """The rung in hand, in the end the one that stands."""
    action: str | None = None
    """built, reused, revalidated, blocked or failed; None as long as there is something to do."""
    reason: str = ""
    error: FleetError | None = None
    verdict: dict[str, Any] | None = None
    engine: dict[str, Any] = field(default_factory=dict)
    """path (on the device), sha256, size_bytes."""
    build: dict[str, Any] = field(default_factory=dict)
    timing_cache: str | None = None
    """Bucket of the timing cache that the build used."""
    benchmark: dict[str, Any] | None = None
    rungs: list[dict[str, Any]] = field(default_factory=list)
    """What became of each rung that was looked at: precision, action, reason."""
    files: dict[str, Path] = field(default_factory=dict)
    """What was fetched: engine, passport, build log, timing cache."""
    fresh: bool = False
    """Judged in this run, so that activation needs no other probe than the digest."""

    @property
    def title(self) -> str:
        """As the recap names it: `digits`, or `digits b8` for an engine of larger batches."""
        return engine_name({"model": self.spec.name, "batch": self.variant.batch})

    @property
    def file(self) -> str:
        """The engine's name in a release: what applications open."""
        one = len(self.spec.variants()) == 1
        return f"{self.spec.name}.engine" if one else f"{self.spec.name}-b{self.variant.batch}.engine"

    @property
    def stands(self) -> bool:
        return self.action in (BUILT, REUSED, REVALIDATED)

    def settle(self, action: str, reason: str, error: FleetError | None = None) -> None:
        self.action, self.reason, self.error = action, reason, error

    def note(self, step: Step, action: str, reason: str) -> None:
        self.rungs.append({"precision": step.rung.precision, "action": action, "reason": reason})

    def to_json(self) -> dict[str, Any]:
        """One element of `engines` in result.json."""
        rung = self.step.rung if self.step else None
        benchmark = self.benchmark or {}
        artifact = self.files.get("engine")
        passport = self.files.get("passport")
        return {
            "model": self.spec.name,
            "batch": self.variant.batch,
            "precision": rung.precision if rung else None,
            "opset": self.opset,
            "key": rung.key if rung else None,
            "action": self.action or PLANNED[self.plan.action],
            "reason": self.reason,
            "build_s": self.build.get("duration_s") if self.action == BUILT else None,
            "size_bytes": self.engine.get("size_bytes"),
            "verdict": _verdict(self.verdict),
            "latency_ms": benchmark.get("latency_ms"),
            "throughput_per_s": benchmark.get("throughput_per_s"),
            "artifact": str(artifact) if artifact else None,
            "passport": str(passport) if passport else None,
            "power": self._power(),
            "warnings": [*(self.build.get("warnings") or []), *(benchmark.get("warnings") or [])],
            "attempts": self.build.get("attempts"),
            "rungs": self.rungs,
            "export": {"steps": list(self.export.steps), "opset": self.export.opset} if self.export else None,
        }

    def _power(self) -> dict[str, Any] | None:
        """At which power state the engine was measured."""
        if not self.benchmark:
            return None
        return {"mode": self.benchmark.get("power_mode"), "clocks": self.benchmark.get("clocks")}


def _verdict(verdict: dict[str, Any] | None) -> dict[str, Any] | None:
    if not verdict:
        return None
    return {name: verdict[name] for name in ("passed", "reasons", "samples", "tolerance", "metrics")}


def launch_shapes(work: Work) -> dict[str, list[int]]:
    """The shape of each input that the engine is measured at: its opt shape."""
    assert work.export is not None
    return {binding.name: list(binding.typical) for binding in work.export.inputs}
