"""systemctl over the units of the device: queries with their exit codes, and the changes a fleet tool makes."""

from __future__ import annotations

import fnmatch
import os
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import effects
import swap
import units

NO_SUCH_UNIT = 5
INACTIVE = 3
CHANGES = {
    *("start", "stop", "restart", "reload", "try-restart", "reload-or-restart", "condrestart"),
    *("enable", "disable", "mask", "unmask", "reenable", "reset-failed"),
}
TAKES_VALUE = ("-p", "--property", "-t", "--type", "--state", "-n", "--lines", "-o", "--output")


def main(argv: list[str]) -> int:
    flags, words, asked = _words(argv)
    verb, names = (words[0], words[1:]) if words else ("list-units", [])
    found = [name if name.endswith(units.SUFFIXES) else name + ".service" for name in names]
    if verb in ("reboot", "poweroff"):
        return _power(verb)
    if verb in ("daemon-reload", "daemon-reexec"):
        return 0 if device.is_root() else _denied("reload daemon")
    if verb == "get-default":
        print(units.default_target(device.state()))
        return 0
    if verb == "set-default":
        return _set_default(found[0] if found else "")
    if verb == "isolate":
        return 0 if device.is_root() else _denied(f"start {found[0] if found else ''}")
    if verb == "is-system-running":
        broken = any(unit.get("failed") for unit in device.state()["services"].values())
        print("degraded" if broken else "running")
        return int(broken)
    if verb in ("is-active", "is-failed", "is-enabled"):
        return _ask(verb, found, bool(flags & {"-q", "--quiet"}))
    if verb in CHANGES:
        return _change(verb, found, "--now" in flags, bool(flags & {"-q", "--quiet"}))
    if verb == "status":
        return _status(found)
    if verb == "show":
        return _show(found, asked, "--value" in flags)
    if verb == "cat":
        return _cat(found)
    if verb in ("list-units", "list-unit-files"):
        return _list(verb, names)
    print(f"Unknown operation {verb}.", file=sys.stderr)
    return 1


def _words(argv: list[str]) -> tuple[set[str], list[str], list[str]]:
    flags: set[str] = set()
    words: list[str] = []
    asked: list[str] = []
    args = list(argv)
    while args:
        arg = args.pop(0)
        name, equals, value = arg.partition("=")
        if name in TAKES_VALUE:
            value = value if equals else args.pop(0) if args else ""
            asked += value.split(",") if name in ("-p", "--property") else []
        elif arg.startswith("-"):
            flags.add(arg)
        else:
            words.append(arg)
    return flags, words, asked


def _ask(verb: str, names: list[str], quiet: bool) -> int:
    known = units.known(device.state())
    answers = []
    for name in names:
        unit = known.get(name)
        if verb == "is-enabled":
            if unit is None:
                print(f"Failed to get unit file state for {name}: No such file or directory", file=sys.stderr)
                answers.append(False)
                continue
            word = _file_state(name, unit)
            answers.append(word in ("enabled", "static"))
        else:
            word = _activity(unit)
            answers.append(word == ("active" if verb == "is-active" else "failed"))
        if not quiet:
            print(word)
    if verb == "is-failed":
        return 0 if any(answers) else 1
    return 0 if any(answers) else INACTIVE if verb == "is-active" else 1


def _file_state(name: str, unit: dict[str, Any]) -> str:
    if unit.get("masked"):
        return "masked"
    if unit.get("enabled"):
        return "enabled"
    path = units.file_of(name)
    return "static" if path and "[Install]" not in units.text_of(name) else "disabled"


def _activity(unit: dict[str, Any] | None) -> str:
    if unit is None:
        return "inactive"
    return "failed" if unit.get("failed") else "active" if unit.get("active") else "inactive"


def _change(verb: str, names: list[str], now: bool, quiet: bool) -> int:
    if not device.is_root():
        return _denied(f"{verb} {' '.join(names)}")
    code = 0
    for name in names:
        # The state is free while a unit's commands run: they may be tools that change it.
        known = units.known(device.state())
        if name not in known:
            missing = f"Failed to {verb} {name}: Unit {name} not found."
            if verb in ("enable", "disable", "reenable"):
                missing = f"Failed to {verb} unit: Unit file {name} does not exist."
            print(missing, file=sys.stderr)
            code = 1 if verb in ("enable", "disable", "mask") else NO_SUCH_UNIT
            continue
        unit = known[name]
        code = _one(verb, name, unit, now, quiet) or code
        with device.changing() as state:
            state["services"][name] = unit
    return code


