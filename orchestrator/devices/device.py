"""One device of the inventory, as everything above this room knows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.devices import following, transfer
from orchestrator.devices.archive import Archive, agent_archive
from orchestrator.devices.keepalive import INTERVAL_S
from orchestrator.devices.knownhosts import KnownHosts
from orchestrator.devices.launch import interpreter
from orchestrator.devices.link import Link, Progress
from orchestrator.devices.login import reveal
from orchestrator.devices.session import ClosedError, OnEvent, Reply, Session
from orchestrator.errors import ConnectError, FleetError, UnreachableError

if TYPE_CHECKING:
    from orchestrator.inventory.settings import HostSettings

REBOOT_TIMEOUT_S = 600.0
RETRY_S = 3.0


class Device:
    """A device and its one session. Safe to use from many threads; errors name the device.

    A call on a device whose session was lost opens a new one: what failed with the link is for the caller to
    repeat, what comes after it need not care.

    Args:
        name: inventory name.
        settings: how to reach it.
        known_hosts: trusted host keys; Fleet's own file by default.
        archive: the agent to run there; the one that came with this Fleet by default.
        open_link: makes the link instead of `links.open_link`.
        keepalive_s: seconds between keepalives.

    Attributes:
        bytes_pushed: bytes of blobs pushed since this object was made.
        agent_pushed: whether the agent had to be brought to the device.
    """

    def __init__(
        self,
        name: str,
        settings: HostSettings,
        *,
        known_hosts: KnownHosts | None = None,
        archive: Archive | None = None,
        open_link: Callable[[], Link] | None = None,
        keepalive_s: float = INTERVAL_S,
    ) -> None:
        self.name = name
        self.settings = settings
        self.bytes_pushed = 0
        self.agent_pushed = False
        self._known_hosts = known_hosts or KnownHosts()
        self._archive = archive
        self._open_link = open_link
        self._keepalive_s = keepalive_s
        self._lock = threading.RLock()
        self._link: Link | None = None
        self._session: Session | None = None
        self._elevation: Future[Reply] | None = None
        self._boot_id: str | None = None
        self._closing = threading.Event()

    def connect(self) -> Session:
        """The device's session, opened if there is none that lives.

        Raises:
            UnreachableError: by subclass, why there is no connection.
            ActionError: the agent cannot run there.
        """
        with self._lock:
            if self._closing.is_set():
                raise ClosedError("the device was closed", device=self.name)
            # The link may be known as lost a moment before the session's reader finds out.
            if self._session is not None and self._session.alive and self._link and not self._link.lost():
                return self._session
            self._drop()
            try:
                self._link = self._open_link() if self._open_link else self._default_link()
                python, root = interpreter(self.settings.python_interpreter), self.settings.root or "auto"
                archive = self._archive or agent_archive()
                self._session = Session.open(self._link, archive, python=python, root=root)
            except FleetError as error:
                self._drop()
                raise error.on(self.name) from None
            self.agent_pushed = self.agent_pushed or self._session.pushed
            return self._session

    def _default_link(self) -> Link:
        from orchestrator.devices.links import open_link

        return open_link(self.name, self.settings, self._known_hosts, keepalive_s=self._keepalive_s)

    @property
    def greeting(self) -> dict[str, Any]:
        """The agent's greeting: python, uid, root, agent, ..."""
        return self.connect().greeting

    @property
    def root(self) -> str:
        """fleet_root in use on the device."""
        return str(self.greeting["root"])

    def facts(self, quick: bool = False) -> dict[str, Any]:
        """The raw facts of docs/architecture.md. Raises as `call`."""
        facts = self.call("facts", {"quick": quick}).data
        self._boot_id = facts.get("boot_id") or self._boot_id
        return facts

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
        """Run an action on the device and wait for it.

        Args:
            check: predict, change nothing.
            become: run it as root; at the first time the agent is elevated with `ansible_become_password`.
            timeout_s: deadline, 600 s by default.
            on_event: called with the name and data of each event, from the session's thread.

        Raises:
            ActionError: refused or failed, or not answered in time. ProtocolError: garbage on the stream.
            UnreachableError: no connection, or lost while the action ran (it may have had its effect).
        """
        try:
            session = self.connect()
            future = self._submit(session, action, args, check, become, on_event)
            return session.wait(future, action, timeout_s)
        except FleetError as error:
            raise error.on(self.name) from None

    def submit(
        self,
        action: str,
        args: Mapping[str, Any] | None = None,
        *,
        check: bool = False,
        become: bool = False,
        on_event: OnEvent | None = None,
    ) -> Future[Reply]:
        """As `call`, without waiting: the future's result is the Reply, its exceptions are those of `call`.

        The device answers in the order of sending. Raises UnreachableError where there is no connection.
        """
        named: Future[Reply] = Future()
        try:
            future = self._submit(self.connect(), action, args, check, become, on_event)
        except FleetError as error:
            raise error.on(self.name) from None
        future.add_done_callback(lambda done: _pass_on(done, named, self.name))
        return named

    def _submit(
        self,
        session: Session,
        action: str,
        args: Mapping[str, Any] | None,
        check: bool,
        become: bool,
        on_event: OnEvent | None,
    ) -> Future[Reply]:
        elevation = self._elevate(session) if become and session.greeting.get("uid") != 0 else None
        future = session.submit(action, args, check=check, become=become, on_event=on_event)
        if elevation is None:
            return future
        # Sent without waiting for the elevation: if that fails, its error says more than the action's.
        result: Future[Reply] = Future()

        def finish(done: Future[Reply]) -> None:
            failed = elevation.exception() if elevation.done() else None
            _pass_on(done, result, self.name, failed)

        future.add_done_callback(finish)
        return result

    def _elevate(self, session: Session) -> Future[Reply]:
        with self._lock:
            failed = self._elevation is not None and self._elevation.done() and self._elevation.exception() is not None
            if self._elevation is None or failed:
                password = reveal(self.settings.become_password)
                self._elevation = session.submit("elevate", {"password": password})
            return self._elevation

    def push_blob(self, path: Path, digest: str, progress: Progress | None = None) -> int:
        """Push a file as the blob of its SHA-256 unless the device has it; bytes pushed. Raises as `push_missing`."""
        return self.push_missing({digest: path}, progress).get(digest, 0)

    def push_missing(self, blobs: Mapping[str, Path], progress: Progress | None = None) -> dict[str, int]:
        """Push those of `blobs` (SHA-256 to file) that the device lacks.

        Returns:
            bytes pushed per digest that was missing; empty where the device had them all.

        Raises:
            TransferError: cannot be read here, or arrived wrong. ActionError: no room. UnreachableError: link lost.
        """
        try:
            session = self.connect()
            assert self._link is not None
            pushed = transfer.push_missing(self._link, session, blobs, progress)
        except FleetError as error:
            raise error.on(self.name) from None
        self.bytes_pushed += sum(pushed.values())
        return pushed

    def fetch(self, remote: str, local: Path, sha256: str | None = None, progress: Progress | None = None) -> int:
        """Bring a file of the device here; its size in bytes.

        Raises:
            TransferError: unreadable, unwritable, or not of this SHA-256 (`local` stays as it was).
            UnreachableError: link lost.
        """
        try:
            self.connect()
            assert self._link is not None
            return transfer.fetch(self._link, remote, local, sha256, progress)
        except FleetError as error:
            raise error.on(self.name) from None

    def start_job(self, job: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Start a job, or attach to the one of this id that is alive or done; the data of `job_start`.

        Where the link is lost before the answer is there the device is asked again: a job is never doubled.
        """
        request = {"id": job, "kind": kind, "spec": dict(spec)}
        try:
            return self.call("job_start", request).data
        except following.FINAL:
            raise
        except ConnectError:
            return self.call("job_start", request).data

    def follow_job(
        self,
        job: str,
        on_event: following.OnJobEvent | None = None,
        *,
        offset: int = 0,
        give_up_s: float = following.GIVE_UP_S,
        on_link: Callable[[str], None] | None = None,
    ) -> dict[str, Any]:
        """Wait for a job to end, through lost links; see `following.follow_job`."""
        try:
            return following.follow_job(
                self.connect,
                job,
                on_event,
                offset=offset,
                give_up_s=give_up_s,
                on_link=on_link,
                pause=self._closing.wait,
            )
        except FleetError as error:
            raise error.on(self.name) from None

    def reconnect(self, *, rebooted: bool = False, timeout_s: float = REBOOT_TIMEOUT_S) -> dict[str, Any]:
        """Leave the session and wait for the device to be back; its quick facts.

        Args:
            rebooted: a reboot was asked for: wait until the boot id is another than that of the last `facts`.
            timeout_s: how long that may take.

        Raises:
            ConnectError: not back in time, or not rebooted in time. AuthenticationError, *HostKeyError: at once.
        """
        before = self._boot_id or (self._boot_id_now() if rebooted else None)
        deadline = time.monotonic() + timeout_s
        problem = "it is still up and was not rebooted"
        while True:
            with self._lock:
                self._drop()
            try:
                facts = self.facts(quick=True)
                if not rebooted or before is None or facts.get("boot_id") != before:
                    return facts
                problem = "it is still up and was not rebooted"
            except following.FINAL:
                raise
            except UnreachableError as error:
                problem = error.why or error.what
            if time.monotonic() + RETRY_S > deadline:
                raise ConnectError(
                    f"not back within {timeout_s:.0f} s", problem, "look at the device's console", device=self.name
                )
            self._closing.wait(RETRY_S)

    def _boot_id_now(self) -> str | None:
        """The boot id where the session still lives, without opening another: that might be of the next boot."""
        session = self._session
        try:
            return session.call("facts", {"quick": True}, timeout_s=30).data.get("boot_id") if session else None
        except FleetError:
            return None

    def _drop(self) -> None:
        session, link = self._session, self._link
        self._session = self._link = self._elevation = None
        if session is not None:
            # Who follows a job shall go on with the next session, unless there will be none.
            session.close(for_good=self._closing.is_set())
        if link is not None:
            link.close()

    def close(self) -> None:
        """End the session and the connection for good; jobs on the device go on."""
        self._closing.set()
        # Not under the lock: a thread that is connecting may hold it for long.
        self._drop()


def _pass_on(done: Future[Reply], to: Future[Reply], device: str, instead: BaseException | None = None) -> None:
    """Hand a finished future's outcome on, with the device's name on its error."""
    problem = done.exception()
    if problem is None:
        to.set_result(done.result())
        return
    problem = instead or problem
    to.set_exception(problem.on(device) if isinstance(problem, FleetError) else problem)
