"""SHA-256 of files, remembered as long as the file is plainly the same, so that gigabytes are read once."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

from orchestrator.store.atomic import write_bytes

_CHUNK = 1 << 20
# A file may be changed again within one tick of its file system's clock without any sign of it. Whole seconds mean a
# coarse clock (FAT, some network shares).
_FINE_TICK_NS = 100_000_000
_COARSE_TICK_NS = 2_000_000_000


def digest_bytes(content: bytes) -> str:
    """SHA-256 of bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def read_digest(path: str | Path) -> str:
    """SHA-256 of a file's content, in hex, by reading all of it. Raises OSError."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def digest_file(path: str | Path, cache: DigestCache | None = None) -> str:
    """SHA-256 of a file's content, in hex; read only where `cache` does not know it. Raises OSError."""
    return cache.digest(path) if cache else read_digest(path)


class DigestCache:
    """Digests of files by path, size, times and inode, kept in one small file per path under `directory`."""

    def __init__(self, directory: str | Path) -> None:
        self._directory = Path(directory)

    def digest(self, path: str | Path) -> str:
        """SHA-256 of the file's content, in hex.

        Raises:
            OSError: the file is missing or cannot be read.
        """
        path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links and read the disk
        identity = _identity(path.stat())
        entry = self._directory / f"{digest_bytes(os.fsencode(path))[:32]}.json"
        known = _load(entry)
        if known.get("identity") == identity and isinstance(known.get("sha256"), str):
            return known["sha256"]
        sha256 = read_digest(path)
        status = path.stat()
        if _identity(status) == identity and _settled(status):
            record = {"path": str(path), "identity": identity, "sha256": sha256}
            try:
                write_bytes(entry, json.dumps(record).encode())
            except OSError:
                pass  # a cache that cannot be written costs time, not correctness
        return sha256


def _identity(status: os.stat_result) -> list[int]:
    # ctime sees what mtime does not: content replaced with the old modification time put back (cp -p, rsync -t).
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _settled(status: os.stat_result) -> bool:
    newest = max(status.st_mtime_ns, status.st_ctime_ns)
    tick = _FINE_TICK_NS if newest % 1_000_000_000 else _COARSE_TICK_NS
    return time.time_ns() - newest > tick


def _load(path: Path) -> dict:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
