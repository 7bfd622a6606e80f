"""What an earlier run left to do: the devices that did not get through, and the handlers that are owed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import UsageError
from orchestrator.runs.journal import owed_handlers

LATEST = "latest"


@dataclass(frozen=True)
class Leftover:
    """What is left of a run."""

    run: str
    hosts: Mapping[str, str]
    """Why each is to be done again: failed, unreachable, interrupted, or handlers owed."""
    owed: Mapping[str, Sequence[str]]
    """Names of handlers, by host."""


def leftover(root: Path, command: str, run: str = LATEST) -> Leftover:
    """Read what a run left to do from its journal, which is there even where the run was killed.

    Args:
        root: the folder of runs.
        command: `provision`, `deploy`, ...: which runs `latest` means.
        run: a run's id or folder, or `latest`.

    Raises:
        UsageError: there is no such run.
    """
    folder = _latest(root, command) if run == LATEST else _named(root, run)
    hosts: dict[str, str] = {}
    for event in _events(folder):
        if event["event"] == "RunStarted":
            hosts = dict.fromkeys(event["hosts"], "interrupted")
        elif event["event"] == "HostFinished" and event["host"] in hosts:
            if event["status"] in ("failed", "unreachable"):
                hosts[event["host"]] = event["status"]
            else:
                del hosts[event["host"]]
    owed = owed_handlers(folder / "journal.jsonl")
    for host in owed:
        hosts.setdefault(host, "handlers owed")
    return Leftover(folder.name, hosts, owed)


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    with (folder / "journal.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            try:
                yield json.loads(line)
            except ValueError:  # torn by a loss of power
                continue


def _named(root: Path, run: str) -> Path:
    for folder in (root / run, Path(run)):
        if (folder / "journal.jsonl").is_file():
            return folder.resolve()
    raise UsageError(f"no run '{run}' to retry", f"looked in {root}", "name a folder in it, or none for the latest run")


def _latest(root: Path, command: str) -> Path:
    # By what the journal says: the names of runs tell seconds only.
    starts = []
    for journal in root.glob("*/journal.jsonl"):
        first = next(_events(journal.parent), {})
        if not journal.parent.is_symlink() and str(first.get("command", "")).split()[:2] == ["fleet", command]:
            starts.append((first.get("time") or 0.0, journal.parent.name, journal.parent))
    if starts:
        return max(starts)[2]
    raise UsageError(f"no run of 'fleet {command}' to retry", f"looked in {root}")
