"""Whether anybody could see in which order devices do their tasks; where nobody can, no device waits for another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.language.expressions import has_template
from orchestrator.playbook.structure import Play, Task

# Variables that show what other devices have done so far.
_WATCHING = ("hostvars", "ansible_play_hosts", "ansible_play_batch", "play_hosts")


def is_observable(play: Play) -> bool:
    """Whether the play must go task by task over all devices to mean what Ansible makes of it."""
    if play.max_fail_percentage is not None or play.any_errors_fatal not in (None, False):
        return True
    if _watches(play.variables) or any(_watches(role.variables) or _watches(role.defaults) for role in play.roles):
        return True
    return any(_observes(task) for task in [*play.tasks, *play.handlers])


def _observes(task: Task) -> bool:
    said = task.settings
    if said.run_once not in (None, False) or said.any_errors_fatal not in (None, False):
        return True
    if said.delegate_to not in (None, "{{ inventory_hostname }}"):
        return True
    if task.meta == "end_play":
        return True
    if task.include is not None and task.include.nodes is None:
        return True  # what it brings is not known yet
    loop = task.loop.items if task.loop else None
    bare = [task.args.get(name) for name in task.module.raw]
    return _watches([task.args, said.variables, said.include_variables, loop]) or _watches(
        [*bare, *said.when, *task.until, *task.changed_when, *task.failed_when], bare=True
    )


def _watches(value: Any, *, bare: bool = False) -> bool:
    if isinstance(value, str):
        return (bare or has_template(value)) and any(name in value for name in _WATCHING)
    if isinstance(value, Mapping):
        return any(_watches(item, bare=bare) for item in value.values())
    if isinstance(value, (list, tuple)):
        return any(_watches(item, bare=bare) for item in value)
    return False
