"""Files that appear whole or not at all, even when the power fails in between."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path | Callable[[], Path], *, scratch: Path | None = None) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends without an exception.

    Args:
        path: the final name, or what gives it once the content is written; its folder is made where it is missing.
        scratch: folder of the temporary file, on the same file system (default: beside `path`).

    Raises:
        OSError: no room, no right to write; `path` is then what it was before.
    """
    if scratch is None and not isinstance(path, Path):
        raise ValueError("a name that is known late needs a scratch folder")
    folder = scratch or path.parent  # type: ignore[union-attr]
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".new-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        final = path if isinstance(path, Path) else path()
        final.parent.mkdir(parents=True, exist_ok=True)
        Path(name).replace(final)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(final.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file, seen by others either as it was or as it is now."""
    with replacing(path) as file:
        file.write(content)


def _sync_folder(folder: Path) -> None:
    # The rename itself is only safe once the folder's entry is on the disk. Some file systems refuse to sync a folder.
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
