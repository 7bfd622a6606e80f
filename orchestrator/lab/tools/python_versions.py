"""Versions and requirements of Python packages: order, specifiers, and the index of what can be installed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from typing import Any

from standins import canonical

INDEX = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python_index.json")

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}


class BadRequirement(Exception):
    """Not a requirement that pip reads."""


class Requirement:
    """`name[extra]>=1.0,<2; marker`, without markers' meaning: a requirement with one is taken as it stands."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        match = re.fullmatch(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;.*)?", self.text)
        if not match:
            raise BadRequirement(self.text)
        self.name = canonical(match[1])
        self.spelled = match[1]
        self.specifiers = specifiers(match[2])

    def accepts(self, version: str) -> bool:
        return satisfies(version, self.specifiers)


def specifiers(text: str) -> list[tuple[str, str]]:
    """[(operator, version)] of `>=1,<2`. Raises: BadRequirement."""
    found = []
    for part in filter(None, (p.strip() for p in text.split(","))):
        match = re.fullmatch(r"(===|~=|==|!=|<=|>=|<|>)\s*([\w.*+!-]+)", part)
        if not match:
            raise BadRequirement(text)
        found.append((match[1], match[2]))
    return found


def satisfies(version: str, wanted: Iterable[tuple[str, str]]) -> bool:
    for operator, bound in wanted:
        if bound.endswith(".*"):
            prefix = version == bound[:-2] or version.startswith(bound[:-1])
            if prefix != (operator == "=="):
                return False
        elif operator == "~=":
            if key(version) < key(bound) or not version.startswith(bound.rpartition(".")[0] + "."):
                return False
        elif not COMPARE[operator.replace("===", "==")](key(version), key(bound)):
            return False
    return True


def key(version: str) -> tuple[int, ...]:
    """Orders versions by their numbers; trailing zeros do not count."""
    numbers = [int(n) for n in re.findall(r"\d+", version.split("+")[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def index() -> dict[str, dict[str, Any]]:
    """What the package index has: canonical name to its versions and how they are built."""
    with open(INDEX, encoding="utf-8") as stream:
        result: dict[str, dict[str, Any]] = json.load(stream)
        return result


def candidates(entry: dict[str, Any], python: str, machine: str) -> list[str]:
    """Versions for this Python and machine, oldest first."""
    if entry.get("machine") not in (None, machine):
        return []
    fitting = [v for v, needs in entry["versions"].items() if satisfies(python, specifiers(needs))]
    return sorted(fitting, key=key)
