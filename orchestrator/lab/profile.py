"""Reads the profile of a virtual device: what board it is, as YAML."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigurationError

PROFILES = Path(__file__).parent / "profiles"


def profile_file(name: str) -> Path:
    """The file of a profile: one that ships with Fleet, or a path that ends in .yml.

    Raises:
        ConfigurationError: there is no such file.
    """
    own = name.endswith((".yml", ".yaml"))
    file = Path(name) if own else PROFILES / f"{name}.yml"
    if not file.is_file():
        from orchestrator.documents import nearest

        known = profile_names()
        remedy = nearest(name, known) or f"profiles: {', '.join(known)}; or the path of a .yml file of your own"
        raise ConfigurationError(f"there is no virtual device profile '{name}'", "", remedy)
    return file


def profile_names() -> list[str]:
    """The profiles that ship with Fleet."""
    return sorted(file.stem for file in PROFILES.glob("*.yml"))


def load_profile(name: str) -> dict[str, Any]:
    """The profile as a dict, with its `name` set.

    Raises:
        ConfigurationError: no such file, not YAML, or without one of the keys that the lab itself needs.
    """
    from orchestrator.documents import Document

    document = Document.read(profile_file(name))
    if not isinstance(document.data, Mapping):
        raise document.fail("a device profile must be a mapping")
    for key in ("title", "module", "python", "tools"):
        if key not in document.data:
            raise document.fail(f"the device profile lacks '{key}'")
    return {"name": profile_file(name).stem, **document.data}


def profile_digest(profile: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(profile, sort_keys=True, default=str).encode()).hexdigest()[:16]
