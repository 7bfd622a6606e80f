"""The store: files named by the SHA-256 of their content, beside small JSON records named by what they are."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from orchestrator.errors import FleetError
from orchestrator.store.atomic import replacing, write_bytes
from orchestrator.store.digests import DigestCache, digest_bytes, read_digest

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
_CHUNK = 1 << 20


class Store:
    """Blobs and records under one folder; safe for many threads and processes at once, since nothing changes in place.

    Layout: `blobs/<two hex>/<sha256>`, `records/<name>.json`, `digests/` (see DigestCache), `scratch/`.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.digests = DigestCache(self.directory / "digests")

    def path(self, digest: str) -> Path:
        """Where the blob lies, or would lie. Raises ValueError for what is no SHA-256 in hex."""
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"not a SHA-256 in hex: {digest!r}")
        return self.directory / "blobs" / digest[:2] / digest

    def has(self, digest: str) -> bool:
        """Whether the blob is here. Blobs appear whole, so presence is enough; `verify` reads the content."""
        return self.path(digest).is_file()

    def size_bytes(self, digest: str) -> int:
        """Size of a blob that is here. Raises FleetError where it is not."""
        try:
            return self.path(digest).stat().st_size
        except OSError:
            raise _absent(digest) from None

    def add_bytes(self, content: bytes) -> str:
        """Keep `content`; returns its SHA-256. Raises OSError (no room, no right to write)."""
        digest = digest_bytes(content)
        if not self.has(digest):
            with replacing(self.path(digest), scratch=self._scratch) as file:
                file.write(content)
        return digest

    def add_file(self, path: str | Path) -> str:
        """Keep a copy of a file; returns its SHA-256. Raises OSError (unreadable, no room)."""
        path = Path(path)
        digest = self.digests.digest(path)
        if self.has(digest):
            return digest
        copied = hashlib.sha256()
        # Named by what was copied, not by what was hashed before: the file may have changed in between.
        final = lambda: self.path(copied.hexdigest())  # noqa: E731
        with path.open("rb") as source, replacing(final, scratch=self._scratch) as target:
            while chunk := source.read(_CHUNK):
                copied.update(chunk)
                target.write(chunk)
        return copied.hexdigest()

    def read(self, digest: str, *, verify: bool = False) -> bytes:
        """A blob's content.

        Args:
            verify: hash what was read; a damaged blob is removed, so that it is made again.

        Raises:
            FleetError: not here, or damaged.
        """
        try:
            content = self.path(digest).read_bytes()
        except OSError:
            raise _absent(digest) from None
        if verify and digest_bytes(content) != digest:
            raise self._damaged(digest)
        return content

    def verify(self, digest: str) -> None:
        """Read a blob and hash it. Raises FleetError: not here, or damaged (and then removed)."""
        try:
            actual = read_digest(self.path(digest))
        except OSError:
            raise _absent(digest) from None
        if actual != digest:
            raise self._damaged(digest)

    def get(self, name: str) -> Any:
        """The record `name`, or None where there is none (or an unreadable one: records can always be made again)."""
        try:
            return json.loads(self._record(name).read_bytes())
        except (OSError, ValueError):
            return None

    def put(self, name: str, record: Any) -> None:
        """Keep a JSON record under a name of letters, digits, `._-` and `/`; replaces the former one in one step."""
        content = json.dumps(record, indent=1, sort_keys=True).encode()
        write_bytes(self._record(name), content)

    @property
    def _scratch(self) -> Path:
        return self.directory / "scratch"

    def _record(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a record's name: {name!r}")
        return self.directory / "records" / f"{name}.json"

    def _damaged(self, digest: str) -> FleetError:
        self.path(digest).unlink(missing_ok=True)
        return FleetError(
            f"blob {digest[:12]} of the store was damaged",
            f"its content no longer has the SHA-256 that it was stored under; removed from {self.directory}",
            "run the same command again: what is missing is made anew",
        )


def _absent(digest: str) -> FleetError:
    return FleetError(f"blob {digest[:12]} is not in the store", "", "run the same command again: it is made anew")
