"""The agent as one archive, the same bytes from the same files, made in memory."""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import zlib
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "device_agent"
BOOTSTRAP = Path(__file__).with_name("bootstrap.py")


@dataclass(frozen=True)
class Archive:
    """The agent's files by their path inside the package, and the digest over names and contents."""

    files: dict[str, bytes]
    digest: str

    def zipped(self) -> bytes:
        """A zip of the files under `device_agent/`."""
        import zipfile  # only where a device lacks the agent

        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files.items():
                # A fixed date: the default, 1980, has none of the controller's clock in it.
                archive.writestr(zipfile.ZipInfo(f"{PACKAGE}/{name}"), content, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()


def digest_of(files: dict[str, bytes]) -> str:
    """SHA-256 (first 32 digits) over names and contents in the order of names; bootstrap.py computes the same."""
    total = hashlib.sha256()
    for name in sorted(files):
        total.update(f"{name}\0{len(files[name])}\0".encode())
        total.update(files[name])
    return total.hexdigest()[:32]


@functools.lru_cache(maxsize=4)
def agent_archive(folder: Path | None = None) -> Archive:
    """The agent that came with this Fleet. Read once per process.

    Args:
        folder: the package's folder; by default `device_agent` beside `orchestrator`.
    """
    folder = folder or Path(__file__).resolve().parents[2] / PACKAGE
    files = {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    }
    if "__main__.py" not in files:
        raise FileNotFoundError(f"no agent in {folder}")
    return Archive(files, digest_of(files))


@functools.lru_cache(maxsize=1)
def bootstrap_token() -> str:
    """bootstrap.py as one word that needs no quotes in any shell."""
    return base64.b64encode(zlib.compress(BOOTSTRAP.read_bytes(), 9)).decode()
