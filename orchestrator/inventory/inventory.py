"""The inventory as the rest of Fleet sees it: hosts with their merged variables, and selections of them."""

from __future__ import annotations

import datetime
import ipaddress
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.documents import nearest
from orchestrator.errors import InventoryError, Location
from orchestrator.inventory.patterns import Matcher, split, split_limit
from orchestrator.inventory.sources import read_source
from orchestrator.inventory.tree import Entry, Group, Layer, Tree
from orchestrator.inventory.varfiles import VarFiles
from orchestrator.values import Unsafe, Vaulted

_LOCALHOST = ("localhost", "127.0.0.1", "::1")
MAGIC = ("inventory_hostname", "inventory_hostname_short", "group_names", "groups", "inventory_file", "inventory_dir")
"""Variables that every host has without anybody writing them (`playbook_dir` joins them where there is one)."""


@dataclass(frozen=True)
class Host:
    """One device of the inventory."""

    name: str
    variables: dict[str, Any] = field(repr=False)
    """Merged by Ansible's precedence, magic variables included; templates are left as they are written."""
    groups: tuple[str, ...] = ()
    """Every group that contains the host, sorted, without `all`."""
    origins: dict[str, Location] = field(default_factory=dict, repr=False, compare=False)
    """Where the winning value of a variable stands, for those that stand in a file."""


