"""date: the device's own clock, which can be set; all else is the real command."""

from __future__ import annotations

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import clock
import device

REAL = ("/.lab/host/usr/bin/date", "/.lab/host/bin/date", "/usr/bin/date", "/bin/date")


def main(argv: list[str]) -> int:
    real = next(
        (p for p in ("/.lab/host/usr/bin/date", "/.lab/host/bin/date", "/usr/bin/date") if os.path.exists(p)), ""
    )
    wanted = _wanted(argv)
    if wanted is not None:
        if not device.is_root():
            print("date: cannot set date: Operation not permitted", file=sys.stderr)
            return 1
        asked = subprocess.run([real, "-u", "-d", wanted, "+%s"], capture_output=True, text=True, check=False)
        if asked.returncode:
            print(f"date: invalid date '{wanted}'", file=sys.stderr)
            return 1
        clock.set_to(float(asked.stdout))
        argv = [arg for arg in argv if arg in ("-u", "--utc")]
    shown = any(arg.startswith(("-d", "--date", "-r", "--reference", "--help", "--version", "-f")) for arg in argv)
    if not clock.offset_s() or shown:
        os.execv(real, ["date", *argv])
    os.execv(real, ["date", "-d", f"@{clock.now():.6f}", *argv])
    return 0


def _wanted(argv: list[str]) -> str | None:
    """What -s or --set asks for."""
    for place, arg in enumerate(argv):
        match = re.fullmatch(r"--set=(.*)|-u?s(.+)", arg, re.DOTALL)
        if match:
            return match[1] or match[2]
        if arg in ("-s", "--set", "-us") and place + 1 < len(argv):
            return argv[place + 1]
    return None


if __name__ == "__main__":
    device.run(main)
