"""reboot, poweroff and shutdown: ask the machine that holds this device, and say nothing."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device


def main(argv: list[str]) -> int:
    if "--help" in argv:
        print("reboot [OPTIONS...] [ARG]\n\nReboot the system.")
        return 0
    off = any(arg in ("-h", "-P", "--poweroff", "-p") for arg in argv)
    if "-r" in argv or "--reboot" in argv:
        off = False
    if "-c" in argv:
        return 0
    if not device.is_root():
        print(
            "Failed to set wall message, ignoring: Interactive authentication required.\n"
            "Failed to reboot system via logind: Interactive authentication required.\n"
            "Failed to open initctl fifo: Permission denied\n"
            "Failed to talk to init daemon.",
            file=sys.stderr,
        )
        return 1
    device.request("poweroff" if off else "reboot")
    return 0


if __name__ == "__main__":
    device.run(main)
