"""apt-get: installs what the archive has with what it depends on, simulates, and fails in the true words."""

from __future__ import annotations

import fnmatch
import os
import re
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import apt_lock
import apt_plan
import clock
import device
import effects
import packages

FAILED = 100
TAKES_VALUE = ("-o", "--option", "-t", "--target-release", "--default-release", "-c", "--config-file", "-a")
VERBS = {
    *("install", "remove", "purge", "update", "upgrade", "dist-upgrade", "full-upgrade", "autoremove", "clean"),
    *("check", "autoclean", "download", "reinstall", "build-dep"),
}
READING = "Reading package lists...\nBuilding dependency tree...\nReading state information..."
NEEDS_MB = 64
"""Room that an installation wants under /var/cache/apt/archives."""


def main(argv: list[str]) -> int:
    flags, options, words = _words(argv)
    verb, names = (words[0], words[1:]) if words else ("", [])
    simulate = bool(flags & {"-s", "--simulate", "--just-print", "--dry-run", "--recon", "--no-act"})
    if verb not in VERBS:
        print(f"E: Invalid operation {verb}" if verb else "E: No operation given", file=sys.stderr)
        return FAILED
    if verb in ("check", "autoclean") or simulate:
        problem = None
    else:
        lock = apt_lock.LISTS if verb == "update" else apt_lock.FRONTEND
        problem = apt_lock.wait(lock, float(options.get("DPkg::Lock::Timeout") or 0))
    if problem:
        print(problem, file=sys.stderr)
        return FAILED
    if verb == "update":
        return _update(device.profile())
    if verb in ("clean", "autoclean"):
        return 0
    if verb in ("remove", "purge", "autoremove"):
        return _remove(names, simulate)
    if device.state().get("interrupted"):
        text = "E: dpkg was interrupted, you must manually run 'sudo dpkg --configure -a' to correct the problem. "
        print(text, file=sys.stderr)
        return FAILED
    if verb == "check":
        print(READING)
        return 0
    if verb == "download":
        return 0
    if verb == "reinstall":
        flags.add("--reinstall")
    return _install([] if verb.endswith("upgrade") else names, simulate, flags, options)


def _words(argv: list[str]) -> tuple[set[str], dict[str, str], list[str]]:
    flags: set[str] = set()
    options: dict[str, str] = {}
    words: list[str] = []
    args = list(argv)
    while args:
        arg = args.pop(0)
        if arg in TAKES_VALUE:
            name, _, value = (args.pop(0) if args else "").partition("=")
            options[name] = value
        elif arg.startswith("-o") and "=" in arg:
            name, _, value = arg[2:].partition("=")
            options[name] = value
        elif arg.startswith("--"):
            flags.add(arg.split("=")[0])
        elif arg.startswith("-"):
            flags.update(f"-{letter}" for letter in arg[1:].rstrip("="))
        else:
            words.append(arg)
    return flags, options, words


def _update(profile: dict[str, Any]) -> int:
    sources = list(profile["apt_source"].values()) + apt_plan.own_sources()
    late = clock.behind_s()
    for number, source in enumerate(sources, 1):
        print(f"{'Get' if late else 'Hit'}:{number} {source} InRelease")
    print("Reading package lists...")
    if late:
        days, rest = divmod(int(late), 86400)
        span = f"{days}d {rest // 3600}h {rest % 3600 // 60}min {rest % 60}s"
        for source in sources:
            print(
                f"E: Release file for {_release_url(source)} is not valid yet (invalid for another {span}). "
                "Updates for this repository will not be applied.",
                file=sys.stderr,
            )
        return FAILED
    now = clock.now()
    device.write("/var/lib/apt/periodic/update-success-stamp", "")
    os.makedirs(device.path("/var/lib/apt/lists"), exist_ok=True)
    for path in ("/var/lib/apt/periodic/update-success-stamp", "/var/lib/apt/lists"):
        os.utime(device.path(path), (now, now))
    return 0


def _release_url(source: str) -> str:
    base, _, suite = source.partition(" ")
    return f"{base}/dists/{suite.split('/')[0]}/InRelease"


