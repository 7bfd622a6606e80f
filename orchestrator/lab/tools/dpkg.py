"""dpkg: answers as dpkg-query does, compares versions, finishes what is half-configured, installs .deb files."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import apt_get
import apt_lock
import deb
import device
import dpkg_query
import packages

COMPARISONS = {
    "lt": lambda order: order < 0,
    "le": lambda order: order <= 0,
    "eq": lambda order: order == 0,
    "ne": lambda order: order != 0,
    "ge": lambda order: order >= 0,
    "gt": lambda order: order > 0,
}


def main(argv: list[str]) -> int:
    if not argv:
        print("dpkg: error: need an action option", file=sys.stderr)
        return 2
    argv = [arg for arg in argv if not arg.startswith("--force-")]
    action, rest = argv[0], argv[1:]
    if action == "--print-architecture":
        print("arm64")
        return 0
    if action == "--print-foreign-architectures":
        return 0
    if action == "--compare-versions" and len(rest) == 3 and rest[1] in COMPARISONS:
        return 0 if COMPARISONS[rest[1]](packages.compare(rest[0], rest[2])) else 1
    if action in ("-l", "--list", "-s", "--status"):
        return dpkg_query.main(argv)
    if action == "--get-selections":
        state = device.state()
        held = packages.held(state)
        for name in sorted(state["packages"]):
            print(f"{name}\t\t\t\t\t{'hold' if name in held else 'install'}")
        return 0
    if action in ("-C", "--audit"):
        _audit()
        return 0
    if action in ("--configure", "-i", "--install"):
        if not device.is_root():
            print("dpkg: error: requested operation requires superuser privilege", file=sys.stderr)
            return 2
        problem = apt_lock.take(apt_lock.FRONTEND)
        if problem:
            print("dpkg: error: dpkg frontend lock is locked by another process", file=sys.stderr)
            return 2
        if action == "--configure":
            with device.changing() as state:
                return int(apt_get.configure(state))
        return _install(rest)
    print(f"dpkg: error: unknown option {action}", file=sys.stderr)
    return 2


def _audit() -> None:
    half = sorted(packages.half_configured(device.state()))
    if half:
        print(
            "The following packages are only half configured, probably due to problems\n"
            "configuring them the first time.  The configuration should be retried using\n"
            "dpkg --configure <package> or the configure menu option in dselect:"
        )
        for name in half:
            print(f" {name:<20} {packages.describe(name, '')}")


def _install(files: list[str]) -> int:
    for file in files:
        try:
            package = deb.read(file)
        except OSError:
            print(f"dpkg: error: cannot access archive '{file}': No such file or directory", file=sys.stderr)
            return 2
        except deb.NotADeb as problem:
            print(
                f"dpkg-deb: error: '{file}' is not a Debian format archive\n"
                f"dpkg: error processing archive {file} (--install):\n {problem}\n"
                f"Errors were encountered while processing:\n {file}",
                file=sys.stderr,
            )
            return 1
        name, version = package.control["Package"], package.control["Version"]
        print(f"Selecting previously unselected package {name}.\nPreparing to unpack {file} ...")
        print(f"Unpacking {name} ({version}) ...")
        package.unpack()
        print(f"Setting up {name} ({version}) ...")
        with device.changing() as state:
            state["packages"][name] = version
            state.setdefault("local_archive", {}).update(package.archive())
    return 0


if __name__ == "__main__":
    device.run(main)
