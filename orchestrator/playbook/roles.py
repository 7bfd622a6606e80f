"""Finds roles and reads what they are made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.documents import Document, nearest
from orchestrator.errors import Location, PlaybookError

ENDINGS = (".yml", ".yaml", ".json", "")


def role_folders(playbook: Path, parents: Sequence[Path] = ()) -> list[Path]:
    """Where roles are looked for: beside the playbook, FLEET_ROLES_PATH, beside roles that ask, ~/.ansible/roles."""
    given = os.environ.get("FLEET_ROLES_PATH") or os.environ.get("ANSIBLE_ROLES_PATH") or ""
    folders = [playbook / "roles", *(Path(p).expanduser() for p in given.split(":") if p)]
    folders += [parent.parent for parent in reversed(parents)]
    return [*folders, playbook, Path("~/.ansible/roles").expanduser()]


def find_role(name: str, playbook: Path, parents: Sequence[Path], location: Location) -> Path:
    """The folder of a role.

    Raises:
        PlaybookError: there is none, with the nearest name.
    """
    folders = role_folders(playbook, parents)
    for folder in folders:
        candidate = folder / name if not name.startswith("~") else Path(name).expanduser()
        if candidate.is_dir():
            return Path(os.path.abspath(candidate))  # noqa: PTH100 - symlinks stay as they are
    known = sorted(
        {path.name for folder in folders[:-2] if folder.is_dir() for path in folder.iterdir() if path.is_dir()}
    )
    looked = ", ".join(dict.fromkeys(str(folder) for folder in folders))
    raise PlaybookError(f"no role '{name}'", f"looked in {looked}", nearest(name, known), location=location)


def role_file(role: Path, kind: str, name: str) -> Path | None:
    """A file of a role's folder, with or without its ending; None where there is none."""
    for ending in ENDINGS:
        candidate = role / kind / f"{name}{ending}"
        if candidate.is_file():
            return candidate
    return None


def role_variables(role: Path, kind: str, name: str, location: Location) -> dict[str, Any]:
    """The mapping of `defaults/main.yml` or `vars/main.yml`; of all files, sorted, where `main` is a folder.

    Raises:
        PlaybookError: unreadable, no mapping, or a file other than `main` that is not there.
    """
    folder = role / kind / name
    if folder.is_dir():
        files = sorted(
            path for path in folder.rglob("*") if path.is_file() and path.suffix in (".yml", ".yaml", ".json")
        )
    else:
        found = role_file(role, kind, name)
        if found is None and name != "main":
            raise PlaybookError(
                f"role '{role.name}' has no {kind}/{name}.yml", f"looked in {folder.parent}", location=location
            )
        files = [found] if found else []
    variables: dict[str, Any] = {}
    for path in files:
        variables.update(read_mapping(path))
    return variables


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML file of variables.

    Raises:
        PlaybookError: unreadable, not YAML, or not a mapping.
    """
    document = Document.read(path, PlaybookError)
    if document.data is None:
        return {}
    if not isinstance(document.data, dict):
        raise document.fail("a file of variables is a mapping")
    return document.data


def metadata(role: Path) -> tuple[Document, list[Any], bool]:
    """The document of meta/main.yml, the dependencies in it, and whether the role may run more than once."""
    path = role_file(role, "meta", "main")
    if path is None:
        return Document(str(role / "meta" / "main.yml"), "", PlaybookError), [], False
    document = Document.read(path, PlaybookError)
    data = document.data or {}
    if not isinstance(data, dict):
        raise document.fail("a role's meta/main.yml is a mapping")
    dependencies = data.get("dependencies") or []
    if not isinstance(dependencies, list):
        raise document.fail("dependencies is a list of roles", path=("dependencies",))
    return document, dependencies, data.get("allow_duplicates") in (True, "true", "yes")
