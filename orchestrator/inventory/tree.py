"""Groups and hosts while an inventory is being read: who contains whom, and what each level says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import InventoryError, Location


@dataclass
class Layer:
    """Variables of one level, with the place where each was written."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Location] = field(default_factory=dict)

    def update(self, other: Layer) -> None:
        """Let `other` win, whole values at a time (Ansible's `hash_behaviour = replace`)."""
        self.values.update(other.values)
        self.origins.update(other.origins)

    def set(self, name: str, value: Any, origin: Location) -> None:
        self.values[name] = value
        self.origins[name] = origin

    def fill(self, values: Mapping[str, Any]) -> None:
        """Set values that no file of the user holds; their origins are forgotten."""
        for name, value in values.items():
            self.values[name] = value
            self.origins.pop(name, None)


@dataclass(eq=False)
class Group:
    """A group while the inventory is read; `depth` (longest way down from `all`) is set by `Tree.finish`."""

    name: str
    children: list[Group] = field(default_factory=list)
    parents: list[Group] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)
    layer: Layer = field(default_factory=Layer)
    priority: int = 1
    depth: int = 0

    @property
    def rank(self) -> tuple[int, int, str]:
        """The order in which groups speak; later ones win."""
        return self.depth, self.priority, self.name

    def ancestors(self) -> list[Group]:
        return _walk(self.parents, "parents")

    def descendants(self) -> list[Group]:
        """This group and everything below it, level by level."""
        return _walk([self], "children")

    def all_hosts(self) -> list[str]:
        """Names of the hosts of this group and of all groups below it, each once."""
        return list(dict.fromkeys(host for group in self.descendants() for host in group.hosts))


def _walk(start: Iterable[Group], relation: str) -> list[Group]:
    found: dict[Group, None] = {}
    level = list(start)
    while level:
        found.update(dict.fromkeys(level))
        level = [group for member in level for group in getattr(member, relation) if group not in found]
    return list(found)


def set_priority(group: Group, value: Any, origin: Location) -> None:
    """What `ansible_group_priority` says. Raises InventoryError unless it is a whole number."""
    try:
        group.priority = int(value)
    except (TypeError, ValueError):
        raise InventoryError(
            "ansible_group_priority must be a whole number", f"found {value!r}", location=origin
        ) from None


@dataclass(eq=False)
class Entry:
    """A host while the inventory is read: what its entry says and the file that named it first."""

    name: str
    file: str | None
    directory: str | None
    layer: Layer = field(default_factory=Layer)
    groups: list[Group] = field(default_factory=list)
    """Groups that list the host themselves; `lineage` adds those above."""

    def lineage(self) -> list[Group]:
        """Every group that contains the host, in the order in which they speak."""
        found = {group: None for direct in self.groups for group in (direct, *direct.ancestors())}
        return sorted(found, key=lambda group: group.rank)


class LoopError(ValueError):
    """A group would contain itself."""


class Tree:
    """All groups and hosts; `all` and `ungrouped` exist from the start."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.hosts: dict[str, Entry] = {}
        self.all = self.add_group("all")
        self.ungrouped = self.add_group("ungrouped")
        self.add_child(self.all, self.ungrouped)

    def add_group(self, name: str) -> Group:
        return self.groups.setdefault(name, Group(name))

    def add_child(self, parent: Group, child: Group) -> None:
        """Put one group under another. Raises LoopError where that would close a circle."""
        if child is parent or child in parent.ancestors():
            raise LoopError(f"group '{parent.name}' is itself below '{child.name}'")
        if child not in parent.children:
            parent.children.append(child)
            child.parents.append(parent)

    def add_host(self, name: str, group: Group, *, file: str | None = None, directory: str | None = None) -> Entry:
        """The host of that name, made where it is new, and a member of `group` from now on."""
        entry = self.hosts.setdefault(name, Entry(name, file, directory))
        if group not in entry.groups:
            entry.groups.append(group)
            group.hosts.append(name)
        return entry

    def finish(self) -> None:
        """Bring every group under `all`, every homeless host into `ungrouped`, and measure depths."""
        for group in self.groups.values():
            if group is not self.all and not group.parents:
                self.add_child(self.all, group)
        for entry in self.hosts.values():
            homes = [group for group in entry.groups if group not in (self.all, self.ungrouped)]
            if not homes:
                self.add_host(entry.name, self.ungrouped)
            elif self.ungrouped in entry.groups:
                entry.groups.remove(self.ungrouped)
                self.ungrouped.hosts.remove(entry.name)
        self._measure()

    def _measure(self) -> None:
        waiting = {group: len(group.parents) for group in self.groups.values()}
        ready = [self.all]
        while ready:
            group = ready.pop()
            for child in group.children:
                child.depth = max(child.depth, group.depth + 1)
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
