"""From outcomes to what `register` keeps: `changed_when`, `failed_when`, loops, and what people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.errors import FleetError
from orchestrator.language.expressions import condition
from orchestrator.playbook.modules import Outcome
from orchestrator.runs.calls import failed

if TYPE_CHECKING:
    from orchestrator.playbook.structure import Task

CENSORED = "the output has been hidden due to the fact that 'no_log: true' was specified for this result"


def kept(outcome: Outcome) -> dict[str, Any]:
    """What `register` keeps of an outcome."""
    found = {**outcome.data, "changed": outcome.changed, "failed": outcome.failed}
    if outcome.skipped is not None:
        found["skipped"] = True
        found.setdefault("skip_reason", outcome.skipped)
    return found


def judged(task: Task, outcome: Outcome, variables: Mapping[str, Any]) -> Outcome:
    """The outcome after `changed_when` and `failed_when`, which see it under the name that `register` gives."""
    if outcome.skipped is not None:
        return outcome
    seen = {**variables, task.register: kept(outcome)} if task.register else dict(variables)
    try:
        if task.changed_when:
            outcome.changed = all(condition(c, seen, task.location) for c in task.changed_when)
            if task.register:
                seen[task.register] = kept(outcome)
        if task.failed_when:
            outcome.failed = all(condition(c, seen, task.location) for c in task.failed_when)
            outcome.data["failed_when_result"] = outcome.failed
            if not outcome.failed:
                outcome.error = None
    except FleetError as problem:
        return failed(problem)
    return outcome


def looped(outcomes: Sequence[Outcome]) -> Outcome:
    """One outcome of those of a loop's items."""
    results = [kept(outcome) for outcome in outcomes]
    bad = [outcome for outcome in outcomes if outcome.failed]
    if not outcomes:
        data: dict[str, Any] = {"results": [], "skipped_reason": "No items in the list"}
        return Outcome(data=data, skipped="no items in the list")
    skipped = all(outcome.skipped is not None for outcome in outcomes)
    message = "One or more items failed" if bad else "All items skipped" if skipped else "All items completed"
    done = sum(outcome.skipped is None for outcome in outcomes)
    changed = sum(outcome.changed for outcome in outcomes)
    return Outcome(
        changed=bool(changed),
        data={"results": results, "msg": message},
        diff=_joined([outcome.diff for outcome in outcomes if outcome.diff]),
        message=f"{changed} of {done} items changed" if changed else f"{done} items",
        skipped=outcomes[0].skipped if skipped else None,
        failed=bool(bad),
        error=bad[0].error if bad else None,
    )


def _joined(diffs: Sequence[Any]) -> Any:
    pairs = [diff if isinstance(diff, Mapping) else {"before": diff[0], "after": diff[1]} for diff in diffs]
    if len(pairs) < 2:
        return pairs[0] if pairs else None
    return {side: "".join(_text(pair, side) for pair in pairs) for side in ("before", "after")}


def _text(pair: Mapping[str, Any], side: str) -> str:
    text = str(pair.get(side) or "")
    header = pair.get(f"{side}_header")
    text = f"{header}\n{text}" if header else text
    return text if text.endswith("\n") or not text else text + "\n"
