"""Known error texts of TensorRT, the kernel and Ubuntu, with what they mean and what to do."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from orchestrator.platforms.tables import table


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
