"""Injects a fault into the device, or ends it: `fault.py NAME [VALUE|off]`; fault_names.py says which there are."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import clock
import device
import fault_names
import pip_place
import standins

DISK = "/.lab/disk"
A_DAY_OF_1970 = 3600.0


def main(argv: list[str]) -> int:
    if not device.is_root():
        print("fault: only root may break a device", file=sys.stderr)
        return 1
    if not argv or argv[0] not in fault_names.FAULTS:
        known = "\n".join(f"  {name}: {text}" for name, text in fault_names.FAULTS.items())
        print(f"usage: fault NAME [VALUE|off]\n{known}", file=sys.stderr)
        return 2
    name, value = argv[0], argv[1] if len(argv) > 1 else ""
    on = value != "off"
    HANDLERS[name](on, value if on else "")
    if name != "read_only" or on:
        with contextlib.suppress(OSError):
            _note(name, on, value)
    return 0


def at_boot() -> None:
    """What a fault does again whenever the device boots."""
    for name, value in device.state().get("faults", {}).items():
        if name in ("apt_lock", "read_only") or (name == "clock_1970" and clock.behind_s()):
            HANDLERS[name](True, value)


def _note(name: str, on: bool, value: str) -> None:
    with device.changing() as state:
        faults = state.setdefault("faults", {})
        faults.pop(name, None)
        if on:
            faults[name] = value


def _apt_lock(on: bool, value: str) -> None:
    """A process holds the lock until its time is over, or the fault."""
    with device.changing() as state:
        state["lock_token"] = state.get("lock_token", 0) + 1
        token = state["lock_token"]
    if on:
        tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "apt_holder.py")
        argv = [sys.executable, "-S", "-E", "-s", tool, str(token), value or "0"]
        read, write = os.pipe()
        # Its output goes nowhere: who injects the fault may read ours to its end.
        null = subprocess.DEVNULL
        more = {"stdin": null, "stdout": null, "stderr": null, "pass_fds": [write], "start_new_session": True}
        subprocess.Popen([*argv, str(write)], **more)  # type: ignore[call-overload]
        os.close(write)
        os.read(read, 1)
        os.close(read)


def _clock(on: bool, value: str) -> None:
    import time

    clock.set_to((float(value) if value else A_DAY_OF_1970) if on else time.time())


def _disk(on: bool, value: str) -> None:
    if on:
        device.write(DISK, f"{float(value or 20) * 1e6:.0f}\n")
    elif os.path.exists(device.path(DISK)):
        os.unlink(device.path(DISK))


def _half_configured(on: bool, value: str) -> None:
    name = value or "nvidia-l4t-bootloader"
    with device.changing() as state:
        half = state.setdefault("half_configured", {})
        half.clear()
        state["interrupted"] = on
        if on:
            state["packages"].setdefault(name, device.profile()["available"].get(name, "1.0"))
            half[name] = {"stuck": False}


def _unconfigurable(on: bool, value: str) -> None:
    _half_configured(on, value)
    with device.changing() as state:
        state["interrupted"] = False
        for entry in state["half_configured"].values():
            entry["stuck"] = True


def _held(on: bool, value: str) -> None:
    names = (value or "nvidia-l4t-core").split(",")
    with device.changing() as state:
        held = set(state.get("held", []))
        state["held"] = sorted(held | set(names)) if on else []


def _missing_group(on: bool, value: str) -> None:
    group, user = value or "video", str(device.profile()["user"])
    with device.changing() as state:
        groups = [one for one in state["groups"] if one != group]
        state["groups"] = groups if on else [*groups, group]
    lines = device.read("/etc/group").splitlines()
    for number, line in enumerate(lines):
        fields = line.split(":")
        if len(fields) == 4 and fields[0] == group:
            members = [one for one in fields[3].split(",") if one and one != user]
            lines[number] = ":".join([*fields[:3], ",".join(members if on else [*members, user])])
    if lines:
        device.write("/etc/group", "\n".join(lines) + "\n")


def _numpy(on: bool, value: str) -> None:
    folder = pip_place.find().system_folder()
    if on:
        standins.install("numpy", "1.19.5", folder)
    else:
        standins.uninstall("numpy", folder)


def _pycuda(on: bool, value: str) -> None:
    place, user = pip_place.find(), str(device.profile()["user"])
    version = value or "2019.1.2"
    home = f"/home/{user}/.local/lib/python{place.python}/site-packages"
    if not on:
        standins.uninstall("pycuda", home)
        return
    wheel = device.path(f"/home/{user}/.cache/pip/wheels/pycuda-{version}.whl")
    os.makedirs(os.path.dirname(wheel), exist_ok=True)
    with open(wheel, "w", encoding="utf-8") as stream:
        stream.write("9.0\n")
    standins.install("pycuda", version, home, words={"CUDA": "9.0"})
    for folder, names, files in os.walk(device.path(f"/home/{user}/.local")):
        for path in [folder, *(os.path.join(folder, one) for one in [*names, *files])]:
            os.chmod(path, os.stat(path).st_mode | 0o200)  # the login user's own


def _read_only(on: bool, value: str) -> None:
    if not device.ROOT:
        if on:
            device.kernel_log("EXT4-fs (mmcblk0p1): Remounting filesystem read-only")
            _note("read_only", True, value)
        device.request("read-only" if on else "read-write")


def _sudo(on: bool, value: str) -> None:
    with device.changing() as state:
        state["sudo"] = {**device.profile()["sudo"], **({"nopasswd": False} if on else {})}
        state["sudo_tickets"] = {}


def _sudo_wrong(on: bool, value: str) -> None:
    _sudo(on, value)
    with device.changing() as state:
        if on:
            state["sudo"]["password"] = value or "known to nobody"


def _trtexec(on: bool, value: str) -> None:
    with device.changing() as state:
        if on:
            state["oom_above_mib"] = int(re.sub(r"\D", "", value) or 1)
        else:
            state.pop("oom_above_mib", None)


HANDLERS = {
    "apt_lock": _apt_lock,
    "clock_1970": _clock,
    "disk_full": _disk,
    "half_configured": _half_configured,
    "held": _held,
    "missing_group": _missing_group,
    "numpy_illegal_instruction": _numpy,
    "pycuda_other_cuda": _pycuda,
    "read_only": _read_only,
    "sudo_asks": _sudo,
    "sudo_wrong_password": _sudo_wrong,
    "trtexec_killed": _trtexec,
    "unconfigurable": _unconfigurable,
}


if __name__ == "__main__":
    device.run(main)
