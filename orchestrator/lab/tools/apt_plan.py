"""What an apt-get install would do: candidates, versions asked for, dependencies, and the words about them."""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass, field
from typing import Any

import device
import packages


class Refused(Exception):
    """apt-get gives up; the message is its last line, `said` what it printed before."""

    def __init__(self, message: str, said: list[str] | None = None) -> None:
        super().__init__(message)
        self.said = said or []


@dataclass
class Plan:
    new: dict[str, str] = field(default_factory=dict)
    upgraded: dict[str, str] = field(default_factory=dict)
    downgraded: dict[str, str] = field(default_factory=dict)
    again: dict[str, str] = field(default_factory=dict)
    extra: list[str] = field(default_factory=list)
    """Of the new ones, those that nobody named."""
    said: list[str] = field(default_factory=list)


def archive(profile: dict[str, Any], state: dict[str, Any]) -> dict[str, str]:
    """What the package lists have; packages of a local repository count once its .deb files were unpacked."""
    return {**profile["available"], **state.get("local_archive", {})}


def own_sources() -> list[str]:
    """Repositories that somebody added under /etc/apt/sources.list.d, as `url suite/component`."""
    found = []
    folder = "/etc/apt/sources.list.d"
    try:
        names = sorted(os.listdir(device.path(folder)))
    except OSError:
        return []
    for name in names:
        for line in device.read(f"{folder}/{name}").splitlines():
            match = re.match(r"deb (?:\[[^]]*\] )?(\S+) (\S+) ?(\S*)", line)
            if match:
                found.append(f"{match[1]} {match[2]}/{match[3]}".rstrip("/"))
    return found


def candidate(name: str, installed: dict[str, str], available: dict[str, str]) -> str | None:
    known = [version for version in (installed.get(name), available.get(name)) if version]
    if len(known) == 2:
        return known[0] if packages.compare(known[0], known[1]) >= 0 else known[1]
    return known[0] if known else None


def plan(
    names: list[str],
    installed: dict[str, str],
    available: dict[str, str],
    profile: dict[str, Any],
    flags: set[str],
    recommends: bool,
) -> Plan:
    """Raises: Refused, where a name or a version is unknown."""
    result = Plan()
    for wanted in names:
        for name, version in _meant(wanted, installed, available):
            _one(name, version, installed, available, flags, result)
    _add_dependencies(result, installed, available, profile, recommends)
    return result


def _meant(wanted: str, installed: dict[str, str], available: dict[str, str]) -> list[tuple[str, str]]:
    name, _, version = wanted.partition("=")
    name = re.sub(r":(arm64|any|all|native)$", "", name.split("/")[0])
    if not version and any(sign in name for sign in "*?["):
        hits = sorted(fnmatch.filter([*available, *(n for n in installed if n not in available)], name))
        if not hits:
            raise Refused(f"E: Unable to locate package {name}\nE: Couldn't find any package by glob '{name}'")
        return [(hit, "") for hit in hits]
    return [(name, version)]


def _one(
    name: str, version: str, installed: dict[str, str], available: dict[str, str], flags: set[str], result: Plan
) -> None:
    found = candidate(name, installed, available)
    if found is None:
        raise Refused(f"E: Unable to locate package {name}", result.said)
    here = installed.get(name)
    if version:
        known = [v for v in (available.get(name), here) if v and fnmatch.fnmatchcase(v, version)]
        if not known:
            raise Refused(f"E: Version '{version}' for '{name}' was not found", result.said)
        found = known[0]
    if here is None:
        if "--only-upgrade" in flags:
            result.said.append(f"Skipping {name}, it is not installed and only upgrades are requested.")
        else:
            result.new[name] = found
        return
    order = packages.compare(found, here)
    if order > 0 and "--no-upgrade" not in flags:
        result.upgraded[name] = found
    elif order < 0:
        result.downgraded[name] = found
    elif "--reinstall" in flags:
        result.again[name] = here
    else:
        result.said.append(f"{name} is already the newest version ({here}).")


def _add_dependencies(
    result: Plan, installed: dict[str, str], available: dict[str, str], profile: dict[str, Any], recommends: bool
) -> None:
    named = dict(result.new)
    queue, ordered = list(named), []
    while queue:
        name = queue.pop(0)
        ordered.append(name)
        contents = profile.get("contents", {}).get(name, {})
        wanted = contents.get("depends", []) + (contents.get("recommends", []) if recommends else [])
        for other in wanted:
            if other not in installed and other in available and other not in result.new:
                result.new[other] = available[other]
                result.extra.append(other)
                queue.append(other)
    # What others need is set up first.
    result.new = {name: result.new[name] for name in reversed(ordered)}


def with_dependants(gone: list[str], installed: dict[str, str], profile: dict[str, Any]) -> list[str]:
    """`gone` and all that cannot stay without it."""
    result = list(dict.fromkeys(gone))
    for name in result:
        for other in installed:
            if name in profile.get("contents", {}).get(other, {}).get("depends", []) and other not in result:
                result.append(other)
    return result


def free_mb() -> float:
    """Room on the device's disk, as far as somebody made it full; plenty otherwise."""
    text = device.read("/.lab/disk")
    return float(text) / 1e6 if text else 1e6
