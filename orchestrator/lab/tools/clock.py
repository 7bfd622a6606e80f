"""The device's own clock: the host's and an offset, for boards without a battery come up in 1970."""

from __future__ import annotations

import contextlib
import os
import time

import device

FILE = "/.lab/clock"
PATIENCE_S = 86400
"""A clock that is behind by less is taken for right."""


def offset_s() -> float:
    """Seconds that the device's clock is ahead of the host's."""
    try:
        return float(device.read(FILE) or 0)
    except ValueError:
        return 0.0


def now() -> float:
    return time.time() + offset_s()


def behind_s() -> float:
    """Seconds by which the clock is too early, 0 for a day or less."""
    late = -offset_s()
    return late if late > PATIENCE_S else 0.0


def set_to(epoch: float) -> None:
    """Set the device's clock; within a second of the host's it is the host's."""
    offset = epoch - time.time()
    if abs(offset) < 1.5:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(device.path(FILE))
        return
    device.write(FILE, f"{offset:.3f}\n")
