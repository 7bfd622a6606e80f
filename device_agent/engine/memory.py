"""The workspace to start a build with, the ladder below it, and what the kernel says of a killed build.

Rule of `auto`: half of the memory that is available now, at most 4096 MiB, at least 16 MiB, in steps of 16 MiB. GPU and
CPU of a Jetson share their memory, and the other half is for the weights, the activations and the CUDA libraries. When
the build is killed for want of memory the workspace is halved, down to 16 MiB (trtexec's own default up to 8.3).
"""

import re
import time

from .. import process
from ..errors import JobError
from ..files import read_text

SMALLEST_MIB = 16
LARGEST_AUTO_MIB = 4096
STEP_MIB = 16

_KERNEL = re.compile(r"out of memory|oom-kill|oom_reaper|killed process", re.IGNORECASE)
_STAMP = re.compile(r"^\[\s*(\d+\.\d+)\]")


def available_mib():
    """MemAvailable in MiB, or None where it cannot be read."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", read_text("/proc/meminfo") or "", re.MULTILINE)
    return int(match.group(1)) // 1024 if match else None


def first_mib(asked):
    """The workspace in MiB of the first attempt for `asked` ("auto" or MiB). raises: JobError (spec)."""
    if asked in (None, "auto"):
        available = available_mib()
        half = (available if available is not None else 2 * SMALLEST_MIB) // 2
        return max(SMALLEST_MIB, min(LARGEST_AUTO_MIB, half // STEP_MIB * STEP_MIB))
    if isinstance(asked, bool) or not isinstance(asked, int) or asked < 1:
        raise JobError("spec", "the workspace is {!r}".format(asked), "allowed: auto, or a whole number of MiB")
    return asked


def next_mib(mib):
    """The workspace to try after `mib` was too much, or None at the bottom of the ladder."""
    return None if mib <= SMALLEST_MIB else max(SMALLEST_MIB, mib // 2)


def uptime_s():
    """Seconds since boot, the clock of the kernel's log."""
    text = read_text("/proc/uptime") or ""
    try:
        return float(text.split()[0])
    except (IndexError, ValueError):
        return time.monotonic()


def kernel_lines(since_s):
    """What the kernel logged of processes killed for memory since that uptime; empty where dmesg is not for us."""
    lines = []
    for line in process.capture(["dmesg"], timeout_s=5).stdout.splitlines():
        stamp = _STAMP.match(line)
        # A little slack: the kernel's stamp and /proc/uptime are read from clocks that differ by some milliseconds.
        if _KERNEL.search(line) and stamp and float(stamp.group(1)) >= since_s - 1:
            lines.append(line)
    return lines[-20:]
