"""The few modules that every playbook wants: say something, check something, keep a value."""

from __future__ import annotations

from typing import Any

from orchestrator.errors import ActionError
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.expressions import condition
from orchestrator.playbook.modules import Argument, Outcome, module


@module(
    "debug",
    msg=Argument("any", "what to say", "Hello world!"),
    var=Argument("str", "name of a variable to show instead"),
    verbosity=Argument("int", "say it only with as many -v", 0),
)
def debug(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Say something, or show a variable."""
    name = args["var"]
    if args["verbosity"] > task.run.options.verbosity:
        return Outcome(skipped="verbosity")
    if name:
        value = task.evaluate("{{ " + name + " }}")
        return Outcome(data={name: value}, message=f"{name}: {value}")
    return Outcome(data={"msg": args["msg"]}, message=str(args["msg"]))


@module(
    "assert",
    raw=("that",),
    that=Argument("any", "one condition or a list of conditions", required=True),
    fail_msg=Argument("str", "what to say when one does not hold"),
    success_msg=Argument("str", "what to say when all hold"),
)
def assert_(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Fail unless all conditions hold."""
    conditions = args["that"] if isinstance(args["that"], list) else [args["that"]]
    for expression in conditions:
        if not condition(expression, task.variables, task.task.location):
            raise ActionError(args["fail_msg"] or "assertion failed", f"not so: {expression}")
    return Outcome(message=args["success_msg"] or "all assertions hold")


@module("fail", msg=Argument("str", "what to say", "failed as requested from task"))
def fail(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Fail with a message; use it with `when`."""
    raise ActionError(args["msg"])


@module("set_fact", free_form="facts", facts=Argument("dict", "variables to keep for this device", required=True))
def set_fact(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Keep variables for the rest of the run: `set_fact: {facts: {name: value}}`."""
    task.keep(args["facts"])
    return Outcome(data={"ansible_facts": args["facts"]})


@module("ping", data=Argument("str", "what to answer; `crash` fails", "pong"))
def ping(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Ask the agent for a sign of life."""
    if args["data"] == "crash":
        raise ActionError("boom", "ping was asked to crash")
    task.device.call("ping", {})
    return Outcome(data={"ping": args["data"]}, message=args["data"])
