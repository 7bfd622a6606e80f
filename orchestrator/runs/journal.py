"""The journal of a run: every event as one JSON line, append-only, on disk before the run goes on."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from orchestrator.events import (
    EngineFinished,
    Event,
    HandlersDue,
    HostFinished,
    HostState,
    RunFinished,
    RunStarted,
    TaskFinished,
)

# After these, a lost power supply must not lose the line.
_DURABLE = (RunStarted, TaskFinished, HandlersDue, EngineFinished, HostFinished, RunFinished)


class Journal:
    """Writes events to `path`; use it as a listener.

    Progress within a state (a build's 41 %, 42 %, ...) is not recorded, each new state is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("a", encoding="utf-8")
        self._states: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, HostState):
            if self._states.get(event.host) == event.state:
                return
            self._states[event.host] = event.state
        values: dict[str, Any] = asdict(event)
        if isinstance(event, RunFinished):
            values.pop("result")  # stands beside the journal as result.json
        self._file.write(json.dumps({"event": type(event).__name__, **values}, default=str) + "\n")
        self._file.flush()
        if isinstance(event, _DURABLE):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def owed_handlers(path: Path) -> dict[str, list[str]]:
    """The handlers, by host, that a run was notified of and did not get to; to be given to the next one.

    Args:
        path: the run's journal.jsonl; a torn last line is left out.
    """
    owed: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("event") == HandlersDue.__name__:
            owed[event["host"]] = list(event["handlers"])
    return {host: handlers for host, handlers in owed.items() if handlers}
