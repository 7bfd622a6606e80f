"""Finds the model specifications that inventories and command lines name, and reads each once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.documents import nearest
from orchestrator.errors import ModelError

if TYPE_CHECKING:
    from orchestrator.inventory.inventory import Host
    from orchestrator.models.spec import ModelSpec


class Specifications:
    """Specifications by name or path.

    Args:
        search: folders in which `NAME.yml` is looked for, in order, after the folder of the inventory.
    """

    def __init__(self, search: Sequence[Path]) -> None:
        self.search = tuple(search)
        self._read: dict[Path, ModelSpec] = {}
        self._lock = threading.Lock()

    def find(self, name: str, host: Host | None = None) -> ModelSpec:
        """The specification that `name` stands for.

        Raises:
            ModelError: there is none (naming the nearest), or it has mistakes.
        """
        path = self._path(name, host).resolve()
        with self._lock:
            if path not in self._read:
                from orchestrator.models.reading import load_spec

                self._read[path] = load_spec(path)
            return self._read[path]

    def _path(self, name: str, host: Host | None) -> Path:
        folders = list(self.search)
        inventory = (host.variables.get("inventory_dir") if host else None) or None
        if inventory:
            folders = [Path(inventory), Path(inventory) / "models", *folders]
        names = [name] if name.endswith((".yml", ".yaml")) else [f"{name}.yml", f"{name}.yaml", name]
        for folder in folders:
            for candidate in names:
                if (folder / candidate).is_file():
                    return folder / candidate
        known = sorted({p.stem for folder in folders for p in folder.glob("*.y*ml")}) if "/" not in name else []
        looked = ", ".join(dict.fromkeys(str(folder) for folder in folders if folder.is_dir()))
        raise ModelError(
            f"no model specification '{name}'",
            f"looked in {looked}",
            nearest(name, known) or "name a file: --model PATH",
        )
