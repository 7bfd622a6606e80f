"""What the packages of a virtual device bring: the archive of its Ubuntu, and the contents of each package."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def add_contents(profile: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Fill in the tools that every board has, what apt-get can install, and what comes with each package.

    `without: [patterns]` of the profile moves packages from what is installed to what could be.

    Args:
        folder: holds contents.yml and a file per Ubuntu release, see README.md there.
    """
    installed = dict(profile.get("packages", {}))
    available = {**_archive(profile, folder), **profile.get("available", {})}
    for pattern in profile.pop("without", []):
        for name in fnmatch.filter(list(installed), pattern):
            available[name] = installed.pop(name)
    from orchestrator.documents import Document

    base: Mapping[str, Any] = Document.read(folder / "base.yml").data or {}
    profile["tools"] = {**base.get("tools", {}), **profile["tools"]}
    table: Mapping[str, Any] = Document.read(folder / "contents.yml").data or {}
    everything = {**available, **installed}
    contents = {}
    for name, version in everything.items():
        entry = _entry(name, table)
        if entry is not None:
            contents[name] = _resolved(entry, str(version), profile, everything)
            _take_owned(contents[name], entry.get("owns", ()), profile)
    profile.update(packages=installed, available=available, contents=contents)
    return profile


def _archive(profile: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    from orchestrator.documents import Document

    file = folder / f"{profile.get('os', {}).get('codename')}.yml"
    data: dict[str, Any] = dict(Document.read(file).data or {}) if file.is_file() else {}
    return data


def _entry(name: str, table: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((entry for pattern, entry in table.items() if fnmatch.fnmatchcase(name, pattern)), None)


def _resolved(
    entry: Mapping[str, Any], version: str, profile: Mapping[str, Any], everything: Iterable[str]
) -> dict[str, Any]:
    upstream = re.sub(r"^\d+:|[-+~].*$", "", version)
    words = {"version": upstream, "python": str(profile["python"])}
    words.update({str(n): part for n, part in enumerate(upstream.split("."), 1)})

    def fill(value: Any) -> Any:
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda match: words.get(match[1], "0"), value)
        if isinstance(value, Mapping):
            return {fill(k): fill(v) for k, v in value.items()}
        return [fill(item) for item in value]

    result = {key: fill(value) for key, value in entry.items() if key not in ("depends", "recommends", "owns")}
    for key in ("depends", "recommends"):
        patterns = entry.get(key, ())
        result[key] = sorted({n for pattern in patterns for n in fnmatch.filter(list(everything), pattern)})
    return result


def _take_owned(contents: dict[str, Any], owned: Iterable[str], profile: dict[str, Any]) -> None:
    """Files and tools that the profile gives come and go with the package that owns them."""
    for path in owned:
        for kind in ("files", "tools"):
            if path in profile.get(kind, {}):
                profile[kind] = dict(profile[kind])
                contents.setdefault(kind, {})[path] = profile[kind].pop(path)
