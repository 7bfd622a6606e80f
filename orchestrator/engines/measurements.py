"""Latency percentiles and throughput from the raw times that a device measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

PERCENTILES = (50, 90, 95, 99)


def percentiles(values_ms: Sequence[float]) -> dict[str, float]:
    """`{"p50": ..., "p90": ..., "p95": ..., "p99": ...}` in milliseconds, nearest rank.

    Nearest rank (the smallest value with at least q % of all values at or below it) never invents a time that was
    not measured.
    """
    ordered = sorted(values_ms)
    if not ordered:
        return {}
    return {f"p{q}": round(ordered[max(0, math.ceil(q / 100 * len(ordered)) - 1)], 6) for q in PERCENTILES}
