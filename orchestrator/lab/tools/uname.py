"""uname: the board's kernel and architecture instead of the host's."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device

FIELDS = "snrvmpio"
LONG = {
    "--kernel-name": "s",
    "--nodename": "n",
    "--kernel-release": "r",
    "--kernel-version": "v",
    "--machine": "m",
    "--processor": "p",
    "--hardware-platform": "i",
    "--operating-system": "o",
    "--all": "a",
}


def main(argv: list[str]) -> int:
    asked: set[str] = set()
    for arg in argv:
        letters = LONG.get(arg, arg[1:] if arg.startswith("-") and not arg.startswith("--") else "?")
        if set(letters) - set(FIELDS + "a"):
            print(f"uname: unrecognized option '{arg}'\nTry 'uname --help' for more information.", file=sys.stderr)
            return 1
        asked.update(FIELDS if "a" in letters else letters)
    profile = device.profile()
    values = {
        "s": "Linux",
        "n": device.read("/etc/hostname") or profile["hostname"],
        "r": profile["kernel"],
        "v": "#1 SMP PREEMPT",
    }
    machine = str(profile.get("machine", "aarch64"))
    values.update(m=machine, p=machine, i=machine, o="GNU/Linux")
    print(" ".join(values[field] for field in FIELDS if field in (asked or {"s"})))
    return 0


if __name__ == "__main__":
    device.run(main)
