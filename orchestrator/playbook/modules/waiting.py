"""What takes its time: reboots, waiting, and tasks that were detached."""

from __future__ import annotations

import time
from typing import Any

from orchestrator.errors import ActionError, ConnectError, FleetError, UnreachableError
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, Outcome, action_module, module

DAY_S = 86400.0
RETRY_S = 2.0


@module(
    "reboot",
    msg=Argument("str", "what users who are logged in are told", "Reboot initiated by Fleet"),
    pre_reboot_delay=Argument("int", "seconds that they have", 0),
    post_reboot_delay=Argument("int", "seconds to wait once the device is back", 0),
    reboot_timeout=Argument("int", "seconds in which it must be back, and the test must pass", 600),
    test_command=Argument("str", "what must succeed on the device before the play goes on", "whoami"),
    connect_timeout=Argument("int", "accepted, and not needed: it is tried until reboot_timeout"),
)
def reboot(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Restart the device, wait until it is back, and go on.

    That it was restarted is seen by its boot id. A device that does not come back in time is unreachable.

    Returns rebooted, elapsed (seconds).
    """
    if task.check:
        return Outcome(True, {"rebooted": True, "elapsed": 0}, message="would restart the device")
    device = task.device
    started = time.monotonic()
    device.facts(quick=True)  # notes the boot id that is to change
    device.call("reboot", {"msg": args["msg"], "pre_reboot_delay": args["pre_reboot_delay"]}, become=task.become)
    task.state("rebooting")
    time.sleep(args["pre_reboot_delay"])
    device.reconnect(rebooted=True, timeout_s=args["reboot_timeout"])
    if args["post_reboot_delay"]:
        time.sleep(args["post_reboot_delay"])
    _await_test(task, args["test_command"], started + args["reboot_timeout"] + args["post_reboot_delay"])
    task.forget_facts()
    elapsed = int(time.monotonic() - started)
    return Outcome(True, {"rebooted": True, "elapsed": elapsed}, message=f"back after {elapsed} s")


def _await_test(task: TaskContext, command: str, deadline: float) -> None:
    """Run the test until it succeeds: a device that answers may still be on its way up."""
    while True:
        try:
            reply = task.device.call("shell", {"cmd": command}, become=task.become)
            if reply.data.get("rc") == 0:
                return
            why = (reply.data.get("stderr") or reply.data.get("stdout") or "").strip() or f"rc {reply.data.get('rc')}"
        except UnreachableError as problem:
            # A first login is let in while services are still being stopped and started.
            why = problem.why or problem.what
        if time.monotonic() + RETRY_S > deadline:
            raise ActionError(
                "the device is back, and its test does not pass",
                f"{command}: {why.splitlines()[-1]}",
                "raise reboot_timeout, or look at what the test needs",
            )
        time.sleep(RETRY_S)


@action_module(
    "wait_for",
    timeout_s=DAY_S,
    host=Argument("str", "who is asked, from the device", "127.0.0.1"),
    port=Argument("int", "the port"),
    path=Argument("path", "a file or folder on the device"),
    search_regex=Argument("str", "what must be found in the file, or in what the port says first"),
    state=Argument(
        "str",
        "started or present, stopped or absent, drained",
        "started",
        choices=("started", "present", "stopped", "absent", "drained"),
    ),
    timeout=Argument("int", "seconds to wait at most", 300),
    delay=Argument("int", "seconds before looking the first time", 0),
    sleep=Argument("float", "seconds between two looks", 1),
    connect_timeout=Argument("float", "seconds that one connection may take", 5),
    msg=Argument("str", "what to say when it was not so in time"),
    active_connection_states=Argument("list", "what counts as connected, for drained", elements="str"),
    exclude_hosts=Argument("list", "whose connections do not count, for drained", elements="str"),
)
def wait_for(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Wait until a port answers or a file is there, or no longer; without either, wait `timeout` seconds.

    Returns state, port, path, search_regex, match_groups, match_groupdict, elapsed.
    """
    return args


@module(
    "wait_for_connection",
    timeout=Argument("int", "seconds to wait at most", 600),
    delay=Argument("int", "seconds before trying the first time", 0),
    sleep=Argument("int", "accepted, and not needed", 1),
    connect_timeout=Argument("int", "accepted, and not needed", 5),
)
def wait_for_connection(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Wait until the device can be reached.

    Returns elapsed (seconds).
    """
    if task.check:
        return Outcome(skipped="nothing is waited for in check mode")
    started = time.monotonic()
    time.sleep(args["delay"])
    task.state("waiting", "for a connection")
    try:
        try:
            task.device.call("ping", {})
        except ConnectError:
            left = args["timeout"] - (time.monotonic() - started)
            task.device.reconnect(timeout_s=max(left, 0.0))
            task.device.call("ping", {})
    except FleetError as problem:
        elapsed = int(time.monotonic() - started)
        raise ActionError(
            f"no connection after {elapsed} s", problem.why or problem.what, problem.remedy or "raise timeout"
        ) from None
    elapsed = int(time.monotonic() - started)
    return Outcome(data={"elapsed": elapsed}, message=f"connected after {elapsed} s")


@action_module(
    "async_status",
    jid=Argument("str", "ansible_job_id of the task that was started with async", required=True),
    mode=Argument("str", "status, or cleanup: forget it", "status", choices=("status", "cleanup")),
)
def async_status(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """How far a task is that was started with `async` and `poll: 0`.

    Use it with `until: job.finished`, `retries` and `delay`.

    Returns ansible_job_id, started, finished, results_file, and what the task returned once it has finished.
    """
    return args
