"""Follows a job on a device to its end, over as many connections as that takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from orchestrator.devices.session import ClosedError, Reply, Session
from orchestrator.errors import (
    AuthenticationError,
    ChangedHostKeyError,
    ConnectError,
    UnknownHostKeyError,
    UnreachableError,
)

GIVE_UP_S = 900.0
"""How long a device may be out of reach before we stop waiting; the job on it goes on all the same."""

BACKOFF_S = (0.5, 1, 2, 4, 8, 15, 30)
FINAL = (AuthenticationError, ChangedHostKeyError, UnknownHostKeyError, ClosedError)
"""Out of reach for good: trying again changes nothing."""

OnJobEvent = Callable[[dict[str, Any]], None]


def follow_job(
    connect: Callable[[], Session],
    job: str,
    on_event: OnJobEvent | None = None,
    *,
    offset: int = 0,
    give_up_s: float = GIVE_UP_S,
    on_link: Callable[[str], None] | None = None,
    pause: Callable[[float], Any] = time.sleep,
) -> dict[str, Any]:
    """Wait for a job, handing each of its events to `on_event` exactly once.

    Args:
        connect: gives a living session, connecting anew where the last one is lost.
        offset: byte of the job's event log to start at.
        give_up_s: for how long the device may be out of reach, each time.
        pause: how to wait between two tries, in seconds; may return early.
        on_link: told why, when the link is lost, and an empty string when it is back.

    Returns:
        `{"state": "done"/"failed"/"lost"/"cancelled", "result": ..., "error": ...}`.

    Raises:
        ConnectError: out of reach for longer than `give_up_s`. RefusedError: there is no such job.
    """
    position = _Position(offset, on_event)
    lost_at: float | None = None
    tries = 0
    while True:
        try:
            session = connect()
            if lost_at is not None and on_link:
                on_link("")
            future = session.submit("job_follow", {"id": job, "offset": position.offset}, on_event=position.take)
            if lost_at is not None:
                # A link that comes up and breaks at once is not yet back: the wait goes on from where it was.
                session.call("ping", timeout_s=60)
                lost_at, tries = None, 0
            reply: Reply = future.result()
            return reply.data
        except FINAL:
            raise
        except UnreachableError as problem:
            now = time.monotonic()
            if lost_at is None:
                lost_at, tries = now, 0
                if on_link:
                    on_link(problem.why or problem.what)
            if now - lost_at > give_up_s:
                why = f"out of reach for {give_up_s:.0f} s: {problem.why or problem.what}"
                remedy = "run the same command again when the device is back; the job goes on and will be attached to"
                raise ConnectError(f"lost the device while job {job} was running", why, remedy) from None
            pause(BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
            tries += 1


class _Position:
    """Where we are in the job's event log; drops what was seen already."""

    def __init__(self, offset: int, on_event: OnJobEvent | None) -> None:
        self.offset = offset
        self._on_event = on_event
        self._lock = threading.Lock()

    def take(self, name: str, data: dict[str, Any]) -> None:
        if name != "job":
            return
        # Two sessions' threads may overlap for a moment around a lost link.
        with self._lock:
            offset = int(data.get("offset", self.offset + 1))
            if offset <= self.offset:
                return
            self.offset = offset
            if self._on_event:
                self._on_event(data)
