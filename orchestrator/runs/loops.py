"""The items of a task's loop, and the variables that come with each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import PlaybookError
from orchestrator.language.expressions import render, run_lookup, to_bool

if TYPE_CHECKING:
    from orchestrator.playbook.structure import Loop, Task


@dataclass(frozen=True)
class Item:
    """One turn of a loop."""

    value: Any
    variables: Mapping[str, Any]
    """`item`, the index and `ansible_loop` under the names that loop_control gives them."""

    def marks(self, loop: Loop) -> dict[str, Any]:
        """What the item's result says of the item."""
        found = {loop.variable: self.value, "ansible_loop_var": loop.variable}
        if loop.index:
            found[loop.index] = self.variables[loop.index]
            found["ansible_index_var"] = loop.index
        if "ansible_loop" in self.variables:
            found["ansible_loop"] = self.variables["ansible_loop"]
        return found


def items_of(task: Task, loop: Loop, variables: Mapping[str, Any]) -> list[Item]:
    """All turns of a loop.

    Raises:
        PlaybookError: the loop does not evaluate to a list.
    """
    found = _values(task, loop, variables)
    extended = to_bool(render(loop.extended, variables, task.location))
    allitems = to_bool(render(loop.extended_allitems, variables, task.location))
    return [Item(value, _around(loop, found, i, extended, allitems)) for i, value in enumerate(found)]


def _values(task: Task, loop: Loop, variables: Mapping[str, Any]) -> list[Any]:
    if loop.kind == "loop":
        found = render(loop.items, variables, task.location)
        if isinstance(found, tuple):
            found = list(found)
        if not isinstance(found, list):
            what = "loop needs a list"
            remedy = "a mapping becomes one by | dict2items"
            raise PlaybookError(what, f"it gives {found!r}", remedy, location=task.location)
        return found
    # Undefined elements and bare strings: as the lookup of that name takes its terms.
    terms = render(loop.items, variables, task.location)
    terms = terms if isinstance(terms, list) else [terms]
    return run_lookup(loop.kind, terms, variables, task.location)


def _around(loop: Loop, values: list[Any], i: int, extended: bool, allitems: bool) -> dict[str, Any]:
    found: dict[str, Any] = {loop.variable: values[i], "ansible_loop_var": loop.variable}
    if loop.index:
        found[loop.index] = i
        found["ansible_index_var"] = loop.index
    if extended:
        count = len(values)
        about: dict[str, Any] = {
            "index": i + 1,
            "index0": i,
            "first": i == 0,
            "last": i + 1 == count,
            "length": count,
            "revindex": count - i,
            "revindex0": count - i - 1,
        }
        if allitems:
            about["allitems"] = values
        if i + 1 < count:
            about["nextitem"] = values[i + 1]
        if i > 0:
            about["previtem"] = values[i - 1]
        found["ansible_loop"] = about
    return found
