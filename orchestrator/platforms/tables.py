"""The tables of this room, read when first needed."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FOLDER = Path(__file__).parent / "data"

Version = tuple[int, ...]


@functools.cache
def table(name: str) -> Any:
    """The content of data/<name>, parsed."""
    return yaml.load(text(name), _LOADER)


def text(name: str) -> str:
    """The content of data/<name>."""
    return (_FOLDER / name).read_text(encoding="utf-8")


def version(value: Any) -> Version:
    """The numbers at the start of a version, without zeros at its end.

    `35.1.0` is (35, 1), `8.2.1-1+cuda10.2` is (8, 2, 1).
    Nothing that starts with a number: ().
    """
    match = re.match(r"\d+(?:\.\d+)*", str(value))
    numbers = [int(number) for number in match[0].split(".")] if match else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def newest_up_to(rows: list[dict[str, Any]], key: str, wanted: Version) -> dict[str, Any] | None:
    """The last row whose `key` is not newer than `wanted`; None where all are. Rows stand oldest first."""
    found = None
    for row in rows:
        if version(row[key]) <= wanted:
            found = row
    return found
