"""Variables in files beside an inventory or a playbook: group_vars/ and host_vars/."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.errors import InventoryError
from orchestrator.inventory.sources import listing, read_document, variables_of
from orchestrator.inventory.tree import Layer

_ENDINGS = ("", ".yml", ".yaml", ".json")


class VarFiles:
    """The group_vars/ and host_vars/ of some directories; each file is read at most once.

    Args:
        directories: in order of precedence, later ones win.
    """

    def __init__(self, directories: list[Path]) -> None:
        self.directories = list(dict.fromkeys(Path(os.path.realpath(directory)) for directory in directories))
        self._folders: dict[Path, frozenset[str]] = {}
        self._layers: dict[Path, Layer] = {}

    def groups(self, names: list[str]) -> Layer:
        """What the files say of these groups: directory by directory, within one the names in the given order."""
        return self._read("group_vars", names)

    def host(self, name: str) -> Layer:
        return self._read("host_vars", [name])

    def _read(self, folder: str, names: list[str]) -> Layer:
        layer = Layer()
        for directory in self.directories:
            for name in names:
                for path in self._find(directory / folder, name):
                    layer.update(self._layer(path))
        return layer

    def _find(self, folder: Path, name: str) -> list[Path]:
        present = self._listing(folder)
        for ending in _ENDINGS:
            if name + ending in present:
                path = folder / (name + ending)
                return _files_below(path) if path.is_dir() else [path]
        return []

    def _listing(self, folder: Path) -> frozenset[str]:
        if folder not in self._folders:
            self._folders[folder] = frozenset(path.name for path in listing(folder)) if folder.is_dir() else frozenset()
        return self._folders[folder]

    def _layer(self, path: Path) -> Layer:
        if path not in self._layers:
            document = read_document(path)
            data = {} if document.data is None else document.data
            if not isinstance(data, dict):
                kind = type(data).__name__
                raise InventoryError(f"{path} must be a mapping of variables", f"found a {kind}", "write 'name: value'")
            self._layers[path] = variables_of(document, data, ())
        return self._layers[path]


def _files_below(directory: Path) -> list[Path]:
    """The variable files of a directory and of its subdirectories, in order of their names."""
    found: list[Path] = []
    for path in listing(directory):
        if path.name.startswith(".") or path.name.endswith("~"):
            continue
        if path.is_dir() and not path.suffix:
            found += _files_below(path)
        elif path.is_file() and path.suffix in _ENDINGS:
            found.append(path)
    return found
