"""The locks of dpkg and apt: really taken by whoever holds them, and the words of each release about that."""

from __future__ import annotations

import fcntl
import os
import struct
import time

import device

FRONTEND = "/var/lib/dpkg/lock-frontend"
LISTS = "/var/lib/apt/lists/lock"
_TRY_S = 0.2
_kept: list[int] = []


def wait(path: str, timeout_s: float) -> str | None:
    """Take a lock for the rest of this process; returns what apt-get says when it cannot, in `timeout_s` or at once.

    bionic's apt does not wait, whatever one asks.
    """
    if not device.is_root():
        return (
            f"E: Could not open lock file {path} - open (13: Permission denied)\n"
            f"E: Unable to acquire the dpkg frontend lock ({path}), are you root?"
        )
    old = device.profile()["sudo"]["style"] == "bionic"
    deadline = time.monotonic() + (0 if old else timeout_s)
    while True:
        holder = device.state().get("apt_lock_holder") or take(path)
        if not holder:
            return None
        if time.monotonic() >= deadline:
            return _words(path, holder, old)
        time.sleep(_TRY_S)


def take(path: str) -> str | None:
    """Take a lock until this process ends; returns the holder, `pid (name)`, where somebody has it."""
    place = device.path(path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    handle = os.open(place, os.O_RDWR | os.O_CREAT, 0o640)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pid = _holder(handle)
        os.close(handle)
        return f"{pid} ({_name(pid)})"
    _kept.append(handle)
    return None


def _holder(handle: int) -> int:
    """Process id of who holds the lock, as the kernel tells it."""
    asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    return int(struct.unpack("hhqqi4x", fcntl.fcntl(handle, fcntl.F_GETLK, asked))[4])


def _name(pid: int) -> str:
    for folder in ("/.lab/proc", "/proc"):
        try:
            with open(f"{folder}/{pid}/comm", encoding="utf-8", errors="replace") as stream:
                return stream.read().strip()
        except OSError:
            continue
    return "apt-get"


def _words(path: str, holder: str, old: bool) -> str:
    first = f"E: Could not get lock {path} - open (11: Resource temporarily unavailable)"
    if not old:
        first = (
            f"E: Could not get lock {path}. It is held by process {holder}\n"
            "N: Be aware that removing the lock file is not a solution and may break your system."
        )
    if path == LISTS:
        return f"{first}\nE: Unable to lock directory /var/lib/apt/lists/"
    return f"{first}\nE: Unable to acquire the dpkg frontend lock ({path}), is another process using it?"
