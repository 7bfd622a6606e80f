"""What interrupts the course of a play on one host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.errors import FleetError
    from orchestrator.playbook.structure import Task


class TaskFailedError(Exception):
    """A task failed, and nothing said to go on; a block may rescue it."""

    def __init__(self, error: FleetError, task: Task, result: dict[str, Any]) -> None:
        super().__init__(error.what)
        self.error = error
        self.task = task
        self.result = result


class EndOfPlay(Exception):
    """`meta: end_host` or `end_play`: this host is done with the play."""


class Stopped(Exception):
    """The run was interrupted, or another host's failure ends it for all."""

    def __init__(self, error: FleetError | None = None) -> None:
        super().__init__("stopped")
        self.error = error
