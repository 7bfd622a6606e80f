"""Where files are looked for that a task, a template or a lookup names by a relative path."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.values import is_vault, open_vault


def search_paths(variables: Mapping[str, Any]) -> list[Path]:
    """The folders that relative names start from, nearest first: the role's, then the playbook's.

    `ansible_search_path` says them where the runner set it; else they are taken from `role_path` and `playbook_dir`.
    """
    given = variables.get("ansible_search_path")
    if isinstance(given, list):
        found = [Path(str(path)) for path in given]
    else:
        found = [Path(str(variables[name])) for name in ("role_path", "playbook_dir") if variables.get(name)]
    return found or [Path.cwd()]


def candidates(name: str, folder: str, variables: Mapping[str, Any]) -> list[Path]:
    """Where `name` may lie, in order; `folder` is the subfolder of its kind: files, templates, vars, tasks."""
    expanded = Path(os.path.expandvars(name)).expanduser()
    if expanded.is_absolute():
        return [expanded]
    places = []
    for base in search_paths(variables):
        if expanded.parts[:1] != (folder,):
            places.append(base / folder / expanded)
        places.append(base / expanded)
    return list(dict.fromkeys(places))


def find(name: str, folder: str, variables: Mapping[str, Any]) -> Path | None:
    """The first of the `candidates` that exists, absolute, or None."""
    for path in candidates(name, folder, variables):
        if path.exists():
            return Path(os.path.abspath(path))  # noqa: PTH100 - symlinks stay as they are
    return None


def read_text(path: Path) -> str:
    """A file of the controller as text, decrypted where it is a vault."""
    content = path.read_bytes()
    text = content.decode("utf-8", "surrogateescape")
    return open_vault(text).decode("utf-8", "surrogateescape") if is_vault(text) else text
