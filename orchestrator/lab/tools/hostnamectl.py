"""hostnamectl: shows and sets the host name, in /etc/hostname and for the running kernel."""

from __future__ import annotations

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device


def main(argv: list[str]) -> int:
    words = [arg for arg in argv if not arg.startswith("-")]
    verb = words[0] if words else "status"
    if verb in ("set-hostname", "hostname") and len(words) > 1:
        return _set(words[1])
    static = device.read("/etc/hostname") or str(device.profile()["hostname"])
    if verb in ("hostname",) or "--static" in argv:
        print(static)
        return 0
    if verb == "status":
        system = device.profile()["os"]
        print(f"   Static hostname: {static}\n  Operating System: Ubuntu {system['version']} LTS")
        print(f"            Kernel: Linux {device.profile()['kernel']}\n      Architecture: arm64")
        return 0
    print(f"Unknown operation {verb}.", file=sys.stderr)
    return 1


def _set(name: str) -> int:
    if not device.is_root():
        print("Could not set property: Interactive authentication required.", file=sys.stderr)
        return 1
    if not re.fullmatch(r"[a-zA-Z0-9]([a-zA-Z0-9.-]{0,62}[a-zA-Z0-9])?", name):
        print(f"Could not set property: Invalid static hostname '{name}'", file=sys.stderr)
        return 1
    device.write("/etc/hostname", name + "\n")
    if not device.ROOT:
        device.request(f"hostname={name}")
    return 0


if __name__ == "__main__":
    device.run(main)