def _one(verb: str, name: str, unit: dict[str, Any], now: bool, quiet: bool) -> int:
    if verb in ("mask", "unmask"):
        path = f"/etc/systemd/system/{name}"
        unit["masked"] = verb == "mask"
        if unit["masked"] and not os.path.lexists(device.path(path)):
            effects.link(path, "/dev/null")
            print(f"Created symlink {path} → /dev/null.", file=sys.stderr)
        elif not unit["masked"] and os.path.islink(device.path(path)):
            os.unlink(device.path(path))
            print(f"Removed {path}.", file=sys.stderr)
        return 0
    if verb in ("enable", "disable", "reenable"):
        wanted = verb != "disable"
        if unit.get("masked") and wanted:
            print(f"Failed to enable unit: Unit file /etc/systemd/system/{name} is masked.", file=sys.stderr)
            return 1
        if bool(unit.get("enabled")) != wanted:
            for line in units.link(name, wanted):
                if not quiet:
                    print(line, file=sys.stderr)
            unit["enabled"] = wanted
        if now:
            return _one("start" if wanted else "stop", name, unit, False, quiet)
        return 0
    if verb == "reset-failed":
        unit["failed"] = False
        return 0
    if verb == "stop":
        if unit.get("active"):
            units.start(name, unit, "ExecStop")
        unit.update(active=False, failed=False)
        _effect(name, False)
        return 0
    if unit.get("masked"):
        print(f"Failed to {verb} {name}: Unit {name} is masked.", file=sys.stderr)
        return 1
    if verb in ("try-restart", "condrestart") and not unit.get("active"):
        return 0
    if verb == "start" and unit.get("active"):
        return 0
    unit["starts"] = unit.get("starts", 0) + 1
    if not units.start(name, unit):
        print(
            f"Job for {name} failed because the control process exited with error code.\n"
            f'See "systemctl status {name}" and "journalctl -xe" for details.',
            file=sys.stderr,
        )
        return 1
    _effect(name, True)
    return 0


def _effect(name: str, on: bool) -> None:
    """What a unit of the image does to the rest of the board."""
    if name == "nvzramconfig.service":
        swap.set_zram(on, device.profile())


def _set_default(target: str) -> int:
    if not device.is_root():
        return _denied("set default target")
    if target not in units.TARGETS:
        print(f"Failed to set default target: Unit file {target} does not exist.", file=sys.stderr)
        return 1
    path = "/etc/systemd/system/default.target"
    if os.path.lexists(device.path(path)):
        print(f"Removed {path}.", file=sys.stderr)
    effects.link(path, f"/lib/systemd/system/{target}")
    print(f"Created symlink {path} → /lib/systemd/system/{target}.", file=sys.stderr)
    return 0


def _status(names: list[str]) -> int:
    known = units.known(device.state())
    code = 0
    for name in names:
        unit = known.get(name)
        if unit is None:
            print(f"Unit {name} could not be found.", file=sys.stderr)
            code = 4
            continue
        enabled, word = _file_state(name, unit), _activity(unit)
        active = {"active": "active (running)", "failed": "failed (Result: exit-code)"}.get(word, "inactive (dead)")
        path = units.file_of(name) or f"/lib/systemd/system/{name}"
        print(f"● {name}\n   Loaded: loaded ({path}; {enabled})\n   Active: {active}")
        for line in device.read(f"/var/log/journal/{name}").splitlines()[-10:]:
            print(line)
        code = code or (0 if word == "active" else INACTIVE)
    return code


def _show(names: list[str], asked: list[str], bare: bool) -> int:
    known = units.known(device.state())
    for number, name in enumerate(names):
        if number:
            print()
        unit = known.get(name)
        word = _activity(unit)
        running = {"active": "running", "failed": "failed"}.get(word, "dead")
        kind = (units.values(name, "Type") or ["simple"])[-1]
        if kind == "oneshot" and word == "active":
            running = "exited"
        loaded = "not-found" if unit is None else "masked" if unit.get("masked") else "loaded"
        properties = {
            "Type": kind,
            "Result": (unit or {}).get("result", "success"),
            "ExecMainStatus": str((unit or {}).get("status", 0)),
            "MainPID": "0" if running != "running" else "812",
            "Id": name,
            "Names": name,
            "Description": (units.values(name, "Description") or [name])[-1],
            "LoadState": loaded,
            "ActiveState": word,
            "SubState": running,
            "FragmentPath": (units.file_of(name) or f"/lib/systemd/system/{name}") if unit else "",
            "UnitFileState": _file_state(name, unit) if unit else "",
            "UnitFilePreset": "enabled",
            "NeedDaemonReload": "no",
        }
        for key in asked or properties:
            if key in properties:
                print(properties[key] if bare else f"{key}={properties[key]}")
    return 0


def _cat(names: list[str]) -> int:
    code = 0
    for name in names:
        if not units.file_of(name):
            print(f"No files found for {name}.", file=sys.stderr)
            code = 1
            continue
        print(f"# {units.file_of(name)}\n{units.text_of(name)}")
    return code


def _list(verb: str, patterns: list[str]) -> int:
    for name, unit in sorted(units.known(device.state()).items()):
        if patterns and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            continue
        shown = f"loaded {_activity(unit)}" if verb == "list-units" else _file_state(name, unit)
        print(f"{name:<40} {shown}")
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
