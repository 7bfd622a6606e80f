"""The handlers of a play on one host: which are due, and in what order they run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from orchestrator.documents import nearest
from orchestrator.errors import PlaybookError

if TYPE_CHECKING:
    from orchestrator.playbook.structure import Task


class Handlers:
    """Remembers notifications until they are carried out.

    Args:
        tasks: all handlers, in the order in which they run.
        name_of: a handler's name with its expressions evaluated, or None where that is not possible now.
    """

    def __init__(self, tasks: Sequence[Task], name_of: Callable[[Task], str | None]) -> None:
        self._tasks = list(tasks)
        self._name_of = name_of
        self._due: list[Task] = []

    def add(self, tasks: Sequence[Task]) -> None:
        """More handlers, of a role that was included."""
        known = {id(task) for task in self._tasks}
        self._tasks += [task for task in tasks if id(task) not in known]

    def notify(self, name: str, task: Task) -> None:
        """Handlers of this name, or that listen to it, are due.

        Raises:
            PlaybookError: there are none, with the nearest name.
        """
        found = [handler for handler in self._tasks if name in handler.listen]
        by_name = self._named(name)
        if by_name is not None and by_name not in found:
            found.append(by_name)
        if not found:
            known = [n for handler in self._tasks for n in (self._name_of(handler), *handler.listen) if n]
            why = f"handlers: {', '.join(known) or 'none'}"
            what = f"no handler '{name}' to notify"
            raise PlaybookError(what, why, nearest(name, known), location=task.location)
        for handler in found:
            if not any(due is handler for due in self._due):
                self._due.append(handler)

    def remember(self, names: Sequence[str]) -> list[str]:
        """Make due what an earlier run still owed; the names that are not handlers of this play."""
        unknown = []
        for name in names:
            handler = self._named(name)
            if handler is None:
                unknown.append(name)
            elif not any(due is handler for due in self._due):
                self._due.append(handler)
        return unknown

    def _named(self, name: str) -> Task | None:
        # The last one wins, so that a play can replace what a role brings.
        for handler in reversed(self._tasks):
            own = self._name_of(handler)
            role = handler.settings.role
            if own is not None and name in (own, f"{role.name} : {own}" if role else own):
                return handler
        return None

    def take(self) -> Task | None:
        """The next handler that is due, which then no longer is."""
        for handler in self._tasks:
            for i, due in enumerate(self._due):
                if due is handler:
                    return self._due.pop(i)
        return None

    @property
    def due(self) -> list[str]:
        """Names of the handlers that are due, in the order in which they will run."""
        return [
            self._name_of(handler) or handler.name
            for handler in self._tasks
            if any(due is handler for due in self._due)
        ]
