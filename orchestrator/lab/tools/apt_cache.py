"""apt-cache: policy, show and search over what is installed and what the profile has available."""

from __future__ import annotations

import os
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import apt_plan
import device
import packages


def main(argv: list[str]) -> int:
    words = [arg for arg in argv if not arg.startswith("-")]
    if not words:
        print("apt-cache: a command is needed: policy, show, search, madison", file=sys.stderr)
        return 100
    verb, names = words[0], words[1:]
    state = device.state()
    profile, installed = device.profile(), state["packages"]
    profile["available"] = apt_plan.archive(profile, state)
    if verb == "pkgnames":
        print(
            "\n".join(sorted(name for name in {**profile["available"], **installed} if name.startswith(*names or [""])))
        )
        return 0
    if verb == "policy":
        return _policy(names, installed, profile)
    if verb in ("show", "madison"):
        return _show(verb, names, installed, profile)
    if verb == "search":
        everything = {**profile["available"], **installed}
        for name, version in sorted(everything.items()):
            if all(word in name for word in names):
                print(f"{name} - {packages.describe(name, version)}")
        return 0
    print(f"E: Invalid operation {verb}", file=sys.stderr)
    return 100


def _source(name: str, profile: dict[str, Any]) -> str:
    board = any(part in name for part in ("nvidia", "nvinfer", "cudnn", "cuda", "tensorrt", "onnxparsers"))
    return str(profile["apt_source"]["jetson" if board else "ports"])


def _policy(names: list[str], installed: dict[str, str], profile: dict[str, Any]) -> int:
    for name in names:
        candidate = apt_plan.candidate(name, installed, profile["available"])
        if candidate is None:
            continue
        here = installed.get(name)
        print(f"{name}:\n  Installed: {here or '(none)'}\n  Candidate: {candidate}\n  Version table:")
        for version in dict.fromkeys([candidate, *([here] if here else [])]):
            print(f"{' *** ' if version == here else '     '}{version} 500")
            print(f"        500 {_source(name, profile)} arm64 Packages")
            if version == here:
                print("        100 /var/lib/dpkg/status")
    return 0


def _show(verb: str, names: list[str], installed: dict[str, str], profile: dict[str, Any]) -> int:
    code = 0
    for name in names:
        candidate = apt_plan.candidate(name, installed, profile["available"])
        if candidate is None:
            print(f"N: Unable to locate package {name}", file=sys.stderr)
            print("E: No packages found", file=sys.stderr)
            code = 100
        elif verb == "madison":
            print(f"{name:>10} | {candidate} | {_source(name, profile)} arm64 Packages")
        else:
            fields = packages.fields(name, candidate)
            shown = (
                "Package",
                "Version",
                "Architecture",
                "Maintainer",
                "Installed-Size",
                "Priority",
                "Section",
                "Description",
            )
            print("".join(f"{key}: {fields[key]}\n" for key in shown))
    return code


if __name__ == "__main__":
    device.run(main)
