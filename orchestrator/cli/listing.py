"""What `--list-hosts`, `--list-tasks` and `--list-tags` show of a playbook."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.playbook.selection import chosen

if TYPE_CHECKING:
    from orchestrator.playbook.structure import Play, Task


def listing_wanted(options: argparse.Namespace) -> bool:
    return bool(options.list_hosts or options.list_tasks or options.list_tags)


def listing(
    options: argparse.Namespace,
    playbook: Path,
    plays: Sequence[Play],
    hosts: Sequence[Sequence[str]],
    only: Sequence[str],
    skip: Sequence[str],
) -> str:
    """The plays, in the form of `ansible-playbook`.

    Args:
        hosts: the hosts of each play, for `--list-hosts`.
        only, skip: `--tags` and `--skip-tags`, which leave out tasks.
    """
    lines = ["", f"playbook: {playbook}"]
    for number, (play, names) in enumerate(zip(plays, hosts, strict=True), 1):
        lines += ["", f"  play #{number} ({play.hosts}): {play.name}\tTAGS: {_tags(play.tags)}"]
        if options.list_hosts:
            lines += [f"    pattern: {play.hosts}", f"    hosts ({len(names)}):", *(f"      {name}" for name in names)]
        tasks = [task for task in play.tasks if task.meta is None and chosen(task.tags, only, skip)]
        if options.list_tasks:
            lines += ["    tasks:", *(f"      {task.full_name}\tTAGS: {_tags(task.tags)}" for task in tasks)]
        if options.list_tags:
            lines.append(f"      TASK TAGS: {_tags(_all(tasks))}")
    return "\n".join(lines)


def _all(tasks: Sequence[Task]) -> frozenset[str]:
    return frozenset(tag for task in tasks for tag in task.tags)


def _tags(tags: frozenset[str]) -> str:
    return f"[{', '.join(sorted(tags))}]"
