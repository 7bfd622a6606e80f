"""The shape of a link to a device, whether it is SSH or a process of this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all), from the thread that transfers."""


class Process(Protocol):
    """A running command on the device, its three streams apart."""

    def write(self, data: bytes) -> None:
        """Send all of `data` to its input. Raises OSError or EOFError when the link or the process is gone."""

    def read(self) -> bytes:
        """The next bytes of its output, b"" at the end. Raises TimeoutError after about a second without any."""

    def read_error(self) -> bytes:
        """As `read`, of its standard error."""

    def exit_status(self) -> int | None:
        """Its exit status where it ended in the last moments, else None."""

    def close(self) -> None:
        """Close its input and let go of it; harmless when closed already."""


class Link(Protocol):
    """A connection to one device, already open."""

    address: str
    """For messages: `user@host:port`, or `this machine`."""

    def start(self, command: str) -> Process:
        """Run a shell command line without a terminal. Raises ConnectError."""

    def put(self, source: Path, target: str, progress: Progress | None = None) -> int:
        """Copy a file to the device, overwriting; the size in bytes. Raises TransferError, ConnectError."""

    def get(self, source: str, target: Path, progress: Progress | None = None) -> str:
        """Copy a file from the device; the SHA-256 of what arrived. Raises TransferError, ConnectError."""

    def lost(self) -> str:
        """Why the link is known to be dead, or an empty string while it may be alive."""

    def close(self) -> None:
        """Close it; harmless when closed already."""


class HashingFile:
    """A file being written that knows the SHA-256 of what went through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
