"""hostname: sets the name of the running system for root; all else is the real command."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device

REAL = ("/.lab/host/usr/bin/hostname", "/.lab/host/bin/hostname", "/usr/bin/hostname", "/bin/hostname")


def main(argv: list[str]) -> int:
    words = [arg for arg in argv if not arg.startswith("-")]
    if not words or device.ROOT:
        real = next((place for place in REAL if os.path.exists(place)), REAL[0])
        os.execv(real, ["hostname", *argv])
    if not device.is_root():
        print("hostname: you must be root to change the host name", file=sys.stderr)
        return 1
    device.request(f"hostname={words[0]}")
    return 0


if __name__ == "__main__":
    device.run(main)
