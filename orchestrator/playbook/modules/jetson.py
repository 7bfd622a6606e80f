"""Jetson modules that are done in a moment: what a board is, its memory, its clock, its rights and paths."""

from __future__ import annotations

import re
import time
from typing import Any

from orchestrator.errors import PlaybookError
from orchestrator.platforms import provisioning as tables
from orchestrator.platforms.releases import release_name, stack_of
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, Outcome, action_module, module
from orchestrator.values import unsafe

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
TRTEXEC_FOLDER = "/usr/src/tensorrt/bin"


def size_in_bytes(value: Any) -> int:
    """`4G`, `2048 MiB` or a number of bytes as bytes.

    Raises:
        PlaybookError: neither.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", str(value).strip(), re.IGNORECASE)
    if not match:
        raise PlaybookError(f"'{value}' is no size", "allowed: bytes, or a number with K, M, G or T, such as 4G")
    return int(float(match[1]) * _UNITS[match[2].upper()])


@module("jetpack_facts")
def jetpack_facts(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Find out what a device is, what provisioning would install on it, and what stands in the way. Changes nothing.

    Sets the fact `provisioning`: supported (and why not), components (name: installed), prerequisites, pins, needs
    (least versions of cmake and protobuf where something has to be built with them), and as found on the device:
    ubuntu, packages, unfinished, held, apt_lock, read_only, disk_free_bytes, gpu_nodes, over_current, cmake, protobuf.
    """
    state = task.device.call("jetpack_state", {}).data
    facts = task.facts
    components = tables.components_for(facts)
    reason = _unsupported(facts, bool(components))
    needs = tables.to_be_built(facts.get("tensorrt") or _to_come(facts), state.get("ubuntu"), state)
    found = {
        **state,
        "release": release_name(facts),
        "supported": reason is None,
        "why_not": reason,
        "components": {
            name: all(package["name"] in state["packages"] for package in packages)
            for name, packages in components.items()
        },
        "prerequisites": tables.prerequisites_for(state.get("ubuntu")),
        "pins": tables.pins_for(facts),
        "needs": needs,
        "cortex_a57": tables.has_cortex_a57(facts),
    }
    # What a device says of itself is never taken for an expression.
    task.state_of_host.ansible_facts["provisioning"] = unsafe(found)
    return Outcome(data={"ansible_facts": {"provisioning": found}}, message=reason or found["release"])


def _to_come(facts: dict[str, Any]) -> str | None:
    stack = stack_of(facts.get("l4t"))
    return stack["tensorrt"] if stack else None


def _unsupported(facts: dict[str, Any], known: bool) -> str | None:
    if not facts.get("module"):
        return "this machine is no Jetson (provision-x86.yml is for a PC)"
    if not facts.get("l4t"):
        return "no L4T release was found"
    if not known:
        return f"{release_name(facts)} is older than NVIDIA's package repository for Jetsons (JetPack 4.3)"
    return None


@module(
    "clock_sync",
    max_skew_s=Argument("int", "seconds that the device may be off", 60),
    ntp=Argument("bool", "also turn the system's time synchronisation on", True),
)
def clock_sync(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Set the device's clock to the controller's where it is off by more than a little. Needs `become: true` for that.

    A board without a battery wakes up in the past, where no server's certificate is valid yet.

    Returns skew_s (device minus controller, before) and ntp.
    """
    device = task.device
    call = {**args, "max_skew_s": max(1, args["max_skew_s"])}
    look = device.call("clock_sync", {**call, "now": time.time()}, check=True)
    skew = look.data["skew_s"]
    message = f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}" if abs(skew) >= 1 else "right"
    if not look.changed or task.check:
        return Outcome(look.changed, look.data, look.diff, message)
    reply = device.call("clock_sync", {**call, "now": time.time()}, become=True)
    return Outcome(reply.changed, reply.data, reply.diff, f"was {message}")


@module(
    "gpu_access",
    users=Argument("list", "who may use the GPU; by default who logs in", [], aliases=("user",), elements="str"),
    state=Argument("str", "absent takes the right away", "present", choices=("present", "absent")),
)
def gpu_access(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Let users use the GPU, through the groups video and (where the release has it) render.

    Groups count from the next login on, so the session is opened anew after a change. Needs `become: true`.

    Returns groups (by user) and added.
    """
    call = {"users": args["users"], "state": args["state"]}
    look = task.device.call("gpu_access", call, check=True, become=task.become)
    if not look.changed or task.check:
        return Outcome(look.changed, look.data, look.diff)
    reply = task.device.call("gpu_access", call, become=task.become)
    task.device.reconnect()
    return Outcome(True, reply.data, reply.diff, ", ".join(reply.data["added"]))


@action_module(
    "swapfile",
    path=Argument("path", "where the file lies", "/mnt/fleet.swap"),
    size=Argument("str", "its size: 4G, 2048M or bytes; 0 is as absent", "4G"),
    state=Argument("str", "absent removes it", "present", choices=("present", "absent")),
)
def swapfile(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Keep a swap file, in use now and after every boot; or remove it. Needs `become: true`.

    Swap is for compilers and exporters: a GPU's memory is never swapped.

    Returns path, size (bytes), active.
    """
    return {**args, "size": size_in_bytes(args["size"])}


@action_module(
    "zram",
    state=Argument("str", "whether the compressed swap is used", required=True, choices=("enabled", "disabled")),
)
def zram(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Turn the release's compressed swap in memory (nvzramconfig) on or off, now and for every boot.

    Beside a swap file it only takes memory. Needs `become: true`.

    Returns available, enabled, devices, left (what stays in use until the next boot).
    """
    return args


@action_module(
    "headless",
    state=Argument("str", "enabled boots into text mode", "enabled", choices=("enabled", "disabled")),
    now=Argument("bool", "also stop (or start) the desktop at once", False),
)
def headless(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Boot without a desktop, which leaves 250 to 800 MB more to the GPU; or with one again. Needs `become: true`.

    Returns default (the boot target) and desktop (whether it is up now).
    """
    return args


@action_module(
    "cuda_paths",
    cuda=Argument("path", "CUDA's folder", "/usr/local/cuda"),
    more=Argument("list", "further folders for PATH", [TRTEXEC_FOLDER], elements="str"),
    openblas_armv8=Argument("bool", "tell OpenBLAS the CPU; by default where it is mistaken (Nano, TX2)"),
    state=Argument("str", "absent removes the file", "present", choices=("present", "absent")),
    reads_variables=True,
)
def cuda_paths(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Put CUDA's and TensorRT's tools on the path of every login shell, by /etc/profile.d/fleet-cuda.sh.

    Needs `become: true`. Fleet's own builds do not depend on it.

    Returns path and present.
    """
    openblas = args["openblas_armv8"]
    return {**args, "openblas_armv8": tables.has_cortex_a57(task.facts) if openblas is None else openblas}
