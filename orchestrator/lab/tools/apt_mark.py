"""apt-mark: hold, unhold and showhold."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import packages


def main(argv: list[str]) -> int:
    words = [arg for arg in argv if not arg.startswith("-")]
    verb, names = (words[0], words[1:]) if words else ("", [])
    state = device.state()
    if verb == "showhold":
        for name in sorted(packages.held(state)):
            print(name)
        return 0
    if verb in ("showmanual", "showauto"):
        for name in sorted(state["packages"] if verb == "showmanual" else []):
            print(name)
        return 0
    if verb not in ("hold", "unhold"):
        print(f"E: Invalid operation {verb}", file=sys.stderr)
        return 100
    if not device.is_root():
        print("E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)", file=sys.stderr)
        return 100
    unknown = [name for name in names if name not in state["packages"] and name not in device.profile()["available"]]
    if unknown:
        print(f"E: Unable to locate package {unknown[0]}\nE: No packages found", file=sys.stderr)
        return 100
    with device.changing() as now:
        held = packages.held(now)
        for name in names:
            already = (name in held) == (verb == "hold")
            if verb == "hold":
                print(f"{name} was already set on hold." if already else f"{name} set on hold.")
                held.add(name)
            else:
                print(f"{name} was already not on hold." if already else f"Canceled hold on {name}.")
                held.discard(name)
        now["held"] = sorted(held)
    return 0


if __name__ == "__main__":
    device.run(main)
