"""Inventories in Ansible's INI format: `[group]`, `[group:children]`, `[group:vars]`, hosts with their variables."""

from __future__ import annotations

import ast
import re
import shlex
import warnings
from pathlib import Path
from typing import Any

from orchestrator.documents import nearest
from orchestrator.errors import InventoryError, Location
from orchestrator.inventory.ranges import expand, split_port
from orchestrator.inventory.tree import Group, LoopError, Tree, set_priority

_COMMENTS = ("#", ";")
_SECTION = re.compile(r"\[([^:\]\s]+)(?::(\w+))?\]\s*(?:#.*)?")
_KINDS = ("hosts", "children", "vars")
_NAME = re.compile(r"([^:\]\s]+)\s*(?:#.*)?")


def looks_like_ini(text: str) -> bool:
    """Whether a text that is no YAML inventory is meant as an INI one."""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith(_COMMENTS):
            continue
        if _SECTION.fullmatch(line.strip()):
            return True
        # An entry before the first header: `board ansible_host=10.0.0.5`.
        if ":" in line.split("=", 1)[0] and not re.search(r":\d+(\s|$)", line):
            return False
    return False


def read_ini(tree: Tree, path: Path, text: str, *, shown: bool = True) -> None:
    """Read an INI inventory into the tree.

    Args:
        shown: whether messages may show the user's line (not out of a vault).

    Raises:
        InventoryError: a line that makes no sense, a section of a group that is nowhere declared; with its place.
    """
    _Reader(tree, path, text, shown).read()


def literal(text: str) -> Any:
    """A value as Ansible reads it: a Python constant (number, quoted text, list, mapping, True) or the text itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return _storable(value)


def _storable(value: Any) -> Any:
    if isinstance(value, (list, tuple, set)):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {key: _storable(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return "..." if value is ... else str(value) if isinstance(value, complex) else value


class _Reader:
    def __init__(self, tree: Tree, path: Path, text: str, shown: bool) -> None:
        self.tree = tree
        self.path = path
        self.lines = text.splitlines()
        self.shown = shown
        self.number = 0
        self.group: Group = tree.ungrouped
        self.kind = "hosts"
        # Groups that a `:vars` section or a parent named before any section declared them, and who named them where.
        self.undeclared: dict[str, tuple[str, int]] = {}
        self.waiting: dict[str, list[Group]] = {}
        self.declared = set(tree.groups)

    def read(self) -> None:
        for number, raw in enumerate(self.lines, 1):
            self.number = number
            line = raw.strip()
            if not line or line.startswith(_COMMENTS):
                continue
            section = _SECTION.fullmatch(line)
            if section:
                self._section(section[1], section[2] or "hosts")
            elif line.startswith("[") and line.endswith("]"):
                raise self._fail("not a section", "it is [group], [group:children] or [group:vars], without blanks")
            else:
                getattr(self, f"_{self.kind}")(line)
        for name, (why, number) in self.undeclared.items():
            self.number = number
            raise self._fail(f"group '{name}' is nowhere declared", why, nearest(name, self.declared))

    def _section(self, name: str, kind: str) -> None:
        if kind not in _KINDS:
            raise self._fail(
                f"unknown kind of section ':{kind}'", f"known here: {', '.join(_KINDS)}", nearest(kind, _KINDS)
            )
        self.group, self.kind = self.tree.add_group(name), kind
        if kind == "vars":
            if name not in self.declared:
                self.undeclared.setdefault(name, ("it has variables and no hosts or children", self.number))
            return
        self.declared.add(name)
        self.undeclared.pop(name, None)
        for parent in self.waiting.pop(name, []):
            self._add_child(parent, self.group)

    def _hosts(self, line: str) -> None:
        try:
            pattern, *assignments = shlex.split(line, comments=True)
        except ValueError as problem:
            raise self._fail("not a host", str(problem)) from None
        if pattern == "---":
            raise self._fail("not a host", "'---' begins YAML; call the file .yml")
        name, port = split_port(pattern)
        if name.endswith(":"):
            raise self._fail(f"host '{pattern}' ends in a colon", "a port follows a colon")
        try:
            hosts = expand(name)
        except ValueError as problem:
            raise self._fail(f"host range '{pattern}' is not valid", str(problem)) from None
        values = []
        for text in assignments:
            key, equals, value = text.partition("=")
            if not equals:
                raise self._fail(f"'{text}' is not a variable", "name=value is expected beside a host")
            values.append((key, literal(value)))
        for host in hosts:
            new = host not in self.tree.hosts
            entry = self.tree.add_host(host, self.group, file=str(self.path), directory=str(self.path.parent))
            if new and port:
                entry.layer.set("ansible_port", port, self._place(pattern))
            for key, value in values:
                entry.layer.set(key, value, self._place(f"{key}="))

    def _vars(self, line: str) -> None:
        key, equals, text = line.partition("=")
        key, value = key.strip(), literal(text.strip())
        if not equals:
            raise self._fail("not a variable", "name=value is expected here")
        if key == "ansible_group_priority":
            set_priority(self.group, value, self._place(key))
        else:
            self.group.layer.set(key, value, self._place(key))

    def _children(self, line: str) -> None:
        match = _NAME.fullmatch(line)
        if not match:
            raise self._fail("not a group's name", "one name is expected on each line of :children")
        name = match[1]
        # Even one of which only variables are known so far, for the order of children is the order of lines.
        if name in self.tree.groups:
            self._add_child(self.group, self.tree.groups[name])
        else:
            self.waiting.setdefault(name, []).append(self.group)
            self.undeclared.setdefault(name, (f"[{self.group.name}:children] names it", self.number))

    def _add_child(self, parent: Group, child: Group) -> None:
        try:
            self.tree.add_child(parent, child)
        except LoopError as problem:
            raise self._fail(f"group '{child.name}' cannot be a child of '{parent.name}'", str(problem)) from None

    def _place(self, word: str = "") -> Location:
        raw = self.lines[self.number - 1]
        column = (raw.find(word) if word in raw and word else len(raw) - len(raw.lstrip())) + 1
        return Location(str(self.path), self.number, column, raw if self.shown else "")

    def _fail(self, what: str, why: str = "", remedy: str = "") -> InventoryError:
        return InventoryError(what, why, remedy, location=self._place())
