"""What every playbook wants of the controller: say something, check something, keep a value, wait a while."""

from __future__ import annotations

import datetime
import time
from typing import Any

from orchestrator.errors import ActionError, PlaybookError
from orchestrator.language.expressions import condition, evaluate
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, Outcome, module


@module(
    "debug",
    raw=("var",),
    msg=Argument("any", "what to say", "Hello world!"),
    var=Argument("str", "name of a variable, or an expression, to show instead"),
    verbosity=Argument("int", "say it only with as many -v", 0),
)
def debug(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Say something, or show a variable.

    Returns msg, or the variable under its name.
    """
    expression = args["var"]
    if args["verbosity"] > task.run.options.verbosity:
        return Outcome(data={"skipped_reason": "Verbosity threshold not met."}, skipped="verbosity")
    if not expression:
        return Outcome(data={"msg": args["msg"]}, message=str(args["msg"]))
    name = str(task.evaluate(expression))
    try:
        value = evaluate(name, task.variables, task.task.location)
    except PlaybookError as problem:
        if not problem.what.startswith("undefined"):
            raise
        value = "VARIABLE IS NOT DEFINED!"
    return Outcome(data={name: value}, message=f"{name}: {value}")


@module(
    "assert",
    raw=("that",),
    that=Argument("any", "one condition or a list of conditions", required=True),
    fail_msg=Argument("any", "what to say when one does not hold", aliases=("msg",)),
    success_msg=Argument("any", "what to say when all hold"),
    quiet=Argument("bool", "say little", False),
)
def assert_(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Fail unless all conditions hold.

    Returns msg, and on failure assertion and evaluated_to.
    """
    conditions = args["that"] if isinstance(args["that"], list) else [args["that"]]
    for expression in conditions:
        if not condition(expression, task.variables, task.task.location):
            message = _lines(args["fail_msg"]) or "Assertion failed"
            error = ActionError(message, f"not so: {expression}")
            data = {"msg": args["fail_msg"] or message, "assertion": expression, "evaluated_to": False}
            return Outcome(data=data, failed=True, error=error)
    message = _lines(args["success_msg"]) or "All assertions passed"
    return Outcome(data={"msg": args["success_msg"] or message}, message=message)


def _lines(message: Any) -> str:
    return "; ".join(map(str, message)) if isinstance(message, list) else str(message or "")


@module("fail", msg=Argument("str", "what to say", "Failed as requested from task"))
def fail(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Fail with a message; use it with `when`."""
    return Outcome(data={"msg": args["msg"]}, failed=True, error=ActionError(args["msg"]))


@module(
    "set_fact",
    any_argument=True,
    cacheable=Argument("bool", "make them facts too; nothing is kept from run to run", False),
)
def set_fact(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Keep variables of this device for the rest of the run: `set_fact: {name: value, ...}`."""
    facts = {name: value for name, value in args.items() if name != "cacheable"}
    if not facts:
        raise PlaybookError("set_fact needs at least one variable", location=task.task.location)
    for name in facts:
        if not str(name).isidentifier():
            what = f"'{name}' cannot be the name of a variable"
            raise PlaybookError(what, "a name has letters, digits and underscores", location=task.task.location)
    task.keep(facts)
    if args["cacheable"]:
        task.state_of_host.ansible_facts.update(facts)
    return Outcome(data={"ansible_facts": facts})


@module("ping", data=Argument("str", "what to answer; `crash` fails", "pong"))
def ping(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Ask the agent for a sign of life.

    Returns ping.
    """
    if args["data"] == "crash":
        raise ActionError("boom", "ping was asked to crash")
    task.device.call("ping", {})
    return Outcome(data={"ping": args["data"]}, message=args["data"])


@module(
    "pause",
    seconds=Argument("int", "how long to wait"),
    minutes=Argument("int", "how long to wait, in minutes"),
    prompt=Argument("str", "what to say; nobody is asked, for devices do not wait for a terminal"),
    echo=Argument("bool", "accepted for Ansible's sake", True),
)
def pause(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Wait before the next task.

    Returns start, stop, delta (seconds), stdout.
    """
    if args["seconds"] is not None and args["minutes"] is not None:
        raise PlaybookError("pause takes seconds or minutes, not both", location=task.task.location)
    wait_s = args["seconds"] if args["seconds"] is not None else 60 * (args["minutes"] or 0)
    if args["prompt"]:
        task.note(args["prompt"])
    started, begin = datetime.datetime.now().astimezone(), time.monotonic()
    task.state("waiting", f"{wait_s} s")
    task.run.sleep(max(0, wait_s))
    data = {
        "start": str(started.replace(tzinfo=None)),
        "stop": str(datetime.datetime.now()),
        "delta": int(time.monotonic() - begin),
        "stdout": f"Paused for {float(wait_s)} seconds",
        "stderr": "",
        "rc": 0,
        "echo": args["echo"],
        "user_input": "",
    }
    return Outcome(data=data, message=data["stdout"])
