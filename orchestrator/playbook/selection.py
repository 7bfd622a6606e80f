"""Which tasks `--tags`, `--skip-tags` and `--start-at-task` leave."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence

from orchestrator.documents import nearest
from orchestrator.errors import UsageError
from orchestrator.playbook.structure import Play, Task


def chosen(tags: frozenset[str], only: Sequence[str], skip: Sequence[str]) -> bool:
    """Whether something with these tags is to run; `always`, `never`, `tagged`, `untagged` and `all` as in Ansible."""
    own = tags or frozenset({"untagged"})
    wanted = set(only) or {"all"}
    never = "never" in tags
    runs = (
        "always" in tags
        or ("all" in wanted and not never)
        or bool(own & wanted)
        or ("tagged" in wanted and bool(tags) and not never)
    )
    if not runs or not skip:
        return runs
    unwanted = set(skip)
    if "all" in unwanted:
        return "always" in tags and "always" not in unwanted
    return not (own & unwanted) and not ("tagged" in unwanted and bool(tags))


def selected(tasks: Iterable[Task], only: Sequence[str], skip: Sequence[str]) -> list[Task]:
    """Those of `tasks` that `--tags` and `--skip-tags` leave."""
    return [task for task in tasks if chosen(task.tags, only, skip)]


def named(task: Task, pattern: str) -> bool:
    """Whether `--start-at-task` means this task: by its name, with the role's in front or not, or by a glob."""
    names = (task.name, task.full_name)
    return any(name == pattern or fnmatch.fnmatch(name, pattern) for name in names)


def check_start(plays: Sequence[Play], pattern: str) -> None:
    """Refuse a `--start-at-task` that names no task.

    Raises:
        UsageError: with the nearest name.
    """
    tasks = [task for play in plays for task in play.tasks]
    if not any(named(task, pattern) for task in tasks):
        known = [task.name for task in tasks]
        raise UsageError(f"no task '{pattern}' to start at", "", nearest(pattern, known) or "fleet play --list-tasks")
