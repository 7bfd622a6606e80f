"""Compares what Ansible and Fleet made of a pair; deliberate differences are data, and an unused one is an error."""

from __future__ import annotations

import copy
from typing import Any

import yaml
from machines import HERE

DIFFERENCES = HERE / "differences.yml"


def all_differences() -> list[dict[str, Any]]:
    """What differences.yml says."""
    entries: list[dict[str, Any]] = yaml.safe_load(DIFFERENCES.read_text())
    return entries


def deliberate(pair: str) -> list[dict[str, Any]]:
    """The deliberate differences of one pair."""
    return [entry for entry in all_differences() if entry["pair"] == pair]


def expected_of_fleet(golden: dict[str, Any], differences: list[dict[str, Any]]) -> dict[str, Any]:
    """Ansible's golden with the deliberate differences put in.

    Raises:
        AssertionError: a difference that no longer is one: Ansible's side does not read as it says.
    """
    wanted = copy.deepcopy(golden)
    for entry in differences:
        used = 0
        for mode in entry.get("modes", list(wanted)):
            part = wanted.get(mode)
            if part is None:
                continue
            if "code" in entry:
                assert part["code"] == entry["code"]["ansible"], entry
                part["code"], used = entry["code"]["fleet"], used + 1
            for host in entry.get("hosts", ["one", "two", "localhost"]):
                if "added" in entry:
                    used += _add(part["results"].setdefault(host, []), entry)
                if "task" in entry:
                    used += _change_task(part["results"].get(host, []), entry)
                if "path" in entry and host in part["changes"]:
                    used += _change_path(part["changes"][host], entry)
        assert used, f"the difference is none: {entry}"
    return wanted


def _change_task(results: list[dict[str, Any]], entry: dict[str, Any]) -> int:
    hits = [
        number
        for number, result in enumerate(results)
        if result["task"] == entry["task"] and (entry["ansible"] or {}).items() <= result.items()
    ]
    for number in reversed(hits):
        if entry["fleet"] is None:
            del results[number]
        else:
            results[number] = {**results[number], **entry["fleet"]}
    return len(hits)


def _add(results: list[dict[str, Any]], entry: dict[str, Any]) -> int:
    names = [result["task"] for result in results]
    results.insert(names.index(entry["after"]) + 1 if "after" in entry else len(results), dict(entry["added"]))
    return 1


def _change_path(changes: dict[str, Any], entry: dict[str, Any]) -> int:
    path, before = entry["path"], entry["ansible"]
    if before == "unchanged":
        if path in changes:
            return 0
    elif path not in changes or not _says(changes[path], before):
        return 0
    if entry["fleet"] == "unchanged":
        del changes[path]
    else:
        changes[path] = {**(changes.get(path) or {}), **entry["fleet"]} if entry["fleet"] is not None else None
    return 1


def _says(found: Any, part: Any) -> bool:
    if found is None or part is None:
        return found is part
    return bool(part.items() <= found.items())


def unequal(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """One line for each thing that Fleet did otherwise."""
    lines: list[str] = []
    for mode, part in wanted.items():
        mine = found[mode]
        if part["code"] != mine["code"]:
            lines.append(f"{mode}: exit code {mine['code']}, Ansible's is {part['code']}")
        for host in sorted({*part["results"], *mine["results"]}):
            lines += _results(f"{mode} {host}", part["results"].get(host, []), mine["results"].get(host, []))
        for host, changes in part["changes"].items():
            for path in sorted({*changes, *mine["changes"][host]}):
                theirs, ours = changes.get(path, "unchanged"), mine["changes"][host].get(path, "unchanged")
                if theirs != ours:
                    lines.append(f"{mode} {host}: {path}: Fleet {ours}; Ansible {theirs}")
    return lines


def _results(where: str, theirs: list[dict[str, Any]], ours: list[dict[str, Any]]) -> list[str]:
    theirs, ours = _counted(theirs), _counted(ours)
    names, own = [each["task"] for each in theirs], [each["task"] for each in ours]
    if names != own:
        lacking = [name for name in names if name not in own]
        extra = [name for name in own if name not in names]
        return [f"{where}: other tasks: lacking {lacking}, extra {extra}; Fleet {own}; Ansible {names}"]
    lines = []
    for one, other in zip(theirs, ours, strict=True):
        if one["status"] != other["status"]:
            why = one.get("msg") or other.get("msg") or ""
            lines.append(f"{where}: '{one['task']}': Fleet {other['status']}, Ansible {one['status']} ({why[:300]})")
        elif "said" in one and not _same_words(one["said"], other.get("said", "")):
            lines.append(f"{where}: '{one['task']}': Fleet says {other.get('said')!r}, Ansible {one['said']!r}")
    return lines


def _counted(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in results if each["task"] != "Gathering Facts"]


def _same_words(theirs: str, ours: str) -> bool:
    # `debug: var=` names the variable before its value.
    return ours in (theirs, theirs.strip()) or ours.partition(": ")[2] == theirs
