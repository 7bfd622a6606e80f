"""journalctl: what a unit wrote; -k is the kernel's log."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device

VALUES = ("-n", "--lines", "-o", "--output", "--since", "--until", "-b")


def main(argv: list[str]) -> int:
    unit, count, kernel = "", 1000, False
    args = list(argv)
    while args:
        arg = args.pop(0)
        name, _, value = arg.partition("=")
        if name in ("-u", "--unit"):
            unit = value or (args.pop(0) if args else "")
        elif name in ("-n", "--lines"):
            count = int(value or (args.pop(0) if args and args[0].isdigit() else 10))
        elif arg in ("-k", "--dmesg"):
            kernel = True
        elif arg in VALUES and args and not args[0].startswith("-"):
            args.pop(0)
    if kernel:
        lines = device.read("/.lab/kmsg").splitlines()
    else:
        name = unit if "." in unit else unit + ".service"
        lines = device.read(f"/var/log/journal/{name}").splitlines() if unit else []
    if not lines:
        print("-- No entries --")
    for line in lines[-count:]:
        print(line)
    return 0


if __name__ == "__main__":
    device.run(main)
