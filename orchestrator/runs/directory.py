"""Where a run keeps what it made: `runs/<id>/`, with `runs/latest` pointing at the newest."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

from orchestrator.errors import ConfigurationError


def new_run(root: Path) -> tuple[str, Path]:
    """Make the folder of a new run and point `latest` at it, by rename.

    Returns:
        the run's id (`20261121-021530-3fa2`: local time and four random digits) and its folder.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    folder = root / name
    try:
        folder.mkdir(parents=True)
        link = root / f".latest-{name}"
        link.symlink_to(name)
        link.replace(root / "latest")
    except OSError as problem:
        why = problem.strerror or str(problem)
        raise ConfigurationError(f"cannot write {folder}", why, "run in a folder of your own, or pass --runs") from None
    return name, folder


def write_atomically(path: Path, text: str) -> None:
    """Replace a file's content so that a reader finds the old or the new one, never half of it."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
