"""Power mode, clocks and fan: the owner's decision, set where the inventory asks for it and read back."""

from __future__ import annotations

from typing import Any

from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, Outcome, module


@module(
    "nvpmodel",
    mode=Argument("str", "keep, fastest, or a mode's name as `nvpmodel -q` prints it", "keep"),
    allow_reboot=Argument(
        "bool", "reboot where the mode asks for it; otherwise say that it is needed and go on", False
    ),
)
def nvpmodel(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Set the power mode of a Jetson.

    Looks first, without rights; becomes root only when there is something to change. Where the mode needs a reboot and
    one is allowed, reboots, waits for the device and reads the mode back.

    Returns mode, id, previous, reboot_needed.
    """
    device = task.device
    look = device.call("nvpmodel", {**args, "allow_reboot": args["allow_reboot"]}, check=True)
    mode = look.data["mode"]
    if look.data.get("reboot_needed"):
        wanted = look.diff["after"] if look.diff else args["mode"]
        task.warn(f"power mode stays {mode}: {wanted} needs a reboot; set fleet_allow_reboot: true to allow one")
        return Outcome(data=look.data, message=f"{mode} stays: {wanted} needs a reboot")
    if not look.changed:
        return Outcome(data=look.data, message=f"{mode}")
    if task.check:
        note = ", needs a reboot" if look.data.get("reboot_needed") else ""
        return Outcome(True, look.data, look.diff, f"would change {look.data['previous']} to {mode}{note}")
    task.state("preparing", f"power mode {mode}")
    reply = device.call("nvpmodel", args, become=True)
    data = dict(reply.data)
    if data.get("rebooting"):
        task.state("rebooting", f"into power mode {mode}")
        device.reconnect(rebooted=True)
        task.forget_facts()
        now = device.call("nvpmodel", {**args, "allow_reboot": False}, check=True)
        if now.changed:
            task.warn(f"power mode is {now.data['previous']} after the reboot, {mode} was asked for")
        data.update(rebooting=False, mode=now.data["previous"] if now.changed else mode)
    elif data.get("reboot_needed"):
        task.warn(f"power mode {mode} needs a reboot; set fleet_allow_reboot: true to allow one")
        return Outcome(reply.changed, data, reply.diff, f"{data['previous']} kept: {mode} needs a reboot")
    task.forget_facts()
    task.power_changed(f"power mode was {data['previous']}")
    return Outcome(True, data, reply.diff, f"{data['previous']} to {data['mode']}")


@module(
    "jetson_clocks",
    state=Argument("str", "keep, or max to lock all clocks at their highest", "keep", choices=("keep", "max")),
)
def jetson_clocks(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Lock the clocks of a Jetson at the highest that its power mode allows.

    Clocks are lost in every reboot; this reads them, and becomes root only when they are not locked.

    Returns locked and the clocks.
    """
    look = task.device.call("jetson_clocks", args, check=True)
    if not look.changed:
        return Outcome(data=look.data, message="kept" if args["state"] == "keep" else "locked")
    if task.check:
        return Outcome(True, look.data, look.diff, "would lock the clocks")
    task.state("preparing", "clocks")
    reply = task.device.call("jetson_clocks", args, become=True)
    task.forget_facts()
    task.power_changed("clocks were not locked")
    return Outcome(True, reply.data, reply.diff, "locked")


@module("jetson_fan", speed=Argument("str", "keep, or max for full speed", "keep", choices=("keep", "max")))
def jetson_fan(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Run the fan of a Jetson at full speed.

    A board without a fan that can be set says so and is left alone.
    """
    look = task.device.call("fan", args, check=True)
    if not look.changed or task.check:
        return Outcome(look.changed, look.data, look.diff)
    reply = task.device.call("fan", args, become=True)
    return Outcome(reply.changed, reply.data, reply.diff)
