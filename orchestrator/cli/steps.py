"""Shows what an export or a sanitizing did, step by step, with the numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any


def progress(step: str, fraction: float | None) -> None:
    """Each step as it begins, on a terminal's standard error."""
    if sys.stderr.isatty():
        done = "" if fraction is None else f"{fraction:4.0%} "
        print(f"\r\033[K{done}{step}", end="", file=sys.stderr, flush=True)


def print_steps(steps: Iterable[Mapping[str, Any]]) -> None:
    """The steps on standard output: name, largest difference from the step before, kept or dropped and why."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    for step in steps:
        worst = [numbers["lInf"] for numbers in (step.get("errors") or {}).values()]
        line = f"{step['step']:<14} {'ok' if step['kept'] else 'dropped':<8}"
        if worst:
            line += f" largest difference {max(worst):.2g}"
        if step.get("reason"):
            line += f" ({step['reason']})"
        print(line.rstrip())
