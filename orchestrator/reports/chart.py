"""Geometry of the latency charts: nested bars per engine, virtual devices never beside real ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.reports import text

WIDTH = 960
LABEL_WIDTH = 330
VALUE_WIDTH = 110
ROW_HEIGHT = 26
BAR_HEIGHT = 14
TOP = 8
BOTTOM = 34
PERCENTILES = ("p99", "p95", "p90", "p50")
"""Widest first: each is drawn over the one before."""
_LABEL_LENGTH = 46


@dataclass(frozen=True)
class Bar:
    """One engine: its label, its row's top edge in pixels, and per percentile (name, width in pixels, text)."""

    label: str
    title: str
    y: float
    spans: tuple[tuple[str, float, str], ...]
    value: str
    end: float
    """Where the longest bar ends, in pixels from the left."""


@dataclass(frozen=True)
class Chart:
    """One drawing, all of virtual devices or all of real ones."""

    virtual: bool
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    """(x in pixels, text) of the scale, in milliseconds from 0."""
    height: float


def charts(result: Mapping[str, Any]) -> list[Chart]:
    """The latency charts of a result: real devices first; none where nothing was measured."""
    drawn = [_chart(result, virtual) for virtual in (False, True)]
    return [chart for chart in drawn if chart.bars]


def _chart(result: Mapping[str, Any], virtual: bool) -> Chart:
    measured = [
        (host, engine)
        for host, entry, engine in text.engines(result)
        if entry["virtual"] is virtual and engine.get("latency_ms")
    ]
    measured.sort(key=lambda pair: (pair[1]["model"], pair[1]["batch"] or 0))  # stable: hosts keep their order
    longest = max((engine["latency_ms"]["p99"] for _, engine in measured), default=0.0)
    step = _step(longest)
    scale_end = max(step, math.ceil(longest / step - 1e-9) * step)
    per_ms = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / scale_end
    bars = tuple(_bar(host, engine, TOP + ROW_HEIGHT * row, per_ms) for row, (host, engine) in enumerate(measured))
    ticks = tuple(
        (LABEL_WIDTH + step * number * per_ms, f"{step * number:g}") for number in range(round(scale_end / step) + 1)
    )
    return Chart(virtual, bars, ticks, TOP + ROW_HEIGHT * len(bars) + BOTTOM)


def _bar(host: str, engine: Mapping[str, Any], y: float, per_ms: float) -> Bar:
    times = engine["latency_ms"]
    label = f"{host}  {text.engine_name(engine)} {engine['precision'] or ''}".rstrip()
    spans = tuple((name, round(times[name] * per_ms, 2), text.milliseconds(times[name])) for name in PERCENTILES)
    title = ", ".join(f"{name} {shown}" for name, _, shown in reversed(spans))
    short = label if len(label) <= _LABEL_LENGTH else f"{label[: _LABEL_LENGTH - 1]}…"
    return Bar(
        short, f"{label}: {title}", y, spans, f"p50 {text.milliseconds(times['p50'])}", LABEL_WIDTH + spans[0][1]
    )


def _step(longest: float) -> float:
    """A round distance between ticks (1, 2 or 5 times a power of ten) that gives about five of them."""
    if longest <= 0:
        return 1.0
    rough = longest / 5
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
