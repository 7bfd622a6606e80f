"""Reading the files that make up an inventory: YAML or INI files, directories of them, lists like `a,b,`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.documents import Document, decrypted, nearest
from orchestrator.errors import InventoryError
from orchestrator.inventory.ini import looks_like_ini, read_ini
from orchestrator.inventory.ranges import expand, split_port
from orchestrator.inventory.tree import Group, Layer, LoopError, Tree, set_priority

_SECTIONS = ("hosts", "children", "vars")
# What Ansible passes over in a directory of inventories.
_IGNORED_NAMES = ("group_vars", "host_vars", "vars_plugins")
_IGNORED_ENDINGS = (
    *(".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst"),
    *(".orig", ".cfg", ".retry"),
)
_YAML_ONLY = (".yml", ".yaml", ".json")


def read_source(tree: Tree, source: str, base: Path) -> Path | None:
    """Read one `-i` argument into the tree.

    Args:
        tree: what earlier sources said; this one adds to it and wins where both speak.
        source: a file, a directory or a comma-separated list of hosts.
        base: the directory that relative paths start from.

    Returns:
        The directory whose group_vars/ and host_vars/ belong to the source; None for a list of hosts.

    Raises:
        InventoryError: missing, not YAML, or not an inventory; with file, line and column where there is one.
    """
    path = Path(os.path.abspath(base / Path(source).expanduser()))  # noqa: PTH100 - symlinks stay as they are
    if path.is_dir():
        _read_directory(tree, path)
        return path
    if path.exists():
        _read_file(tree, path)
        return path.parent
    if "," in source:
        _read_list(tree, source)
        return None
    raise InventoryError(
        f"no inventory at {source}",
        "there is no such file or directory",
        f"name an existing one, or write '-i {source},' with a comma if {source} is a host",
    )


def read_text(path: Path) -> str:
    """A file of the inventory as it stands. Raises InventoryError where it cannot be read or is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as problem:
        raise InventoryError(f"cannot read {path}", problem.strerror or str(problem)) from None
    except UnicodeDecodeError as problem:
        raise InventoryError(
            f"cannot read {path}", f"not UTF-8 text: {problem.reason} at byte {problem.start}"
        ) from None


def read_document(path: Path) -> Document:
    """A YAML or JSON file of the inventory, decrypted where it is a vault."""
    return parse(path, read_text(path))


def parse(path: Path, text: str) -> Document:
    """The text of a file as YAML or JSON. Raises InventoryError where it is neither."""
    # JSON allows tabs between its tokens, where YAML does not.
    return Document(str(path), text.replace("\t", " ") if path.suffix == ".json" else text, InventoryError)


def listing(directory: Path) -> list[Path]:
    """What lies in a directory, by name. Raises InventoryError where it cannot be read."""
    try:
        return sorted(directory.iterdir(), key=lambda item: item.name)
    except OSError as problem:
        raise InventoryError(f"cannot read {directory}", problem.strerror or str(problem)) from None


def variables_of(document: Document, mapping: Mapping[Any, Any], path: tuple[str | int, ...]) -> Layer:
    """The variables of a mapping of the document, each with its place.

    Raises:
        InventoryError: a name that is not a string.
    """
    layer = Layer()
    for name, value in mapping.items():
        if not isinstance(name, str):
            why = f"{name!r} is read as {type(name).__name__}"
            raise document.fail("a variable's name must be a string", why, "quote it", path=(*path, name))
        layer.set(name, value, document.location(*path, name))
    return layer


def _read_directory(tree: Tree, path: Path) -> None:
    for child in listing(path):
        if child.name.startswith(".") or child.name in _IGNORED_NAMES or child.name.endswith(_IGNORED_ENDINGS):
            continue
        if child.is_dir():
            _read_directory(tree, child)
        else:
            _read_file(tree, child)


def _read_list(tree: Tree, source: str) -> None:
    for item in filter(None, (part.strip() for part in source.split(","))):
        name, port = split_port(item)
        if name not in tree.hosts:
            entry = tree.add_host(name, tree.ungrouped)
            if port:
                entry.layer.fill({"ansible_port": port})


def _read_file(tree: Tree, path: Path) -> None:
    _refuse_other_formats(path)
    text = read_text(path)
    opened = decrypted(str(path), text, InventoryError)
    if path.suffix == ".ini":
        return read_ini(tree, path, opened, shown=opened is text)
    try:
        document = parse(path, text)
    except InventoryError:
        if path.suffix not in _YAML_ONLY and looks_like_ini(opened):
            return read_ini(tree, path, opened, shown=opened is text)
        raise
    data = document.data
    if data is None:
        raise document.fail("the inventory is empty", remedy="name hosts:  all: {hosts: {board-01: }}")
    if not isinstance(data, dict):
        # `[jetsons]` is a list to YAML, and `board-01` a text.
        if path.suffix not in _YAML_ONLY and (isinstance(data, str) or looks_like_ini(opened)):
            return read_ini(tree, path, opened, shown=opened is text)
        raise document.fail("an inventory must be a mapping of groups", f"found a {_kind(data)}")
    if "plugin" in data:
        raise document.fail(
            "inventory plugins are not supported",
            "this file configures one",
            "write its hosts to a YAML inventory: ansible-inventory --list --yaml",
            path=("plugin",),
        )
    for name, body in data.items():
        _FileReader(tree, document, path).group(name, body, (name,))
    return None


