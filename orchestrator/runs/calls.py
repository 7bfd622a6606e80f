"""One execution of a task on one host: what is to be done, with every expression evaluated, and doing it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ActionError, FleetError, PlaybookError, UnreachableError
from orchestrator.language.expressions import condition, is_omitted, render, to_bool
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Outcome, checked
from orchestrator.runs.replies import outcome_of, refusal
from orchestrator.values import unsafe

if TYPE_CHECKING:
    from orchestrator.devices.device import Device
    from orchestrator.playbook.structure import Settings, Task

GRACE_S = 20.0
"""A device that does not answer in a task's time and this much longer has no say in how it ended."""


@dataclass
class Call:
    """A task with its arguments evaluated, for one host and one item of its loop."""

    task: Task
    context: TaskContext
    args: dict[str, Any]
    environment: dict[str, str]
    user: str | None
    timeout_s: float | None

    @property
    def step(self) -> dict[str, Any]:
        """As a step of the agent's `batch`."""
        module = self.task.module
        assert module.action is not None and module.prepare is not None
        args = module.prepare(self.context, dict(self.args))
        step: dict[str, Any] = {
            "action": module.action,
            "args": {name: value for name, value in args.items() if value is not None},
            "check": self.context.check,
            "become": self.context.become,
        }
        if self.environment:
            step["environment"] = self.environment
        if self.user:
            step["user"] = self.user
        if self.timeout_s:
            step["timeout_s"] = self.timeout_s
        return step


def holds(task: Task, variables: Mapping[str, Any]) -> Any:
    """None where all conditions of `when` hold, else the first that does not."""
    for expression in task.settings.when:
        if not condition(expression, variables, task.location):
            return expression if isinstance(expression, str) else str(expression)
    return None


def unmet(expression: Any) -> Outcome:
    """The outcome of a task whose condition does not hold."""
    data = {"skip_reason": "Conditional result was False", "false_condition": expression}
    return Outcome(data=data, skipped=f"condition does not hold: {expression}")


def flag(value: Any, variables: Mapping[str, Any], task: Task, default: bool = False) -> bool:
    """The truth of a keyword that may be an expression."""
    if value is None:
        return default
    found = render(value, variables, task.location)
    return default if is_omitted(found) else to_bool(found)


def number(value: Any, variables: Mapping[str, Any], task: Task, keyword: str) -> float:
    """The number of a keyword that may be an expression.

    Raises:
        PlaybookError: it is none, or below zero.
    """
    found = render(value, variables, task.location)
    try:
        result = float(found)
    except (TypeError, ValueError):
        result = -1.0
    if result < 0 or isinstance(found, bool):
        what = f"{keyword} cannot be '{found}'"
        raise PlaybookError(what, "it takes a number that is not negative", location=task.location)
    return result


def prepare_call(task: Task, context: TaskContext) -> Call:
    """Evaluate all that a task says about what to do.

    Raises:
        PlaybookError: an expression or argument that makes no sense, at the task's location.
    """
    variables, said, module = context.variables, task.settings, task.module
    written: dict[str, Any] = {}
    for name, value in {**said.module_defaults.get(module.name, {})}.items():
        written[module.argument(str(name)) or name] = value
    for name, value in task.args.items():
        own = module.argument(str(name)) or name
        if own in written and own != name:
            written.pop(own)
        written[own if own in written else name] = value
    args = {
        name: value if module.argument(str(name)) in module.raw else render(value, variables, task.location)
        for name, value in written.items()
    }
    args = {name: value for name, value in args.items() if not is_omitted(value)}
    try:
        args = checked(module, args)
    except PlaybookError as problem:
        problem.location = problem.location or task.location
        raise
    user = render(said.become_user, variables, task.location) if said.become_user is not None else None
    timeout = number(said.timeout, variables, task, "timeout") if said.timeout is not None else 0
    return Call(
        task,
        context,
        args,
        environment_of(said, variables, task),
        str(user) if user and context.become and str(user) != "root" else None,
        timeout or None,
    )


def environment_of(said: Settings, variables: Mapping[str, Any], task: Task) -> dict[str, str]:
    """The environment that the task asks for; inner mappings win."""
    found: dict[str, str] = {}
    for entry in said.environment:
        value = render(entry, variables, task.location)
        if is_omitted(value) or value is None:
            continue
        if not isinstance(value, dict):
            raise PlaybookError("environment is a mapping", f"it gives {value!r}", location=task.location)
        found.update({str(name): str(item) for name, item in value.items()})
    return found


