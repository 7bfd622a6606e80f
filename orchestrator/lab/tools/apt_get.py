"""apt-get: installs what the profile has `available`, simulates, upgrades nothing, and respects the dpkg lock."""

from __future__ import annotations

import fcntl
import os
import re
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import packages

LOCK = "/var/lib/dpkg/lock-frontend"
FAILED = 100
TAKES_VALUE = ("-o", "--option", "-t", "--target-release", "--default-release", "-c", "--config-file")


def main(argv: list[str]) -> int:
    flags: set[str] = set()
    words: list[str] = []
    args = list(argv)
    while args:
        arg = args.pop(0)
        if arg in TAKES_VALUE:
            args[:1] = []
        elif arg.startswith("--"):
            flags.add(arg)
        elif arg.startswith("-"):
            flags.update(f"-{letter}" for letter in arg[1:].rstrip("="))
        else:
            words.append(arg)
    verb, names = (words[0], words[1:]) if words else ("", [])
    simulate = bool(flags & {"-s", "--simulate", "--just-print", "--dry-run", "--recon", "--no-act"})
    verbs = {"install", "remove", "purge", "update", "upgrade", "dist-upgrade", "full-upgrade", "autoremove", "clean"}
    if verb not in verbs | {"check", "autoclean"}:
        print(f"E: Invalid operation {verb}" if verb else "E: No operation given", file=sys.stderr)
        return FAILED
    if not simulate and verb != "check":
        problem = _lock_problem(device.profile())
        if problem:
            print(problem, file=sys.stderr)
            return FAILED
    if verb == "update":
        return _update(device.profile())
    if verb in ("clean", "autoclean", "check"):
        return 0
    if verb == "install":
        return _install(names, simulate, flags)
    if verb in ("remove", "purge"):
        return _remove(names, simulate)
    print("Reading package lists...\nBuilding dependency tree...\nReading state information...")
    print("0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.")
    return 0


def _lock_problem(profile: dict[str, Any]) -> str:
    if not device.is_root():
        return (
            f"E: Could not open lock file {LOCK} - open (13: Permission denied)\n"
            f"E: Unable to acquire the dpkg frontend lock ({LOCK}), are you root?"
        )
    holder = device.state().get("apt_lock_holder")
    if holder or _really_locked():
        old = profile["sudo"]["style"] == "bionic"
        ending = "is another process using it?"
        first = f"E: Could not get lock {LOCK} - open (11: Resource temporarily unavailable)"
        if not old:
            first = (
                f"E: Could not get lock {LOCK}. It is held by process {holder or '1 (apt-get)'}\n"
                "N: Be aware that removing the lock file is not a solution and may break your system."
            )
        return f"{first}\nE: Unable to acquire the dpkg frontend lock ({LOCK}), {ending}"
    return ""


def _really_locked() -> bool:
    try:
        with open(device.path(LOCK), encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _update(profile: dict[str, Any]) -> int:
    for number, source in enumerate(profile["apt_source"].values(), 1):
        print(f"Hit:{number} {source} InRelease")
    print("Reading package lists...")
    return 0


def _install(names: list[str], simulate: bool, flags: set[str]) -> int:
    available = device.profile()["available"]
    state = device.state()
    installed = state["packages"]
    print("Reading package lists...\nBuilding dependency tree...\nReading state information...")
    new: dict[str, str] = {}
    upgraded: dict[str, str] = {}
    for wanted in names:
        name, _, version = wanted.partition("=")
        found = candidate(name, installed, available)
        if found is None:
            print(f"E: Unable to locate package {name}", file=sys.stderr)
            return FAILED
        if version and version not in (found, installed.get(name)):
            print(f"E: Version '{version}' for '{name}' was not found", file=sys.stderr)
            return FAILED
        if name not in installed:
            if "--only-upgrade" in flags:
                print(f"Skipping {name}, it is not installed and only upgrades are requested.")
                continue
            new[name] = found
        elif packages.compare(found, installed[name]) > 0:
            if name in packages.held(state):
                print(
                    "E: Held packages were changed and -y was used without --allow-change-held-packages.",
                    file=sys.stderr,
                )
                return FAILED
            upgraded[name] = found
        else:
            print(f"{name} is already the newest version ({installed[name]}).")
    if new:
        print("The following NEW packages will be installed:\n  " + " ".join(sorted(new)))
    print(f"{len(upgraded)} upgraded, {len(new)} newly installed, 0 to remove and 0 not upgraded.")
    changes = {**upgraded, **new}
    for name, version in sorted(changes.items()):
        if simulate:
            print(f"Inst {name} ({version} stable [{packages.architecture(name)}])")
            print(f"Conf {name} ({version} stable [{packages.architecture(name)}])")
    if simulate or not changes:
        return 0
    for name, version in sorted(changes.items()):
        if name in state.get("broken_packages", []):
            return _broken(name, version)
        print(f"Unpacking {name} ({version}) ...")
        print(f"Setting up {name} ({version}) ...")
    with device.changing() as now:
        now["packages"].update(changes)
    return 0


def _broken(name: str, version: str) -> int:
    print(f"Setting up {name} ({version}) ...")
    print(
        f"dpkg: error processing package {name} (--configure):\n installed {name} package post-installation script "
        f"subprocess returned error exit status 1\nErrors were encountered while processing:\n {name}\n"
        "E: Sub-process /usr/bin/dpkg returned an error code (1)",
        file=sys.stderr,
    )
    return FAILED


def candidate(name: str, installed: dict[str, str], available: dict[str, str]) -> str | None:
    known = [version for version in (installed.get(name), available.get(name)) if version]
    if len(known) == 2:
        return known[0] if packages.compare(known[0], known[1]) >= 0 else known[1]
    return known[0] if known else None


def _remove(names: list[str], simulate: bool) -> int:
    installed = device.state()["packages"]
    print("Reading package lists...\nBuilding dependency tree...\nReading state information...")
    gone = []
    for name in names:
        name = re.sub(r"[:*].*$", "", name)
        if name in installed:
            gone.append(name)
        elif name in device.profile()["available"]:
            print(f"Package '{name}' is not installed, so not removed")
        else:
            print(f"E: Unable to locate package {name}", file=sys.stderr)
            return FAILED
    print(f"0 upgraded, 0 newly installed, {len(gone)} to remove and 0 not upgraded.")
    if simulate or not gone:
        for name in gone:
            print(f"Remv {name} [{installed[name]}]")
        return 0
    with device.changing() as state:
        for name in gone:
            print(f"Removing {name} ({state['packages'].pop(name)}) ...")
    return 0


if __name__ == "__main__":
    device.run(main)
