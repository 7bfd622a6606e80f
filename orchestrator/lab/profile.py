"""Reads the profile of a virtual device: what board it is, as YAML."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigurationError

PROFILES = Path(__file__).parent / "profiles"
PACKAGES = Path(__file__).parent / "packages"


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


def profile_stamp(name: str) -> list[Any]:
    """Changes when the profile's file does, or one that it may be made from."""
    file = profile_file(name)
    status = file.stat()
    sources = max(f.stat().st_mtime_ns for folder in (PROFILES, PACKAGES) for f in folder.iterdir())
    return [str(file), status.st_mtime_ns, status.st_size, sources]


def load_profile(name: str) -> dict[str, Any]:
    """The profile as a dict, with its `name` set, what it is `like` filled in, and its packages' contents known.

    Raises:
        ConfigurationError: no such file, not YAML, or without one of the keys that the lab itself needs.
    """
    from orchestrator.documents import Document

    document = Document.read(profile_file(name))
    if not isinstance(document.data, Mapping):
        raise document.fail("a device profile must be a mapping")
    profile = _like(dict(document.data), {profile_file(name).stem})
    for key in ("title", "module", "python", "tools"):
        if key not in profile:
            raise document.fail(f"the device profile lacks '{key}'")
    profile["name"] = profile_file(name).stem
    from orchestrator.lab.contents import add_contents

    return add_contents(profile, PACKAGES)


def _like(profile: dict[str, Any], seen: set[str]) -> dict[str, Any]:
    """The profile on top of the one that it is `like`: mappings one level deep are merged, null takes a key away."""
    base_name = profile.pop("like", None)
    if base_name is None:
        return profile
    if base_name in seen:
        raise ConfigurationError(
            f"the device profile '{base_name}' is like itself", "", "remove 'like' from one of them"
        )
    from orchestrator.documents import Document

    data = Document.read(profile_file(str(base_name))).data
    base = _like(dict(data if isinstance(data, Mapping) else {}), seen | {str(base_name)})
    for key, value in profile.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            value = {**base[key], **value}
            value = {k: v for k, v in value.items() if v is not None}
        base[key] = value
    return base


def profile_digest(profile: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(profile, sort_keys=True, default=str).encode()).hexdigest()[:16]
