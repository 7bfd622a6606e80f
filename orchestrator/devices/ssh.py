"""The link to a device over SSH: commands on exec channels, files over SFTP."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path
from typing import Any

import paramiko

from orchestrator.devices.connection import CHANNEL_TIMEOUT_S, Connection
from orchestrator.devices.link import HashingFile, Progress
from orchestrator.errors import ConnectError, TransferError

POLL_S = 1.0
STALL_S = 60.0  # a transfer without a byte for so long has stalled; a dead peer is noticed before
CHUNK_BYTES = 32768


class SshProcess:
    """A command on an exec channel (see `link.Process`)."""

    def __init__(self, link: SshLink, channel: paramiko.Channel) -> None:
        self._link = link
        self._channel = channel
        channel.settimeout(POLL_S)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        stalled_since = time.monotonic()
        while view:
            try:
                sent = self._channel.send(bytes(view[:CHUNK_BYTES]))
            except TimeoutError:
                # The agent does not read while it works; only a lost link or a very long wait is an error.
                if why := self._link.lost():
                    raise EOFError(why) from None
                if time.monotonic() - stalled_since > STALL_S:
                    raise EOFError(f"the device took no input for {STALL_S:.0f} s") from None
                continue
            if sent == 0:
                raise EOFError("the channel was closed")
            view = view[sent:]
            stalled_since = time.monotonic()

    def read(self) -> bytes:
        return self._channel.recv(1 << 18)

    def read_error(self) -> bytes:
        return self._channel.recv_stderr(1 << 16)

    def exit_status(self) -> int | None:
        if not self._channel.status_event.wait(0.5) or self._channel.exit_status == -1:
            return None
        return self._channel.exit_status

    def close(self) -> None:
        self._channel.close()


class SshLink:
    """An open connection as a `link.Link`."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.address = f"{connection.user}@{connection.host}:{connection.port}"
        self._sftp: paramiko.SFTPClient | None = None
        self._sftp_lock = threading.Lock()

    def start(self, command: str) -> SshProcess:
        try:
            channel = self.connection.transport.open_session(timeout=CHANNEL_TIMEOUT_S)
            channel.settimeout(CHANNEL_TIMEOUT_S)
            channel.exec_command(command)
        except (paramiko.SSHException, OSError, EOFError, AttributeError) as problem:
            why = self.lost() or str(problem) or "the connection was closed"
            raise ConnectError(f"cannot run a command on {self.address}", why) from None
        return SshProcess(self, channel)

    def put(self, source: Path, target: str, progress: Progress | None = None) -> int:
        size = source.stat().st_size
        with self._sftp_lock, self._explained(f"cannot write {target} on the device"):
            done = 0
            with source.open("rb") as reading, self._client().file(target, "wb") as writing:
                writing.set_pipelined(True)
                while chunk := reading.read(CHUNK_BYTES):
                    done += len(chunk)
                    if done >= size:
                        # The last write waits for the answers to all: a full disk would go unnoticed otherwise.
                        writing.set_pipelined(False)
                    writing.write(chunk)
                    if progress:
                        progress(done, size)
        return done

    def get(self, source: str, target: Path, progress: Progress | None = None) -> str:
        with self._sftp_lock, self._explained(f"cannot read {source} on the device"), target.open("wb") as file:
            hashing: Any = HashingFile(file)
            self._client().getfo(source, hashing, callback=progress)
            return str(hashing.hexdigest())

    def _client(self) -> paramiko.SFTPClient:
        if self._sftp is None:
            channel = self.connection.transport.open_session(timeout=CHANNEL_TIMEOUT_S)
            channel.settimeout(STALL_S)
            try:
                channel.invoke_subsystem("sftp")
            except paramiko.SSHException:
                if self.lost():
                    raise
                remedy = "enable its sftp subsystem (openssh-sftp-server)"
                raise TransferError("the device's SSH server has no SFTP", "", remedy) from None
            self._sftp = paramiko.SFTPClient(channel)
        return self._sftp

    def _explained(self, what: str) -> _Explained:
        return _Explained(self, what)

    def lost(self) -> str:
        return self.connection.keepalive.lost() if self.connection.keepalive else "the connection was closed"

    def drop_sftp(self) -> None:
        sftp, self._sftp = self._sftp, None
        if sftp:
            sftp.close()

    def close(self) -> None:
        self.connection.close()


class _Explained:
    """Turns what SFTP raises into a TransferError, or a ConnectError where the link is gone."""

    def __init__(self, link: SshLink, what: str) -> None:
        self._link = link
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, problem: Any, trace: Any) -> None:
        if not isinstance(problem, (paramiko.SSHException, OSError, EOFError, AttributeError)):
            return
        if isinstance(problem, OSError) and problem.filename:
            return  # a file of this machine: the caller says which
        answered = isinstance(problem, OSError) and not isinstance(problem, (TimeoutError, ConnectionError))
        if not answered:
            self._link.drop_sftp()
            # A link that breaks in the middle of a transfer is known as broken a moment later.
            deadline = time.monotonic() + 2
            while not self._link.lost() and time.monotonic() < deadline:
                time.sleep(0.05)
        if why := self._link.lost():
            raise ConnectError(self._what, why) from None
        if isinstance(problem, TimeoutError):
            raise ConnectError(self._what, f"no byte for {STALL_S:.0f} s") from None
        if isinstance(problem, EOFError):
            raise TransferError(self._what, "the device's SSH server closed the SFTP channel", "try again") from None
        remedy = "check the free space on the device" if problem.args[:1] == ("Failure",) else ""
        if isinstance(problem, OSError) and problem.errno in (errno.EACCES, errno.ENOENT):
            raise TransferError(self._what, problem.strerror or str(problem)) from None
        raise TransferError(self._what, str(problem) or type(problem).__name__, remedy) from None