def _install(names: list[str], simulate: bool, flags: set[str], options: dict[str, str]) -> int:
    profile, state = device.profile(), device.state()
    installed, available = state["packages"], apt_plan.archive(profile, state)
    print(READING)
    recommends = "--no-install-recommends" not in flags and options.get("APT::Install-Recommends", "1") not in (
        *("0", "false", "no", "off"),
    )
    try:
        plan = apt_plan.plan(names, installed, available, profile, flags, recommends)
    except apt_plan.Refused as problem:
        for line in problem.said:
            print(line)
        print(problem, file=sys.stderr)
        return FAILED
    for line in plan.said:
        print(line)
    locked = sorted(packages.held(state) & set(plan.upgraded | plan.downgraded))
    if locked and "--allow-change-held-packages" not in flags and "--ignore-hold" not in flags:
        print("The following held packages will be changed:\n  " + " ".join(locked))
        text = "E: Held packages were changed and -y was used without --allow-change-held-packages."
        print(text, file=sys.stderr)
        return FAILED
    if plan.downgraded and not flags & {"--allow-downgrades", "--force-yes"}:
        print("The following packages will be DOWNGRADED:\n  " + " ".join(sorted(plan.downgraded)))
        print("E: Packages were downgraded and -y was used without --allow-downgrades.", file=sys.stderr)
        return FAILED
    if plan.extra:
        print("The following additional packages will be installed:\n  " + " ".join(sorted(plan.extra)))
    if plan.new:
        print("The following NEW packages will be installed:\n  " + " ".join(sorted(plan.new)))
    if plan.upgraded:
        print("The following packages will be upgraded:\n  " + " ".join(sorted(plan.upgraded)))
    counts = f"{len(plan.upgraded)} upgraded, {len(plan.new)} newly installed, "
    counts += f"{len(plan.again)} reinstalled, " if plan.again else ""
    counts += f"{len(plan.downgraded)} downgraded, " if plan.downgraded else ""
    print(counts + "0 to remove and 0 not upgraded.")
    half = state.get("half_configured", {})
    if half:
        print(f"{len(half)} not fully installed or removed.")
    changes = {**plan.upgraded, **plan.new, **plan.downgraded, **plan.again}
    if simulate:
        for verb in ("Inst", "Conf"):
            for name, version in changes.items():
                print(f"{verb} {name} ({version} stable [{packages.architecture(name)}])")
        return 0
    if "--download-only" in flags or "-d" in flags:
        return 0
    if changes and apt_plan.free_mb() < NEEDS_MB:
        print("E: You don't have enough free space in /var/cache/apt/archives/.", file=sys.stderr)
        return FAILED
    return apply(changes, profile)


def apply(changes: dict[str, str], profile: dict[str, Any]) -> int:
    """Unpack and set up packages, and set up what an earlier run left half-configured."""
    broken = device.state().get("broken_packages", [])
    for name, version in changes.items():
        print(f"Unpacking {name} ({version}) ...")
    sys.stdout.flush()
    failed = []
    for name, version in changes.items():
        print(f"Setting up {name} ({version}) ...")
        if name in broken:
            failed.append(name)
            continue
        effects.place(name, profile)
    with device.changing() as state:
        state["packages"].update(changes)
        half = state.setdefault("half_configured", {})
        half.update({name: {"stuck": True} for name in failed})
        stuck = configure(state, said=set(failed))
    return FAILED if stuck else 0


def configure(state: dict[str, Any], said: set[str] = frozenset()) -> bool:  # type: ignore[assignment]
    """Set up what is half-configured; what cannot be is named in dpkg's words. True if something is left."""
    half = state.get("half_configured", {})
    stuck = []
    for name in sorted(half):
        version = state["packages"].get(name, "")
        if name not in said:
            print(f"Setting up {name} ({version}) ...")
        if not half[name].get("stuck"):
            continue
        stuck.append(name)
        if name == "nvidia-l4t-bootloader":
            print(
                "3448-300---1--jetson-nano-qspi-sd-mmcblk0p1\nStarting bootloader post-install procedure.\n"
                "ERROR. Procedure for bootloader update FAILED.\nCannot install package. Exiting..."
            )
        sys.stdout.flush()
        print(
            f"dpkg: error processing package {name} (--configure):\n installed {name} package post-installation script "
            "subprocess returned error exit status 1",
            file=sys.stderr,
        )
    state["half_configured"] = {name: half[name] for name in stuck}
    state["interrupted"] = False
    if stuck:
        print("Errors were encountered while processing:\n " + "\n ".join(stuck), file=sys.stderr)
        print("E: Sub-process /usr/bin/dpkg returned an error code (1)", file=sys.stderr)
    return bool(stuck)


def _remove(names: list[str], simulate: bool) -> int:
    profile, state = device.profile(), device.state()
    installed = state["packages"]
    print(READING)
    gone: list[str] = []
    for pattern in names:
        name = re.sub(r"[:+-]$|:.*$", "", pattern)
        hits = fnmatch.filter(installed, name)
        if hits:
            gone += hits
        elif name in apt_plan.archive(profile, state) or "*" in name:
            print(f"Package '{name}' is not installed, so not removed")
        else:
            print(f"E: Unable to locate package {name}", file=sys.stderr)
            return FAILED
    gone = apt_plan.with_dependants(gone, installed, profile)
    if gone:
        print("The following packages will be REMOVED:\n  " + " ".join(sorted(gone)))
    print(f"0 upgraded, 0 newly installed, {len(gone)} to remove and 0 not upgraded.")
    if simulate or not gone:
        for name in gone:
            print(f"Remv {name} [{installed[name]}]")
        return 0
    with device.changing() as now:
        for name in gone:
            print(f"Removing {name} ({now['packages'].pop(name)}) ...")
            now.get("half_configured", {}).pop(name, None)
    for name in gone:
        effects.take_away(name, profile)
    for name in installed:  # what was taken away may have been shared
        if name not in gone and name in profile.get("contents", {}):
            effects.place(name, profile)
    return 0


if __name__ == "__main__":
    device.run(main)
