"""systemctl over the units of the device's state: queries with their exit codes, and the changes a fleet tool makes."""

from __future__ import annotations

import os
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device

NO_SUCH_UNIT = 5
INACTIVE = 3
SUFFIXES = (".service", ".target", ".timer", ".socket", ".mount", ".swap", ".path")
CHANGES = {
    "start",
    "stop",
    "restart",
    "reload",
    "try-restart",
    "reload-or-restart",
    "enable",
    "disable",
    "mask",
    "unmask",
}
UNIT_FOLDERS = ("/etc/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system")


def main(argv: list[str]) -> int:
    flags = {arg for arg in argv if arg.startswith("-")}
    words = [arg for arg in argv if not arg.startswith("-")]
    verb, names = (words[0], words[1:]) if words else ("list-units", [])
    units = [name if name.endswith(SUFFIXES) else name + ".service" for name in names]
    if verb in ("reboot", "poweroff"):
        return _power(verb)
    if verb == "daemon-reload":
        return 0 if device.is_root() else _denied("reload daemon")
    if verb == "get-default":
        print(device.state()["default_target"])
        return 0
    if verb == "set-default":
        return _set_default(units[0] if units else "")
    if verb == "is-system-running":
        broken = any(unit.get("failed") for unit in device.state()["services"].values())
        print("degraded" if broken else "running")
        return int(broken)
    if verb in ("is-active", "is-failed", "is-enabled"):
        return _ask(verb, units, bool(flags & {"-q", "--quiet"}))
    if verb in CHANGES:
        return _change(verb, units, "--now" in flags)
    if verb in ("status", "show"):
        return _status(units)
    if verb in ("list-units", "list-unit-files"):
        return _list(verb)
    print(f"Unknown operation {verb}.", file=sys.stderr)
    return 1


def _units(state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Known units: those of the image, and those whose file somebody has put down since."""
    units = {name: dict(unit) for name, unit in state["services"].items()}
    for folder in UNIT_FOLDERS:
        try:
            names = os.listdir(device.path(folder))
        except OSError:
            continue
        for name in names:
            if name.endswith(SUFFIXES):
                units.setdefault(name, {"enabled": False, "active": False})
    return units


def _ask(verb: str, names: list[str], quiet: bool) -> int:
    units = _units(device.state())
    answers = []
    for name in names:
        unit = units.get(name)
        if verb == "is-enabled":
            if unit is None:
                print(f"Failed to get unit file state for {name}: No such file or directory", file=sys.stderr)
                answers.append(False)
                continue
            word = "masked" if unit.get("masked") else "enabled" if unit.get("enabled") else "disabled"
            answers.append(word == "enabled")
        else:
            word = _activity(unit)
            answers.append(word == ("active" if verb == "is-active" else "failed"))
        if not quiet:
            print(word)
    if verb == "is-failed":
        return 0 if any(answers) else 1
    return 0 if any(answers) else INACTIVE if verb == "is-active" else 1


def _activity(unit: dict[str, Any] | None) -> str:
    if unit is None:
        return "inactive"
    return "failed" if unit.get("failed") else "active" if unit.get("active") else "inactive"


def _change(verb: str, names: list[str], now: bool) -> int:
    if not device.is_root():
        return _denied(f"{verb} {' '.join(names)}")
    code = 0
    with device.changing() as state:
        known = _units(state)
        for name in names:
            if name not in known:
                missing = f"Failed to {verb} {name}: Unit {name} not found."
                if verb in ("enable", "disable"):
                    missing = f"Failed to {verb} unit: Unit file {name} does not exist."
                print(missing, file=sys.stderr)
                code = 1 if verb in ("enable", "disable") else NO_SUCH_UNIT
                continue
            unit = state["services"].setdefault(name, known[name])
            code = _one(verb, name, unit, now) or code
    return code


def _one(verb: str, name: str, unit: dict[str, Any], now: bool) -> int:
    if verb in ("enable", "disable", "mask", "unmask"):
        wanted = verb == "enable"
        link = f"/etc/systemd/system/multi-user.target.wants/{name}"
        if verb in ("enable", "disable") and bool(unit.get("enabled")) != wanted:
            print(
                f"Created symlink {link} → /lib/systemd/system/{name}." if wanted else f"Removed {link}.",
                file=sys.stderr,
            )
            unit["enabled"] = wanted
        if verb in ("mask", "unmask"):
            unit["masked"] = verb == "mask"
        if now and verb in ("enable", "disable"):
            unit["active"] = wanted
        return 0
    if verb == "stop":
        unit.update(active=False, failed=False)
        return 0
    if unit.get("masked"):
        print(f"Failed to {verb} {name}: Unit {name} is masked.", file=sys.stderr)
        return 1
    if unit.get("broken"):
        unit.update(active=False, failed=True)
        print(
            f"Job for {name} failed because the control process exited with error code.\n"
            f'See "systemctl status {name}" and "journalctl -xe" for details.',
            file=sys.stderr,
        )
        return 1
    unit.update(active=True, failed=False, starts=unit.get("starts", 0) + 1)
    return 0


def _set_default(target: str) -> int:
    if not device.is_root():
        return _denied("set default target")
    if target not in ("multi-user.target", "graphical.target"):
        print(f"Failed to set default target: Unit file {target} does not exist.", file=sys.stderr)
        return 1
    with device.changing() as state:
        state["default_target"] = target
    link = "/etc/systemd/system/default.target"
    print(f"Created symlink {link} → /lib/systemd/system/{target}.", file=sys.stderr)
    return 0


def _status(names: list[str]) -> int:
    units = _units(device.state())
    code = 0
    for name in names:
        unit = units.get(name)
        if unit is None:
            print(f"Unit {name} could not be found.", file=sys.stderr)
            code = 4
            continue
        enabled, word = "enabled" if unit.get("enabled") else "disabled", _activity(unit)
        active = {"active": "active (running)", "failed": "failed (Result: exit-code)"}.get(word, "inactive (dead)")
        print(f"● {name}\n   Loaded: loaded (/lib/systemd/system/{name}; {enabled})\n   Active: {active}")
        code = code or (0 if word == "active" else INACTIVE)
    return code


def _list(verb: str) -> int:
    for name, unit in sorted(_units(device.state()).items()):
        enabled = "enabled" if unit.get("enabled") else "disabled"
        print(f"{name:<40} " + (f"loaded {_activity(unit)}" if verb == "list-units" else enabled))
    return 0


def _power(verb: str) -> int:
    if not device.is_root():
        return _denied(f"{verb} system via logind")
    device.request(verb)
    return 0


def _denied(action: str) -> int:
    print(f"Failed to {action}: Interactive authentication required.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    device.run(main)
