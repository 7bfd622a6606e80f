"""Stands for unattended-upgrades at work: holds the package locks for a time, or until the fault is ended.

Arguments: the fault's token in the state, seconds (0: until it is ended), a pipe that gets a byte when it has them.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import apt_lock
import device

LONGEST_S = 3600.0
LOOK_S = 0.2
_PR_SET_NAME = 15


def main(argv: list[str]) -> int:
    token, seconds, pipe = int(argv[0]), float(argv[1]), int(argv[2])
    ctypes.CDLL(None).prctl(_PR_SET_NAME, b"unattended-upgr", 0, 0, 0)
    for path in (apt_lock.FRONTEND, "/var/lib/dpkg/lock", apt_lock.LISTS):
        apt_lock.take(path)
    os.write(pipe, b".")
    os.close(pipe)
    end = time.monotonic() + (seconds or LONGEST_S)
    # The folder of a device that was thrown away is gone, and with it whoever would end the fault.
    while time.monotonic() < end and device.state().get("lock_token") == token:
        time.sleep(LOOK_S)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
