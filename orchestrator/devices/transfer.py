"""Blobs to a device and files from it: only what is missing, hashed on arrival, never half there."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from orchestrator.devices.link import Link, Progress
from orchestrator.devices.session import Session
from orchestrator.errors import TransferError

INLINE_BYTES = 100 * 1024
"""Blobs up to this size ride in the request itself."""


def push_missing(
    link: Link, session: Session, blobs: Mapping[str, Path], progress: Progress | None = None
) -> dict[str, int]:
    """Push those of `blobs` (SHA-256 to file) that the device lacks; one question for all of them.

    Args:
        progress: called with the bytes pushed and the bytes to push, over all missing blobs.

    Returns:
        bytes pushed per digest that was missing.

    Raises:
        TransferError: a file of this machine that cannot be read; a blob that arrived wrong.
        RefusedError: no room on the device. ConnectError: link lost.
    """
    if not blobs:
        return {}
    missing = session.call("blob_missing", {"digests": sorted(blobs)}).data["missing"]
    sizes = {digest: _size(blobs[digest]) for digest in missing}
    total = sum(sizes.values())
    done = 0

    def report(bytes_of_this: int, _: int) -> None:
        if progress:
            progress(done + bytes_of_this, total)

    small = [digest for digest in missing if sizes[digest] <= INLINE_BYTES]
    large = [digest for digest in missing if sizes[digest] > INLINE_BYTES]
    # The device is asked for room and paths of all large blobs while it takes the small ones.
    prepared = [session.submit("blob_prepare", {"digest": key, "size_bytes": sizes[key]}) for key in large]
    written = []
    for digest in small:
        content = base64.b64encode(_content(blobs[digest])).decode()
        written.append((digest, session.submit("blob_write", {"digest": digest, "content": content})))
    for digest, future in written:
        session.wait(future, "blob_write")
        report(sizes[digest], 0)
        done += sizes[digest]
    for digest, future in zip(large, prepared, strict=True):
        target = session.wait(future, "blob_prepare").data["path"]
        _upload(link, session, digest, blobs[digest], target, report)
        done += sizes[digest]
    return sizes


def _upload(link: Link, session: Session, digest: str, source: Path, target: str, report: Progress) -> None:
    try:
        link.put(source, target, report)
    except OSError as problem:
        raise _unreadable(source, problem) from None
    # Hashing a gigabyte takes a Nano tens of seconds, hence no deadline beyond the usual one.
    session.call("blob_commit", {"digest": digest})


def fetch(link: Link, remote: str, local: Path, sha256: str | None, progress: Progress | None = None) -> int:
    """Bring a file of the device here, through a temporary file beside `local` and a rename.

    Args:
        remote: absolute path on the device.
        sha256: expected digest; None takes what comes.

    Returns:
        its size in bytes.

    Raises:
        TransferError: it cannot be read or written, or arrived wrong (`local` is left as it was).
        ConnectError: link lost.
    """
    temporary = None
    try:
        local.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=local.parent, prefix=f".{local.name}.")
        os.close(handle)
        temporary = Path(name)
        arrived = link.get(remote, temporary, progress)
        if sha256 and arrived != sha256:
            why = f"its SHA-256 is {arrived[:12]}…, expected {sha256[:12]}…"
            raise TransferError(f"{remote} arrived wrong", why, "try again; if it stays, check the device's disk")
        size = temporary.stat().st_size
        # mkstemp makes files that only their owner may read; artifacts are for everyone.
        temporary.chmod(0o644)
        temporary.replace(local)
        return size
    except OSError as problem:
        raise TransferError(f"cannot write {local}", problem.strerror or str(problem)) from None
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as problem:
        raise _unreadable(path, problem) from None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise _unreadable(path, problem) from None


def _unreadable(path: Path, problem: OSError) -> TransferError:
    return TransferError(f"cannot read {path}", problem.strerror or str(problem))
