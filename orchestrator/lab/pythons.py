"""Finds the Python that a virtual device shall have as /usr/bin/python3."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Python:
    """An interpreter of this machine, and why it was chosen."""

    executable: str
    """Real path, symlinks resolved."""
    prefix: str
    version: str
    asked: str
    """The version that the device's JetPack has, like `3.6`; differs from `version` where it is not installed."""
    site: tuple[str, ...] = ()
    """Its folders of installed packages."""

    @property
    def exact(self) -> bool:
        return self.version == self.asked or self.version.startswith(self.asked + ".")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def find_python(asked: str, explicit: str | None = None) -> Python:
    """The best interpreter for a device whose system Python is `asked` ("3.6").

    Order: `explicit` (a path), pyenv's versions, /usr/bin and /usr/local/bin, PATH, then the controller's own.
    """
    for candidate in _candidates(asked, explicit):
        found = _probe(candidate, asked)
        if found and (found.exact or explicit == candidate):
            return found
    own = Path(os.path.realpath(sys.executable))
    found = _probe(str(own), asked)
    return found or Python(str(own), sys.base_prefix, ".".join(map(str, sys.version_info[:3])), asked)


def _candidates(asked: str, explicit: str | None) -> Iterator[str]:
    if explicit:
        yield explicit
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    folders = [f for f in pyenv.glob(f"{asked}*") if f.name == asked or f.name.startswith(asked + ".")]
    for folder in sorted(
        folders, key=lambda f: [int(n) if n.isdigit() else 0 for n in f.name.split(".")], reverse=True
    ):
        yield str(folder / "bin" / "python3")
    for place in ("/usr/bin", "/usr/local/bin"):
        yield f"{place}/python{asked}"
    on_path = shutil.which(f"python{asked}")
    if on_path:
        yield on_path


def _probe(executable: str, asked: str) -> Python | None:
    """Asks the interpreter itself: a pyenv shim or a broken install does not answer."""
    if not os.access(executable, os.X_OK):
        return None
    code = (
        "import json,os,site,sys;"
        "print(json.dumps([os.path.realpath(sys.executable),getattr(sys,'base_prefix',sys.prefix),"
        "sys.version.split()[0],site.getsitepackages()]))"
    )
    try:
        answer = subprocess.run([executable, "-I", "-S", "-c", code], capture_output=True, timeout=10, check=True)
        real, prefix, version, site = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Python(real, prefix, version, asked, tuple(site))