def load_inventory(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    playbook_dir: str | os.PathLike[str] | None = None,
    extra_vars: Mapping[str, Any] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> Inventory:
    """Read an inventory.

    Args:
        sources: the `-i` arguments: YAML files, directories of them, or lists of hosts like `a,b,`.
        playbook_dir: where the playbook lies, for its group_vars/ and host_vars/.
        extra_vars: win over every other variable.
        cwd: the directory that relative paths start from, default the current one.

    Raises:
        InventoryError: a source that is missing or wrong, with file, line and column.
    """
    base = Path(cwd) if cwd is not None else Path.cwd()
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    if not sources:
        raise InventoryError("no inventory given", "", "name one: --inventory lab.yml")
    tree = Tree()
    directories = [read_source(tree, os.fspath(source), base) for source in sources]
    tree.finish()
    play = Path(os.path.abspath(base / playbook_dir)) if playbook_dir is not None else None  # noqa: PTH100
    return Inventory(tree, [path for path in directories if path], play, dict(extra_vars or {}), base)


class Inventory:
    """Hosts, groups, and patterns over both. Made by `load_inventory`."""

    def __init__(
        self, tree: Tree, directories: list[Path], playbook_dir: Path | None, extra_vars: dict[str, Any], cwd: Path
    ) -> None:
        self._tree = tree
        self._beside_inventory = VarFiles(directories)
        self._beside_playbook = VarFiles([playbook_dir] if playbook_dir else [])
        self._playbook_dir = playbook_dir
        self._extra_vars = extra_vars
        self._cwd = cwd
        self.groups: dict[str, list[str]] = {name: group.all_hosts() for name, group in tree.groups.items()}
        """Name of each group to the names of all hosts in it and below it."""
        self.hosts: dict[str, Host] = {name: self._host(tree.hosts[name]) for name in self.groups["all"]}
        self._implicit: dict[str, Host] = {}
        self.warnings: list[str] = [
            f"'{name}' is both a host and a group; patterns mean the host" for name in tree.groups if name in tree.hosts
        ]
        """Things that are allowed and probably not meant, one line each; `select` adds to them."""

    def host(self, name: str) -> Host:
        """One host by its name; `localhost` exists even where no file names it.

        Raises:
            InventoryError: no such host, with the nearest name.
        """
        if name in self.hosts:
            return self.hosts[name]
        if self._implicit_localhost(name):
            return self._implicit[name]
        raise InventoryError(f"no host '{name}' in the inventory", self._known(), nearest(name, self.hosts))

    def select(self, pattern: str = "all", limit: str | None = None) -> list[Host]:
        """The hosts that a pattern chooses, in the order of its terms, cut down to those that `limit` chooses as well.

        Args:
            pattern: `all`, names, globs, `~regex`, `group[0]`, `group[1:3]`, joined by `:` or `,`, with `&` and `!`.
            limit: the same, and `@file` for a file with one pattern a line.

        Returns:
            Possibly nothing, where the pattern matches nothing or nothing that the limit allows.

        Raises:
            InventoryError: the limit matches no host at all, or a pattern makes no sense.
        """
        names = self._names(split(pattern), f"pattern '{pattern}'")
        if limit is not None:
            allowed = set(self._limit(limit))
            names = [name for name in names if name in allowed]
        return [self.host(name) for name in names]

    def to_list(self) -> dict[str, Any]:
        """The whole inventory in the shape of `ansible-inventory --list`, ready for JSON."""
        hostvars = {name: _plain(_without_magic(host.variables)) for name, host in self.hosts.items()}
        listed: dict[str, Any] = {"_meta": {"hostvars": {name: v for name, v in hostvars.items() if v}}}
        for group in self._tree.all.descendants():
            entry: dict[str, list[str]] = {}
            if group.hosts and group is not self._tree.all:
                entry["hosts"] = list(group.hosts)
            if group.children:
                entry["children"] = [child.name for child in group.children]
            if entry:
                listed[group.name] = entry
        return listed

    def graph(self, group: str = "all") -> str:
        """Groups and hosts as an indented tree, the text of `ansible-inventory --graph`.

        Raises:
            InventoryError: no such group.
        """
        if group not in self._tree.groups:
            raise InventoryError(f"no group '{group}' in the inventory", "", nearest(group, self._tree.groups))
        return "\n".join(self._branch(self._tree.groups[group], 0))

    def _branch(self, group: Group, depth: int) -> list[str]:
        lines = [_indent(f"@{group.name}:", depth)]
        for child in group.children:
            lines += self._branch(child, depth + 1)
        if group is not self._tree.all:
            lines += [_indent(name, depth + 1) for name in group.hosts]
        return lines

    def _names(self, terms: list[str], what: str) -> list[str]:
        matcher = Matcher(self.groups, self.hosts, self._implicit_localhost)
        names = matcher.select(terms)
        for term in matcher.unmatched:
            hint = nearest(term, self._names_to_suggest())
            warning = f"{what}: nothing is called '{term}'" + (f"; {hint}" if hint else "")
            if term != "all" and warning not in self.warnings:
                self.warnings.append(warning)
        return names

    def _limit(self, limit: str) -> list[str]:
        terms = split_limit(limit, self._cwd)
        if not terms:
            raise InventoryError(f"the limit '{limit}' names no host", "it is empty", "leave --limit out for all hosts")
        names = self._names(terms, f"limit '{limit}'")
        if not names:
            hints = (nearest(term.lstrip("&!~"), self._names_to_suggest()) for term in terms)
            raise InventoryError(f"the limit '{limit}' matches no host", self._known(), next(filter(None, hints), ""))
        return names

    def _known(self) -> str:
        known = {"hosts": list(self.hosts), "groups": self._named_groups()}
        parts = [f"{kind}: {_some(names)}" for kind, names in known.items() if names]
        return "; ".join(parts) or "the inventory has no hosts"

    def _names_to_suggest(self) -> list[str]:
        return [*self.hosts, *self._named_groups()]

    def _named_groups(self) -> list[str]:
        return [name for name in self.groups if name not in ("all", "ungrouped")]

    def _implicit_localhost(self, name: str) -> str | None:
        if name not in _LOCALHOST or name in self.hosts:
            return None
        if name not in self._implicit:
            entry = Entry(name, None, None)
            entry.layer.fill({"ansible_connection": "local", "ansible_python_interpreter": sys.executable})
            self._implicit[name] = self._host(entry)
        return name

    def _host(self, entry: Entry) -> Host:
        lineage = [group for group in entry.lineage() if group is not self._tree.all]
        names = [group.name for group in lineage]
        merged = Layer()
        # Ansible's order: what the inventory file says of groups, then the files beside it and beside the playbook
        # (`all` before the other groups), then the same three for the host.
        for group in (self._tree.all, *lineage):
            merged.update(group.layer)
        merged.update(self._beside_inventory.groups(["all"]))
        merged.update(self._beside_playbook.groups(["all"]))
        merged.update(self._beside_inventory.groups(names))
        merged.update(self._beside_playbook.groups(names))
        merged.update(entry.layer)
        merged.update(self._beside_inventory.host(entry.name))
        merged.update(self._beside_playbook.host(entry.name))
        merged.fill(self._extra_vars)
        merged.fill(self._magic(entry, sorted(names)))
        return Host(entry.name, merged.values, tuple(sorted(names)), merged.origins)

    def _magic(self, entry: Entry, groups: list[str]) -> dict[str, Any]:
        magic: dict[str, Any] = {
            "inventory_hostname": entry.name,
            "inventory_hostname_short": _short(entry.name),
            "group_names": groups,
            "groups": self.groups,
            "inventory_file": entry.file,
            "inventory_dir": entry.directory,
        }
        if self._playbook_dir:
            magic["playbook_dir"] = str(self._playbook_dir)
        return magic


def _short(name: str) -> str:
    """The name up to its first dot; an address stays whole."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name.split(".")[0]
    return name


def _some(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _indent(text: str, depth: int) -> str:
    return "  |" * depth + f"--{text}" if depth else text


def _without_magic(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in variables.items() if name not in MAGIC and name != "playbook_dir"}


def _plain(value: Any) -> Any:
    """YAML's dates as ISO text, vaults and unsafe texts as Ansible writes them, everything else as it is."""
    if isinstance(value, Vaulted):
        return {"__ansible_vault": value.ciphertext}
    if isinstance(value, Unsafe):
        return {"__ansible_unsafe": str(value)}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    return value
