"""Known error texts of TensorRT, the kernel and Ubuntu, with what they mean and what to do.

`python -m orchestrator.platforms.failures > docs/troubleshooting.md` makes a page of them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orchestrator.platforms.tables import table, text


@dataclass(frozen=True)
class Known:
    """A known failure, found in some output."""

    id: str
    what: str
    why: str
    remedy: str
    line: str
    """The line that gave it away."""


@functools.cache
def _rules() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    return [(re.compile(rule["match"]), rule) for rule in table("failures.yml")]


def explain(lines: Iterable[str]) -> Known | None:
    """The most telling known failure in some lines of output; None where there is none.

    The order of data/failures.yml decides, causes before their consequences, not that of the lines.
    """
    lines = [str(line) for line in lines]
    for pattern, rule in _rules():
        for line in lines:
            if match := pattern.search(line):
                found = {name: value or "" for name, value in match.groupdict().items()}
                said = {name: rule[name].format_map(found) for name in ("what", "why", "remedy")}
                return Known(rule["id"], **said, line=line.strip())
    return None


def documentation() -> str:
    """docs/troubleshooting.md: every known failure, under the headings of the table's file."""
    lines = [
        "# Troubleshooting",
        "",
        "What Fleet says of failures that it recognises, wherever their texts turn up: in a build, in what apt or pip",
        "print, in the kernel's log. Words in capitals stand for what the text named. The full output is in the log",
        "that the message names; `fleet logs HOST` shows a board's newest one.",
        "",
        "This page is made from `orchestrator/platforms/data/failures.yml` by",
        "`python -m orchestrator.platforms.failures > docs/troubleshooting.md`.",
    ]
    rules = {rule["id"]: rule for rule in table("failures.yml")}
    for line in text("failures.yml").splitlines():
        if heading := re.fullmatch(r"# --- (.+) ---", line):
            lines += ["", f"## {heading[1][0].upper()}{heading[1][1:]}", ""]
            lines += ["| what is said | why | what to do |", "|---|---|---|"]
        elif start := re.fullmatch(r"- id: (.+)", line):
            rule = rules[start[1].strip()]
            lines.append(f"| {' | '.join(_cell(rule[name]) for name in ('what', 'why', 'remedy'))} |")
    return "\n".join(lines) + "\n"


def _cell(said: str) -> str:
    named = re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), said)
    return named.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    print(documentation(), end="")
