"""Who may use sudo on a device: /etc/group and the drop-ins of /etc/sudoers.d."""

from __future__ import annotations

import os
import re

import device

FOLDER = "/etc/sudoers.d"


def groups_of(user: str) -> list[str]:
    """Groups that /etc/group puts a user into; empty where there is no such file."""
    rows = [line.split(":") for line in device.read("/etc/group").splitlines()]
    return [row[0] for row in rows if len(row) == 4 and (user in row[3].split(",") or row[0] == user)]


def right(user: str, groups: list[str]) -> str:
    """What the drop-ins give a user for all commands: `nopasswd`, `passwd`, or nothing.

    A drop-in that others may write, or whose name has a dot or ends in ~, is passed over, as sudo does. It is read as
    root: the caller has become that before.
    """
    found = ""
    try:
        names = sorted(os.listdir(device.path(FOLDER)))
    except OSError:
        return found
    for name in names:
        path = f"{FOLDER}/{name}"
        if "." in name or name.endswith("~") or os.stat(device.path(path)).st_mode & 0o022:
            continue
        for line in device.read(path).splitlines():
            match = re.match(r"\s*([%\w.-]+)\s+ALL\s*=\s*(?:\([^)]*\)\s*)?((?:[A-Z]+:\s*)*)ALL\s*$", line)
            if match and (match[1] in (user, "ALL") or (match[1][1:] in groups and match[1].startswith("%"))):
                found = "nopasswd" if "NOPASSWD:" in match[2] else "passwd"
    return found
