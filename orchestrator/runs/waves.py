"""In what order a play takes its hosts, and how many at a time."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.errors import PlaybookError
from orchestrator.language.expressions import render

if TYPE_CHECKING:
    from orchestrator.playbook.structure import Play


def ordered(names: Sequence[str], play: Play, variables: Mapping[str, Any]) -> list[str]:
    """The hosts in the order that the play asks for.

    Raises:
        PlaybookError: `order` is not one of those that there are.
    """
    order = render(play.order, variables, play.location) if play.order else "inventory"
    if order == "inventory":
        return list(names)
    if order == "reverse_inventory":
        return list(reversed(names))
    if order in ("sorted", "reverse_sorted"):
        return sorted(names, reverse=order == "reverse_sorted")
    if order == "shuffle":
        return random.sample(list(names), len(names))
    raise PlaybookError(f"order cannot be '{order}'", location=play.location)


def waves(names: Sequence[str], play: Play, variables: Mapping[str, Any]) -> list[list[str]]:
    """The hosts in batches as `serial` says; its last size serves for all further batches.

    Raises:
        PlaybookError: a size that is no number and no percentage.
    """
    sizes = [_size(render(size, variables, play.location), len(names), play) for size in play.serial]
    if not sizes:
        return [list(names)] if names else []
    found: list[list[str]] = []
    rest = list(names)
    while rest:
        size = sizes[min(len(found), len(sizes) - 1)] or len(rest)
        found.append(rest[:size])
        rest = rest[size:]
    return found


def _size(written: Any, count: int, play: Play) -> int:
    """How many hosts; 0 for all that are left."""
    text = str(written).strip()
    number = text.removesuffix("%")
    if not number.isdigit():
        raise PlaybookError(
            f"serial cannot be '{written}'", "allowed: a number or a percentage", location=play.location
        )
    if text.endswith("%"):
        return max(1, int(int(number) / 100.0 * count))
    return int(number)


def max_failed(play: Play, variables: Mapping[str, Any]) -> float | None:
    """The percentage of failed hosts in a batch beyond which the play ends for all."""
    if play.max_fail_percentage is None:
        return None
    found = render(play.max_fail_percentage, variables, play.location)
    try:
        return float(str(found).strip().removesuffix("%"))
    except ValueError:
        what = f"max_fail_percentage cannot be '{found}'"
        raise PlaybookError(what, "allowed: a number", location=play.location) from None
