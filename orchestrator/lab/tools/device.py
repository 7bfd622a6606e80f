"""What every emulated tool shares: the device's profile, its mutable state, files under its root, and who is asking.

A tool runs inside a virtual device, whose root folder is `/`. Where FLEET_LAB_ROOT is set (tests, and machines that
forbid namespaces), that folder stands for `/`, and FLEET_LAB_UID says whom the tool believes to be.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

ROOT = os.environ.get("FLEET_LAB_ROOT", "").rstrip("/")
LAB = ROOT + "/.lab"


def path(name: str) -> str:
    """Where the device's absolute path `name` lies for this process."""
    return ROOT + name


def which(name: str) -> str | None:
    """The device's path of a command, by the caller's PATH."""
    for folder in os.environ.get("PATH", "").split(":"):
        if folder and os.access(path(f"{folder}/{name}"), os.X_OK):
            return f"{folder}/{name}"
    return None


def profile() -> dict[str, Any]:
    """The device's profile, as lab/profiles/<name>.yml gives it."""
    with open(LAB + "/profile.json", encoding="utf-8") as stream:
        result: dict[str, Any] = json.load(stream)
        return result


def state() -> dict[str, Any]:
    """The device's mutable state; an empty dict before the first boot."""
    try:
        with open(LAB + "/state.json", encoding="utf-8") as stream:
            result: dict[str, Any] = json.load(stream)
            return result
    except FileNotFoundError:
        return {}


@contextlib.contextmanager
def changing() -> Iterator[dict[str, Any]]:
    """The state, locked; what the block changes in it is written by rename at the end of the block."""
    with open(LAB + "/state.lock", "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        current = state()
        yield current
        temporary = f"{LAB}/state.json.{os.getpid()}~"
        with open(temporary, "w", encoding="utf-8") as stream:
            json.dump(current, stream, indent=1)
        os.replace(temporary, LAB + "/state.json")


def uid() -> int:
    """The caller's effective user id on the device."""
    if ROOT and "FLEET_LAB_UID" in os.environ:
        return int(os.environ["FLEET_LAB_UID"])
    return os.geteuid()


def is_root() -> bool:
    return uid() == 0


def read(name: str, default: str = "") -> str:
    """The text of a file of the device without its final newline; `default` where there is none."""
    try:
        with open(path(name), encoding="utf-8") as stream:
            return stream.read().rstrip("\n")
    except OSError:
        return default


def write(name: str, text: str) -> None:
    """Write a small file of the device by rename, creating its folders; only root can change it afterwards."""
    target = path(name)
    # All users of a device are one user of the host, so a file of root's has no write bit (see lab/root.py).
    before = os.umask(0o022 if ROOT else 0o222)
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        temporary = f"{target}.{os.getpid()}~"
        with open(temporary, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, target)
    finally:
        os.umask(before)


def request(word: str, patience_s: float = 5.0) -> bool:
    """Ask the machine that holds this device for `reboot` or `poweroff`; False where nobody listened in time."""
    control = LAB + "/control"
    if not os.path.exists(control):
        with open(control, "w", encoding="utf-8") as stream:
            stream.write(word + "\n")
        return True
    end = time.monotonic() + patience_s
    while True:
        try:
            pipe = os.open(control, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
            break
        except OSError as problem:
            if problem.errno != errno.ENXIO or time.monotonic() > end:
                return False
            time.sleep(0.05)
    try:
        os.write(pipe, word.encode() + b"\n")
    finally:
        os.close(pipe)
    return True


BOOT_S = 12.34
"""Seconds that the board itself took before its services ran."""


def uptime_s() -> float:
    """Seconds since the device's kernel started, the clock of its kernel log."""
    return BOOT_S + max(0.0, time.time() - float(state().get("booted_at", time.time())))


def refresh_uptime() -> None:
    """Bring /proc/uptime, a plain file here, up to date; every emulated tool does when it starts."""
    now = uptime_s()
    with contextlib.suppress(OSError), open(path("/proc/uptime"), "r+", encoding="ascii") as stream:
        stream.write(f"{now:.2f} {now * 3.2:.2f}\n")


def kernel_log(line: str) -> None:
    """Append a line to the kernel log that dmesg prints, stamped with the uptime."""
    with open(LAB + "/kmsg", "a", encoding="utf-8") as stream:
        stream.write(f"[{uptime_s():12.6f}] {line}\n")


def run(main: Callable[[list[str]], int]) -> None:
    """Run a tool's main and leave as a C program would: no traceback on a closed pipe or an interrupt."""
    code = 0
    refresh_uptime()
    try:
        code = main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 141
    except KeyboardInterrupt:
        code = 130
    sys.stderr.flush()
    sys.exit(code)
