"""What is to be done about one engine on one device, rung by rung of its precision ladder, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.engines.key import changes, source_changes

REUSE, REVALIDATE, BUILD, FAILED, UNSUPPORTED = "reuse", "revalidate", "build", "failed", "unsupported"


@dataclass(frozen=True)
class Rung:
    """One precision of the ladder as it would be built on this device."""

    precision: str
    key: str
    parts: Mapping[str, Any]
    verdict_digest: str
    unsupported: str | None = None
    """Why the device cannot have this precision, or None."""


@dataclass
class Step:
    """What is to be done about a rung."""

    rung: Rung
    action: str
    """reuse, revalidate, build, failed (tried before, remembered) or unsupported."""
    reason: str
    passport: Mapping[str, Any] | None = None


@dataclass
class EnginePlan:
    """The steps for one engine; the first that comes to a good end decides.

    Steps after a `reuse` or a `revalidate` are kept: a revalidation may fail.
    """

    model: str
    batch: int
    opset: int | None
    steps: list[Step] = field(default_factory=list)

    @property
    def action(self) -> str:
        """reuse, revalidate, build or blocked."""
        for step in self.steps:
            if step.action in (REUSE, REVALIDATE, BUILD):
                return step.action
        return "blocked"

    @property
    def reason(self) -> str:
        for step in self.steps:
            if step.action in (REUSE, REVALIDATE, BUILD):
                skipped = [f"{s.rung.precision}: {s.reason}" for s in self.steps[: self.steps.index(step)]]
                return "; ".join([step.reason, *skipped])
        return "; ".join(f"{s.rung.precision}: {s.reason}" for s in self.steps)


def decide(
    rungs: Sequence[Rung],
    on_device: Mapping[str, Mapping[str, Any]],
    *,
    sources: Mapping[str, Any],
    model: str,
    batch: int,
    active: Collection[str] = (),
    force: bool = False,
) -> list[Step]:
    """One step per rung.

    Args:
        rungs: the ladder, best first.
        on_device: what the agent's `engines` action returned: key -> {passport, intact, present}.
        sources: what the ONNX was exported from, to say why a graph differs.
        active: keys of the engines in force, to say what differs from them.
        force: build whatever the device can have.
    """
    steps = []
    for rung in rungs:
        state = on_device.get(rung.key)
        passport = (state or {}).get("passport") or None
        if rung.unsupported:
            step = Step(rung, UNSUPPORTED, rung.unsupported)
        elif force:
            step = Step(rung, BUILD, "forced")
        elif state is None or passport is None:
            step = Step(rung, BUILD, why_new(rung, on_device, sources, model=model, batch=batch, active=active))
        else:
            step = _known(rung, state, passport, model)
        step.passport = passport
        steps.append(step)
    return steps


def _known(rung: Rung, state: Mapping[str, Any], passport: Mapping[str, Any], model: str) -> Step:
    failure, verdict = passport.get("failure"), passport.get("verdict")
    if failure and failure.get("permanent"):
        return Step(rung, FAILED, f"tried before: {failure['what']}")
    if verdict and verdict["digest"] == rung.verdict_digest and not verdict["passed"]:
        return Step(rung, FAILED, f"tried before: {'; '.join(verdict['reasons'])}")
    if not state.get("present"):
        return Step(rung, BUILD, "the engine file is gone" if not failure else f"failed before: {failure['what']}")
    if not state.get("intact"):
        return Step(rung, BUILD, "the engine file is damaged (its digest differs)")
    if verdict is None:
        return Step(rung, REVALIDATE, "built before, never judged")
    if verdict["digest"] != rung.verdict_digest:
        return Step(rung, REVALIDATE, "tolerance or reference changed")
    passed = f"passed on {verdict['samples']} samples"
    if passport.get("model") not in (None, model):
        return Step(rung, REUSE, f"the very engine of model {passport['model']} stands here; {passed}")
    return Step(rung, REUSE, f"nothing changed; {passed}")


def why_new(
    rung: Rung,
    on_device: Mapping[str, Mapping[str, Any]],
    sources: Mapping[str, Any],
    *,
    model: str,
    batch: int,
    active: Collection[str] = (),
) -> str:
    """Why no engine of this key exists: what changed since the engine of this model, batch and precision in force.

    Where none is in force it is the newest.
    """
    older = [
        (key in active, state["passport"])
        for key, state in on_device.items()
        if state.get("passport") and state["passport"].get("model") == model and state["passport"].get("parts")
    ]
    if not older:
        return "no engine yet"

    def likeness(found: tuple[bool, Mapping[str, Any]]) -> tuple[bool, bool, bool, float]:
        in_force, passport = found
        return (
            passport.get("batch") == batch,
            passport["parts"].get("precision") == rung.precision,
            in_force,
            passport.get("built_at") or 0.0,
        )

    _, nearest = max(older, key=likeness)
    words = changes(nearest["parts"], rung.parts)
    if nearest["parts"].get("onnx") != rung.parts.get("onnx"):
        why = source_changes(nearest.get("sources") or {}, sources)
        words = [*why, *(w for w in words if w != "ONNX graph changed")] if why else words
    if nearest.get("batch") != batch:
        words = [f"no engine for batch {batch} yet"]
    return "; ".join(words) or "no engine yet"
