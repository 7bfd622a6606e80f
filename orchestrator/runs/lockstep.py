"""Keeps hosts together, task by task, where the order could be seen."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from orchestrator.errors import ActionError, FleetError
from orchestrator.runs.flow import EndOfPlay, Stopped

Key = tuple[int, ...]
"""Where in the play a host is; a later task has a greater key."""

_START: Key = ()
_POLL_S = 0.5


class Lockstep:
    """No host begins a task before every other has finished the ones before it.

    Args:
        hosts: in the order of the play; the first that does a `run_once` task does it for all.
        permits: one for each host that may work at a time; given back while a host waits here.
        stop: set when the run was interrupted.
        max_failed: more failed hosts than this end the play for all; None: any number may fail.
    """

    def __init__(
        self,
        hosts: Sequence[str],
        permits: threading.Semaphore,
        stop: threading.Event,
        max_failed: float | None,
    ) -> None:
        self._positions: dict[str, Key] = dict.fromkeys(hosts, _START)
        self._total = len(hosts)
        self._permits = permits
        self._stop = stop
        self._max_failed = max_failed
        self._failed: set[str] = set()
        self._cohorts: dict[Key, list[str]] = {}
        self._results: dict[Key, Any] = {}
        self._fatal: FleetError | None = None
        self._over = False
        self._changed = threading.Condition()

    def arrive(self, host: str, key: Key) -> list[str]:
        """Wait until no other host is behind `key`; the hosts that do this task, in order.

        Raises:
            Stopped: the run was interrupted, or the play has failed for all. EndOfPlay: it is over for all.
        """
        self._permits.release()
        try:
            with self._changed:
                self._positions[host] = key
                self._changed.notify_all()
                while not self._fatal and any(position < key for position in self._positions.values()):
                    if self._stop.is_set():
                        raise Stopped
                    self._changed.wait(_POLL_S)
                if self._fatal:
                    raise Stopped(self._fatal)
                if self._over:
                    raise EndOfPlay
                if key not in self._cohorts:
                    self._cohorts[key] = [name for name, position in self._positions.items() if position == key]
                return self._cohorts[key]
        finally:
            self._permits.acquire()

    def share(self, key: Key, result: Any) -> None:
        """Give the result of a `run_once` task to the hosts that wait for it."""
        with self._changed:
            self._results[key] = result
            self._changed.notify_all()

    def shared(self, key: Key) -> Any:
        """The result of a `run_once` task that another host does.

        Raises:
            Stopped: as `arrive`.
        """
        self._permits.release()
        try:
            with self._changed:
                while key not in self._results:
                    if self._stop.is_set() or self._fatal:
                        raise Stopped(self._fatal)
                    self._changed.wait(_POLL_S)
                return self._results[key]
        finally:
            self._permits.acquire()

    def failed(self, host: str, *, fatal: bool) -> None:
        """A host failed for good; perhaps that ends the play for all."""
        with self._changed:
            self._failed.add(host)
            share = 100.0 * len(self._failed) / self._total
            if fatal or (self._max_failed is not None and share > self._max_failed):
                why = "any_errors_fatal" if fatal else f"max_fail_percentage: {self._max_failed:g}"
                self._fatal = ActionError(f"stopped because {host} failed", f"the play says {why}")
            self._changed.notify_all()

    def end(self) -> None:
        """The play is over for all hosts."""
        with self._changed:
            self._over = True

    @property
    def ended_for_all(self) -> bool:
        return self._fatal is not None

    def leave(self, host: str) -> None:
        """This host is done with the play, however it went."""
        with self._changed:
            self._positions.pop(host, None)
            self._changed.notify_all()
