"""What the agent answers to a device module, as the outcome of a task.

Names in the reply's data that mean something here: `failed` (true: the task failed, everything else is registered
nevertheless; where it says nothing, an `rc` other than 0 does), `msg` (one line for people), `skipped` (true: nothing
was to be done; `msg` says why), `ansible_facts`.
"""

from __future__ import annotations

from typing import Any

from orchestrator.errors import ActionError, FleetError
from orchestrator.playbook.modules import Outcome


def outcome_of(changed: bool, data: dict[str, Any], diff: Any = None) -> Outcome:
    """The outcome that an action's reply stands for."""
    data = _with_lines(data)
    failed = bool(data.pop("failed", data.get("rc") not in (None, 0)))
    skipped = bool(data.pop("skipped", False))
    message = str(data.get("msg") or "")
    return Outcome(
        changed=changed,
        data=data,
        diff=diff or None,
        message=_one_line(message or _said(data)),
        skipped=(message or "nothing to do") if skipped else None,
        failed=failed,
    )


def refusal(error: FleetError) -> Outcome:
    """The outcome of an action that was refused or failed without a result."""
    data = _with_lines(getattr(error, "data", None) or {})
    data["msg"] = ": ".join(part for part in (error.what, error.why) if part)
    return Outcome(data=data, failed=True, message=error.what)


def failure(outcome: Outcome, module: str) -> ActionError:
    """The error that people read of a failed outcome."""
    data = outcome.data
    message = str(data.get("msg") or "").strip() or f"{module} failed"
    said = str(data.get("stderr") or "").strip() or str(data.get("stdout") or "").strip()
    lines = said.splitlines()
    what, _, rest = message.partition("\n")
    return ActionError(what, lines[-1] if lines and lines[-1] not in what else rest.strip().replace("\n", "; "))


def _with_lines(data: dict[str, Any]) -> dict[str, Any]:
    """The data, with `stdout_lines` beside `stdout`, as every registered result has them."""
    data = dict(data)
    for stream in ("stdout", "stderr"):
        if isinstance(data.get(stream), str):
            data.setdefault(f"{stream}_lines", data[stream].splitlines())
    return data


def _said(data: dict[str, Any]) -> str:
    """What a command of the user's printed; that of programs which a module used (apt, say) means nothing to people."""
    if "cmd" not in data:
        return ""
    return str(data.get("stdout") or "").strip()


def _one_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""