class _FileReader:
    def __init__(self, tree: Tree, document: Document, path: Path) -> None:
        self.tree = tree
        self.document = document
        self.path = path

    def group(self, name: Any, body: Any, path: tuple[Any, ...]) -> Group:
        if not isinstance(name, str) or not name:
            why = f"{name!r} is read as {type(name).__name__}"
            raise self.document.fail("a group's name must be a string", why, "quote it", path=path)
        if body is not None and not isinstance(body, dict):
            raise self.document.fail(
                f"group '{name}' must be a mapping with hosts, children or vars", f"found a {_kind(body)}", path=path
            )
        group = self.tree.add_group(name)
        for section, content in (body or {}).items():
            here = (*path, section)
            if section not in _SECTIONS:
                remedy = nearest(str(section), _SECTIONS)
                if not remedy:
                    remedy = f"put it under 'children:' if '{section}' is a group, under 'vars:' if it is a variable"
                raise self.document.fail(
                    f"unknown key '{section}' in group '{name}'",
                    f"known here: {', '.join(_SECTIONS)}",
                    remedy,
                    path=here,
                )
            if isinstance(content, str) and section != "vars":
                content = {content: None}  # `hosts: one-host` means that one host
            if content is None:
                continue
            if not isinstance(content, dict):
                why = f"found a {_kind(content)}"
                remedy = f"write each of the {section} on a line of its own, ending in a colon, without a dash"
                raise self.document.fail(f"'{section}' of group '{name}' must be a mapping", why, remedy, path=here)
            getattr(self, f"_{section}")(group, content, here)
        return group

    def _vars(self, group: Group, content: dict[Any, Any], path: tuple[Any, ...]) -> None:
        layer = variables_of(self.document, content, path)
        if "ansible_group_priority" in layer.values:
            value = layer.values.pop("ansible_group_priority")
            origin = layer.origins.pop("ansible_group_priority")
            set_priority(group, value, origin)
        group.layer.update(layer)

    def _children(self, group: Group, content: dict[Any, Any], path: tuple[Any, ...]) -> None:
        for name, body in content.items():
            if "ungrouped" in (group.name, name) and group is not self.tree.all:
                why = "'ungrouped' holds the hosts that are in no other group"
                raise self.document.fail(f"'{name}' cannot be a child of '{group.name}'", why, path=(*path, name))
            child = self.group(name, body, (*path, name))
            try:
                self.tree.add_child(group, child)
            except LoopError as problem:
                raise self.document.fail(
                    f"group '{name}' cannot be a child of '{group.name}'", str(problem), path=(*path, name)
                ) from None

    def _hosts(self, group: Group, content: dict[Any, Any], path: tuple[Any, ...]) -> None:
        for pattern, body in content.items():
            here = (*path, pattern)
            if not isinstance(pattern, str) or not pattern:
                why = f"{pattern!r} is read as {type(pattern).__name__}"
                raise self.document.fail("a host's name must be a string", why, "quote it", path=here)
            if body is not None and not isinstance(body, dict):
                why = f"found a {_kind(body)}"
                raise self.document.fail(f"host '{pattern}' must be a mapping of variables", why, path=here)
            name, port = split_port(pattern)
            try:
                names = expand(name)
            except ValueError as problem:
                raise self.document.fail(f"host range '{pattern}' is not valid", str(problem), path=here) from None
            layer = variables_of(self.document, body or {}, here)
            for host in names:
                new = host not in self.tree.hosts
                entry = self.tree.add_host(host, group, file=str(self.path), directory=str(self.path.parent))
                if new and port:
                    entry.layer.set("ansible_port", port, self.document.location(*here))
                entry.layer.update(layer)


def _refuse_other_formats(path: Path) -> None:
    if path.suffix in (".toml", ".py", ".sh"):
        raise InventoryError(
            f"{path} is neither a YAML nor an INI inventory",
            "TOML inventories and inventory scripts are not supported",
            f"convert it: ansible-inventory -i {path.name} --list --yaml > {path.stem}.yml",
        )
    try:
        with path.open("rb") as file:
            script = file.read(2) == b"#!"
    except OSError as problem:
        raise InventoryError(f"cannot read {path}", problem.strerror or str(problem)) from None
    if script and os.access(path, os.X_OK):
        raise InventoryError(
            f"{path} is an inventory script",
            "only YAML and INI inventories are supported",
            f"run it once: ansible-inventory -i {path.name} --list --yaml > {path.stem}.yml",
        )


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "list"
    return {"str": "string", "bool": "truth value", "int": "number", "float": "number"}.get(
        type(value).__name__, type(value).__name__
    )
