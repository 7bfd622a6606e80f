"""dmesg: the device's kernel log, for root alone on kernels that restrict it."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device

FIRST_RESTRICTED = (5, 10)


def main(argv: list[str]) -> int:
    kernel = tuple(int(part) for part in device.profile()["kernel"].split(".")[:2])
    if kernel >= FIRST_RESTRICTED and not device.is_root():
        print("dmesg: read kernel buffer failed: Operation not permitted", file=sys.stderr)
        return 1
    bare = bool(set(argv) & {"-t", "--notime"})
    try:
        with open(device.LAB + "/kmsg", encoding="utf-8") as log:
            for line in log:
                sys.stdout.write(line.split("] ", 1)[-1] if bare else line)
    except FileNotFoundError:
        pass
    return 0


if __name__ == "__main__":
    device.run(main)
