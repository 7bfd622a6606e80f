"""Shows what an export or a sanitizing did, step by step, with the numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def print_steps(report: Any, out: Path) -> None:
    """The steps of an export on standard output: name, error against the step before, kept or dropped and why."""
    for step in report.steps:
        errors = step.get("errors") or {}
        worst = errors.get("lInf")
        word = "ok" if step.get("kept", True) else "dropped"
        line = f"{step['step']:<12} {word:<8}"
        if worst is not None:
            line += f" largest difference {worst:.2g}"
        if step.get("reason"):
            line += f" ({step['reason']})"
        print(line.rstrip())
    print(f"{out}: opset {report.opset}, IR {report.ir_version}, {out.stat().st_size} bytes, sha256 {report.onnx}")
