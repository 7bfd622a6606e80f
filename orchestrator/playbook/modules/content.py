"""What a task brings to the device: files of the controller, inside the request where they are small, else as blobs."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from pathlib import Path
from typing import Any

from orchestrator.devices.transfer import INLINE_BYTES
from orchestrator.errors import PlaybookError
from orchestrator.language.search import candidates, find, read_text
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument
from orchestrator.store.digests import read_digest

ATTRIBUTES: dict[str, Any] = {
    "mode": Argument("any", "permissions: '0644', or symbols such as u=rw,g=r,o=r"),
    "owner": Argument("str", "name or number of the user who owns it"),
    "group": Argument("str", "name or number of the group that owns it"),
}
_VAULT = b"$ANSIBLE_VAULT;"
CHECK_BYTES = 1024 * 1024
"""Content up to this size rides in the request in check mode, where no blob may be left on the device."""
LOOP_BYTES = 16 * 1024
"""As much for each turn of a loop: all turns share one request."""


def in_loop(task: TaskContext) -> bool:
    """Whether this is one turn of a loop."""
    return bool(getattr(task.task, "loop", None))


def source_file(task: TaskContext, name: str, folder: str) -> Path:
    """A file or folder of the controller that a task names.

    Args:
        folder: subfolder of its kind: files, templates.

    Raises:
        PlaybookError: there is none, with the places that were looked at.
    """
    path = find(name, folder, task.variables)
    if path is None:
        places = ", ".join(map(str, candidates(name, folder, task.variables)))
        raise PlaybookError(f"there is no {name}", f"looked for {places}", location=task.task.location)
    if not path.is_dir():
        try:
            path.open("rb").close()
        except OSError as problem:
            raise PlaybookError(f"cannot read {path}", problem.strerror or "", location=task.task.location) from None
    return path


def digest_of(path: Path, algorithm: str) -> str:
    """Hex digest of a file of the controller."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def source_content(path: Path, decrypt: bool) -> bytes | Path:
    """A file's content, or the file itself; what a vault holds is decrypted."""
    with path.open("rb") as stream:
        is_vault = stream.read(len(_VAULT)) == _VAULT
    return read_text(path).encode("utf-8", "surrogateescape") if decrypt and is_vault else path


def sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def payload(task: TaskContext, content: bytes | Path) -> dict[str, Any]:
    """The arguments that bring content to an action: `content_base64` or `blob`.

    What is larger than 100 KiB is pushed as a blob first, if the device lacks it. In check mode, where nothing may be
    left on the device, what is larger than 1 MiB does not travel: the result is empty.

    Raises:
        TransferError, ActionError, UnreachableError: the push failed.
    """
    size = content.stat().st_size if isinstance(content, Path) else len(content)
    limit = LOOP_BYTES if in_loop(task) else CHECK_BYTES if task.check else INLINE_BYTES
    if size <= limit:
        raw = content.read_bytes() if isinstance(content, Path) else content
        return {"content_base64": base64.b64encode(raw).decode()}
    if task.check:
        return {}
    if isinstance(content, Path):
        return {"blob": push(task, content)}
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        file = Path(folder) / "content"
        file.write_bytes(content)
        return {"blob": push(task, file)}


def push(task: TaskContext, file: Path) -> str:
    """Push a file as a blob unless the device has it; its SHA-256."""
    digest = read_digest(file)
    task.device.push_missing({digest: file})
    return digest
