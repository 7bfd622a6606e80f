"""What happens during a run, as dataclasses; the one source of all progress output.

The runner emits, listeners (console, journal, reports) receive. A listener is any callable that takes an
event; `Events` hands each event to every listener in turn, one event at a time, from whatever thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from orchestrator.values import has_secrets, mask


@dataclass(frozen=True, kw_only=True)
class Event:
    time: float = field(default_factory=time.time)
    """Seconds since the epoch, the controller's clock."""


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    run: str
    command: str
    hosts: Sequence[str]
    directory: str
    virtual: Sequence[str] = ()
    """Those of `hosts` that the inventory puts in the lab; facts may add to them."""


@dataclass(frozen=True, kw_only=True)
class PlayStarted(Event):
    play: str
    hosts: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class HostState(Event):
    """A device (or `controller`) entered a state that a person would want to see.

    States: connecting, gathering facts, exporting, pushing, preparing, rebooting, building, validating,
    benchmarking, fetching, activating, waiting, ok, failed, unreachable, skipped, or a task's name.
    """

    host: str
    state: str
    detail: str = ""
    fraction: float | None = None
    """0 to 1 where a length is known."""


@dataclass(frozen=True, kw_only=True)
class TaskStarted(Event):
    host: str
    task: str


@dataclass(frozen=True, kw_only=True)
class TaskFinished(Event):
    host: str
    task: str
    module: str
    status: str
    """ok, changed, failed, skipped, ignored or unreachable."""
    duration_s: float
    message: str = ""
    """One line for people: what changed, or why it was skipped."""
    diff: Any = None


@dataclass(frozen=True, kw_only=True)
class HandlersDue(Event):
    """The handlers that a host was notified of and has not run; emitted whenever they change."""

    host: str
    handlers: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class FactsGathered(Event):
    host: str
    facts: dict[str, Any]
    """Interpreted facts, named as in result.json, with `virtual` among them. The latest set wins."""


@dataclass(frozen=True, kw_only=True)
class BytesPushed(Event):
    """Blob bytes that travelled to a device; emitted once per blob and summed per device."""

    host: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class EngineFinished(Event):
    host: str
    engine: dict[str, Any]
    """One element of `engines` in result.json (see reports/result.schema.json)."""


@dataclass(frozen=True, kw_only=True)
class Note(Event):
    """Something worth a line: a warning, a hint, a step of an export."""

    host: str | None
    level: str
    """debug (shown with -v), info or warning."""
    text: str


@dataclass(frozen=True, kw_only=True)
class HostFinished(Event):
    host: str
    status: str
    """ok, failed, unreachable or skipped."""
    error: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class RunFinished(Event):
    run: str
    result: dict[str, Any]
    """The whole of result.json."""


Listener = Callable[[Event], None]


class Events:
    """Hands each event to every listener, in order and one at a time; secrets out of vaults show as `***`."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = list(listeners)
        self._lock = threading.RLock()

    def add(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.append(listener)

    def __call__(self, event: Event) -> None:
        if has_secrets():
            values = {field.name: getattr(event, field.name) for field in fields(event)}
            masked = {name: mask(value) for name, value in values.items()}
            if masked != values:
                event = replace(event, **masked)
        with self._lock:
            for listener in self._listeners:
                listener(event)
