"""The link to the controller itself, for `ansible_connection: local`: processes and copies instead of SSH."""

from __future__ import annotations

import os
import select
import subprocess
from pathlib import Path
from typing import IO

from orchestrator.devices.link import HashingFile, Progress
from orchestrator.errors import ConnectError, TransferError

POLL_S = 1.0
CHUNK_BYTES = 1 << 20


class LocalProcess:
    """A child process (see `link.Process`)."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    def write(self, data: bytes) -> None:
        assert self._child.stdin
        self._child.stdin.write(data)
        self._child.stdin.flush()

    def read(self) -> bytes:
        assert self._child.stdout
        return _read(self._child.stdout)

    def read_error(self) -> bytes:
        assert self._child.stderr
        return _read(self._child.stderr)

    def exit_status(self) -> int | None:
        try:
            return self._child.wait(0.5)
        except subprocess.TimeoutExpired:
            return None

    def close(self) -> None:
        try:
            if self._child.stdin:
                self._child.stdin.close()
        except OSError:
            pass
        try:
            # The agent leaves at the end of its input.
            self._child.wait(2)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def _read(stream: IO[bytes]) -> bytes:
    ready, _, _ = select.select([stream], [], [], POLL_S)
    if not ready:
        raise TimeoutError
    return os.read(stream.fileno(), 1 << 18)


class LocalLink:
    """This machine as a `link.Link`."""

    address = "this machine"

    def start(self, command: str) -> LocalProcess:
        home = Path.home()
        try:
            child = subprocess.Popen(
                ["/bin/sh", "-c", command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=home if home.is_dir() else "/",
                start_new_session=True,  # Ctrl-C is for the controller, which ends its sessions in order
            )
        except OSError as problem:
            raise ConnectError("cannot start a process on this machine", problem.strerror or str(problem)) from None
        return LocalProcess(child)

    def put(self, source: Path, target: str, progress: Progress | None = None) -> int:
        size = source.stat().st_size
        try:
            with source.open("rb") as reading, open(target, "wb") as writing:  # noqa: PTH123 (a device's path)
                _copy(reading, writing, size, progress)
        except OSError as problem:
            raise TransferError(f"cannot write {target}", problem.strerror or str(problem)) from None
        return size

    def get(self, source: str, target: Path, progress: Progress | None = None) -> str:
        try:
            with open(source, "rb") as reading, target.open("wb") as writing:  # noqa: PTH123 (a device's path)
                hashing = HashingFile(writing)
                _copy(reading, hashing, os.fstat(reading.fileno()).st_size, progress)
                return hashing.hexdigest()
        except OSError as problem:
            raise TransferError(f"cannot read {source}", problem.strerror or str(problem)) from None

    def lost(self) -> str:
        return ""

    def close(self) -> None:
        return


def _copy(reading: IO[bytes], writing: IO[bytes] | HashingFile, size: int, progress: Progress | None) -> None:
    done = 0
    while chunk := reading.read(CHUNK_BYTES):
        writing.write(chunk)
        done += len(chunk)
        if progress:
            progress(done, size)
