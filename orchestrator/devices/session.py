"""A conversation with one running agent: many requests in flight, replies matched by id, events on the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any

from orchestrator.devices.archive import Archive
from orchestrator.devices.launch import Started, launch
from orchestrator.devices.link import Link
from orchestrator.errors import ActionError, ConnectError, FleetError, ProtocolError

CALL_TIMEOUT_S = 600.0
LINE_LIMIT = 64 << 20

OnEvent = Callable[[str, dict[str, Any]], None]
"""Called with an event's name and data, from the session's reading thread: it must be quick and must not call back."""


@dataclass(frozen=True)
class Reply:
    """What an action gave back."""

    changed: bool
    data: dict[str, Any]
    diff: Any = None


class ClosedError(ConnectError):
    """We closed the session ourselves: nobody should open it again."""


class RefusedError(ActionError):
    """What the agent answered instead of a result.

    Attributes:
        kind: refused, failed, busy or unknown.
        data: what the action tells for code.
    """

    kind = "failed"
    data: Mapping[str, Any] = {}


@dataclass
class _Pending:
    action: str
    future: Future[Reply]
    on_event: OnEvent | None


class Session:
    """One agent on one exec channel. Safe to use from many threads.

    Attributes:
        greeting: the agent's: protocol, agent, python, pid, uid, root.
        pushed: whether the agent had to be brought to the device for this session.
    """

    def __init__(self, link: Link, started: Started) -> None:
        self.greeting = started.greeting
        self.pushed = started.pushed
        self._link = link
        self._process = started.process
        self._complaints = started.complaints
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._next_id = 1
        self._end: FleetError | None = None
        for target, name in ((self._listen, "agent"), (self._collect_complaints, "agent stderr")):
            arguments = (started.rest,) if target == self._listen else ()
            threading.Thread(target=target, args=arguments, name=f"{name} {link.address}", daemon=True).start()

    @classmethod
    def open(cls, link: Link, archive: Archive, *, python: str, root: str = "auto") -> Session:
        """Start the agent over `link`. Raises as `launch` does."""
        return cls(link, launch(link, archive, python=python, root=root))

    @property
    def alive(self) -> bool:
        return self._end is None

    def submit(
        self,
        action: str,
        args: Mapping[str, Any] | None = None,
        *,
        check: bool = False,
        become: bool = False,
        on_event: OnEvent | None = None,
    ) -> Future[Reply]:
        """Send a request without waiting; the agent answers in the order of sending.

        The future raises ActionError (refused or failed), ConnectError (link lost), ProtocolError (garbage).
        """
        future: Future[Reply] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._end is not None:
                future.set_exception(_again(self._end))
                return future
            number = self._next_id
            self._next_id += 1
            self._pending[number] = _Pending(action, future, on_event)
        request = {"id": number, "action": action, "args": dict(args or {}), "check": check, "become": become}
        line = json.dumps(request, separators=(",", ":"), default=_plain).encode() + b"\n"
        try:
            with self._writing:
                self._process.write(line)
        except (OSError, EOFError, ValueError) as problem:
            self._finish(self._lost(str(problem)))
        return future

    def call(
        self,
        action: str,
        args: Mapping[str, Any] | None = None,
        *,
        check: bool = False,
        become: bool = False,
        timeout_s: float | None = None,
        on_event: OnEvent | None = None,
    ) -> Reply:
        """Send a request and wait for its reply.

        Args:
            timeout_s: deadline, 600 s by default; the session is closed when it passes, since the agent
                answers in order and would make all later requests wait too.

        Raises:
            ActionError, ConnectError, ProtocolError.
        """
        return self.wait(self.submit(action, args, check=check, become=become, on_event=on_event), action, timeout_s)

    def wait(self, future: Future[Reply], action: str, timeout_s: float | None = None) -> Reply:
        """The result of a submitted request, under the same deadline as `call`."""
        limit_s = CALL_TIMEOUT_S if timeout_s is None else timeout_s
        try:
            return future.result(limit_s)
        except FutureTimeout:
            if future.done():
                raise
            error = ActionError(f"{action}: no answer within {limit_s:g} s", self._complaints.last())
            self._finish(error)
            raise error from None

    def close(self, for_good: bool = True) -> None:
        """End the agent; its jobs go on.

        Requests in flight end with ClosedError, or with ConnectError where the device will be connected to again.
        """
        if for_good:
            self._finish(ClosedError("the session was closed"))
        else:
            self._finish(ConnectError(f"lost the session with {self._link.address}", self._link.lost()))

    def _listen(self, buffer: bytes) -> None:
        parts = [buffer]
        try:
            while self.alive:
                if b"\n" in parts[-1]:
                    *lines, rest = b"".join(parts).split(b"\n")
                    parts = [rest]
                    for line in lines:
                        self._receive(line)
                try:
                    data = self._process.read()
                except TimeoutError:
                    if why := self._link.lost():
                        self._finish(self._lost(why))
                    continue
                if not data:
                    self._finish(self._lost(""))
                    return
                parts.append(data)
                if len(parts) > 1024:
                    parts = [b"".join(parts)]
                    if len(parts[0]) > LINE_LIMIT:
                        raise ProtocolError("the agent sent a line without end", _start_of(parts[0]))
        except FleetError as error:
            self._finish(error)
        except (OSError, EOFError, ValueError) as problem:
            self._finish(self._lost(str(problem)))

    def _receive(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            message = json.loads(line)
            number = message["id"]
            reply = None if "event" in message else _reply(message)
        except (ValueError, KeyError, TypeError):
            raise ProtocolError("the agent sent a line that is no message", _start_of(line)) from None
        with self._lock:
            pending = self._pending.get(number)
            if reply is not None:
                self._pending.pop(number, None)
        if pending is None:
            if isinstance(reply, FleetError):
                raise ProtocolError("the agent did not understand a request", f"{reply.what}: {reply.why}")
            return
        if reply is None:
            if pending.on_event:
                try:
                    pending.on_event(message["event"], message.get("data") or {})
                except Exception as problem:
                    # A listener's mistake belongs to the request that it listens to, not to the whole session.
                    with self._lock:
                        self._pending.pop(number, None)
                    pending.future.set_exception(problem)
        elif isinstance(reply, FleetError):
            pending.future.set_exception(reply)
        else:
            pending.future.set_result(reply)

    def _collect_complaints(self) -> None:
        try:
            while True:
                try:
                    data = self._process.read_error()
                except TimeoutError:
                    if not self.alive:
                        return
                    continue
                if not data:
                    return
                self._complaints.add(data)
        except (OSError, EOFError, ValueError):
            return

    def _lost(self, why: str) -> ConnectError:
        why = self._link.lost() or why
        status = None if why else self._process.exit_status()
        if not why:
            why = "the agent ended" + (f" with exit status {status}" if status else "")
            if said := self._complaints.last():
                why += f"; last it said: {said}"
        remedy = "run the command again: a build that was started goes on, and is taken over"
        return ConnectError(f"lost the session with {self._link.address}", why, remedy)

    def _finish(self, error: FleetError) -> None:
        with self._lock:
            if self._end is not None:
                return
            self._end = error
            pending, self._pending = list(self._pending.values()), {}
        try:
            self._process.close()
        except (OSError, EOFError, ValueError):
            pass
        for request in pending:
            if not request.future.done():
                request.future.set_exception(_again(error))


def _reply(message: dict[str, Any]) -> Reply | RefusedError:
    if message["ok"]:
        return Reply(bool(message.get("changed")), message.get("data") or {}, message.get("diff"))
    error = message["error"]
    refused = RefusedError(error["what"], error.get("why") or "", error.get("remedy") or "")
    refused.kind = error.get("kind") or "failed"
    refused.data = error.get("data") or {}
    return refused


def _again(error: FleetError) -> FleetError:
    """A copy for one more waiting thread: a raised exception carries its thread's own traceback and device."""
    return type(error)(error.what, error.why, error.remedy, device=error.device, log=error.log)


def _plain(value: Any) -> Any:
    """JSON for what is not JSON by itself: paths, and secrets that print `***` (the device needs their text)."""
    return value.reveal() if hasattr(value, "reveal") else str(value)


def _start_of(line: bytes) -> str:
    return line[:200].decode("utf-8", "replace")
