"""Units of systemd on a virtual device: those of the image, those whose file lies there, and running their commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from typing import Any

import device
import effects

FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")
SUFFIXES = (".service", ".target", ".timer", ".socket", ".mount", ".swap", ".path")
TARGETS = ("multi-user.target", "graphical.target", "rescue.target")
TIMEOUT_S = 60


def known(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Units by name: those of the image, and those whose file somebody has put down since."""
    units = {name: dict(unit) for name, unit in state["services"].items()}
    for folder in FOLDERS:
        try:
            names = os.listdir(device.path(folder))
        except OSError:
            continue
        for name in names:
            if name.endswith(SUFFIXES) and name not in units and name != "default.target":
                units[name] = {"enabled": _wanted(name), "active": False}
    return units


def _wanted(name: str) -> bool:
    """Whether some target wants a unit, by the links that enabling makes."""
    folder = "/etc/systemd/system"
    try:
        targets = os.listdir(device.path(folder))
    except OSError:
        return False
    return any(t.endswith(".wants") and os.path.lexists(device.path(f"{folder}/{t}/{name}")) for t in targets)


def file_of(name: str) -> str:
    """Path of a unit's file, empty for one of the image that has none here."""
    return next((f"{folder}/{name}" for folder in FOLDERS if os.path.isfile(device.path(f"{folder}/{name}"))), "")


def text_of(name: str) -> str:
    """The unit's file, with its drop-ins after it."""
    path = file_of(name)
    parts = [device.read(path)] if path else []
    folder = f"/etc/systemd/system/{name}.d"
    if os.path.isdir(device.path(folder)):
        parts += [device.read(f"{folder}/{drop}") for drop in sorted(os.listdir(device.path(folder)))]
    return "\n".join(parts)


def values(name: str, key: str) -> list[str]:
    """What a unit's file says for a key, in order; an empty value forgets the ones before."""
    found: list[str] = []
    for match in re.finditer(rf"(?m)^\s*{key}\s*=\s*(.*?)\s*$", text_of(name)):
        found = [*found, match[1]] if match[1] else []
    return found


def link(name: str, wanted: bool) -> list[str]:
    """Make or remove the links that enabling stands for; returns systemctl's lines about them."""
    lines = []
    for target in values(name, "WantedBy")[:1] or ["multi-user.target"]:
        for one in target.split():
            path = f"/etc/systemd/system/{one}.wants/{name}"
            source = file_of(name) or f"/lib/systemd/system/{name}"
            there = os.path.lexists(device.path(path))
            if wanted and not there:
                effects.link(path, source)
                lines.append(f"Created symlink {path} → {source}.")
            elif not wanted and there:
                os.unlink(device.path(path))
                lines.append(f"Removed {path}.")
            elif not wanted:
                lines.append(f"Removed {path}.")
    return lines


def start(name: str, unit: dict[str, Any], key: str = "ExecStart") -> bool:
    """Run a unit's commands where it is a oneshot with a file; a unit that would stay is only said to run.

    Returns whether it started.
    """
    if unit.get("broken"):
        unit.update(active=False, failed=True, result="exit-code", status=1)
        return False
    oneshot = (values(name, "Type") or ["simple"])[-1] == "oneshot"
    if oneshot:
        for line in [*(values(name, "ExecStartPre") if key == "ExecStart" else []), *values(name, key)]:
            code = _run(name, line)
            if code and not line.startswith("-"):
                unit.update(active=False, failed=True, result="exit-code", status=code)
                return False
    stays = not oneshot or (values(name, "RemainAfterExit") or ["no"])[-1] in ("yes", "true", "1")
    unit.update(active=stays, failed=False, result="success", status=0)
    return True


def _run(name: str, line: str) -> int:
    argv = shlex.split(line.lstrip("-@:+!"))
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    environment.update(dict(one.split("=", 1) for text in values(name, "Environment") for one in shlex.split(text)))
    if device.ROOT:
        environment.update(FLEET_LAB_ROOT=device.ROOT, FLEET_LAB_UID="0")
        argv[0] = device.path(argv[0]) if os.path.exists(device.path(argv[0])) else argv[0]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
        code, said = done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        code, said = 124, f"{name}: start operation timed out. Terminating.\n"
    except OSError as problem:
        code, said = 203, f"Failed to execute command: {problem.strerror}\n"
    if said:
        journal = f"/var/log/journal/{name}"
        device.write(journal, device.read(journal) + ("\n" if device.read(journal) else "") + said)
    return code


def default_target(state: dict[str, Any]) -> str:
    """By the link that somebody may have made by hand, else the image's."""
    try:
        return os.path.basename(os.readlink(device.path("/etc/systemd/system/default.target")))
    except OSError:
        return str(state["default_target"])