def perform(call: Call) -> Outcome:
    """Do it once. Device failures and the user's mistakes are outcomes.

    Raises:
        UnreachableError: there is no connection any more.
    """
    module = call.task.module
    try:
        if module.run is not None:
            return module.run(call.context, call.args)
        return from_reply(send(call.context.device, call.step, call.timeout_s or module.timeout_s, call.context))
    except UnreachableError:
        raise
    except FleetError as problem:
        return failed(problem)


def failed(problem: FleetError) -> Outcome:
    """The outcome of a task that ended with an error."""
    outcome = refusal(problem)
    outcome.error = problem
    return outcome


def from_reply(reply: Mapping[str, Any]) -> Outcome:
    """The outcome of a step's reply."""
    if reply["ok"]:
        return outcome_of(bool(reply.get("changed")), unsafe(reply.get("data") or {}), reply.get("diff"))
    error = reply["error"]
    problem = ActionError(error["what"], error.get("why") or "", error.get("remedy") or "")
    outcome = failed(problem)
    outcome.data = {**unsafe(error.get("data") or {}), **outcome.data}
    return outcome


def send(
    device: Device, step: Mapping[str, Any], timeout_s: float, context: TaskContext | None = None
) -> dict[str, Any]:
    """Have one step run on the device; its reply.

    Raises:
        ActionError: not answered in time, or no rights. UnreachableError: no connection.
    """
    replies: list[dict[str, Any]] = []

    def on_event(name: str, data: dict[str, Any]) -> None:
        if name == "step":
            replies.append(data["reply"])
        elif context is not None:
            progress(context, data)

    steps = {"steps": [step]}
    device.call("batch", steps, become=bool(step["become"]), timeout_s=timeout_s + GRACE_S, on_event=on_event)
    return replies[0]


def progress(context: TaskContext, data: Mapping[str, Any]) -> None:
    """Show how far an action is."""
    said = data.get("line") or data.get("message") or data.get("phase") or ""
    fraction = data.get("fraction")
    context.state(context.task.name, str(said), fraction if isinstance(fraction, (int, float)) else None)


def detached(call: Call, async_s: float, poll_s: float, pause: Callable[[float], None]) -> Outcome:
    """Do it as a job of the agent's, which outlives the connection, and wait for it unless `poll_s` is 0.

    Raises:
        UnreachableError: there is no connection any more.
    """
    if call.context.check:
        if poll_s:
            return perform(call)
        data = {"ansible_job_id": "none", "started": True, "finished": False}
        return Outcome(True, data, message="not predicted in check mode: it would run as a job of its own")
    step = call.step
    job = f"j{random.randrange(10**12):012d}.{int(time.time())}"
    spec = {"action": step["action"], "args": step["args"], "check": step["check"]}
    around = {name: value for name, value in step.items() if name in ("become", "user", "environment")}
    start = {**around, "action": "job_start", "args": {"id": job, "kind": "action", "spec": spec}}
    look = {**around, "action": "async_status", "args": {"jid": job}}
    device = call.context.device
    try:
        started = send(device, start, 60)
        if not started["ok"]:
            return from_reply(started)
        if not poll_s:
            data = {"ansible_job_id": job, "started": True, "finished": False, "results_file": f"jobs/{job}"}
            return Outcome(True, data, message=f"runs as job {job}")
        end = time.monotonic() + async_s
        while time.monotonic() < end:
            pause(min(poll_s, max(0.1, end - time.monotonic())))
            outcome = from_reply(send(device, look, 60))
            if outcome.failed or outcome.data.get("finished"):
                send(device, {**look, "args": {"jid": job, "mode": "cleanup"}}, 60)
                outcome.data["finished"] = True
                return outcome
        send(device, {**around, "action": "job_cancel", "args": {"id": job}}, 60)
    except UnreachableError:
        raise
    except FleetError as problem:
        return failed(problem)
    what = f"async task did not complete within the requested time - {async_s:g}s"
    return failed(ActionError(what, f"job {job} was cancelled", "raise async"))
