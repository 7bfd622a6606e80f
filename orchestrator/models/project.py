"""Which files of the user's project an export depends on: modules that were imported, and data that they opened."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

_INSTALLED = tuple(
    {
        str(Path(folder).resolve()) + "/"
        for key, folder in [
            *((k, v) for k, v in sysconfig.get_paths().items() if k in ("stdlib", "platstdlib", "purelib", "platlib")),
            *(("site", folder) for folder in site.getsitepackages()),
            ("user", site.getusersitepackages()),
        ]
    }
)
_FLEET = str(Path(__file__).resolve().parents[1]) + "/"


@functools.cache
def is_project_file(name: str) -> bool:
    """Whether a source file is the user's: no part of Python, of an installed package or of Fleet."""
    if name.startswith("<") or not name.endswith(".py"):
        return False
    return not str(Path(name).resolve()).startswith((*_INSTALLED, _FLEET))


class Recorder:
    """Makes the user's modules importable for the time of a `with` block, and knows afterwards what was used.

    Args:
        folders: where modules are imported from, and below which data files count.
        apart: files that are accounted for elsewhere (checkpoint, samples).
    """

    def __init__(self, folders: Iterable[Path], apart: Iterable[Path]) -> None:
        self._folders = [Path(os.path.abspath(folder)) for folder in folders]  # noqa: PTH100 - keeps links
        self._apart = {os.path.realpath(path) for path in apart}
        self._opened: set[str] = set()
        self._before: dict[str, ModuleType] = {}
        self._path: list[str] = []

    def __enter__(self) -> Recorder:
        self._before, self._path = dict(sys.modules), list(sys.path)
        sys.path[:0] = [str(folder) for folder in self._folders]
        _listen(self._opened)
        return self

    def __exit__(self, *exception: object) -> None:
        _listen(None)
        # Another specification may have a module of the same name: each export imports its own afresh.
        for name in [name for name, module in self._new().items() if is_project_file(_file(module))]:
            del sys.modules[name]
        sys.path[:] = self._path

    def files(self) -> list[Path]:
        """Source files that were imported, and other files below the folders that were opened for reading."""
        sources = {os.path.abspath(_file(m)) for m in self._new().values() if is_project_file(_file(m))}  # noqa: PTH100
        return sorted(Path(name) for name in sources | {name for name in self._opened if self._is_data(name)})

    def packages(self) -> dict[str, str]:
        """Distribution -> version of the installed packages that the user's code brought in."""
        tops = {name.partition(".")[0] for name, m in self._new().items() if not is_project_file(_file(m))}
        owners = importlib.metadata.packages_distributions()
        names = {owner for top in tops for owner in owners.get(top, ())}
        return {name: importlib.metadata.version(name) for name in sorted(names)}

    def _new(self) -> dict[str, ModuleType]:
        return {n: m for n, m in sys.modules.items() if self._before.get(n) is not m and isinstance(m, ModuleType)}

    def _is_data(self, name: str) -> bool:
        path = Path(name)
        below = any(path.is_relative_to(folder) for folder in self._folders)
        compiled = path.suffix in (".py", ".pyc")
        installed = os.path.realpath(name).startswith((*_INSTALLED, _FLEET))
        return below and not compiled and not installed and os.path.realpath(name) not in self._apart and path.is_file()


def _file(module: Any) -> str:
    name = getattr(module, "__file__", None)
    return name if isinstance(name, str) else ""


_sink: set[str] | None = None
_hooked = False


def _listen(sink: set[str] | None) -> None:
    global _sink, _hooked
    _sink = sink
    if not _hooked:
        sys.addaudithook(_audit)  # cannot be taken off again, so there is one for all
        _hooked = True


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _sink is not None and isinstance(args[0], (str, bytes)):
        flags = args[2] if len(args) > 2 and isinstance(args[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR) == 0:
            _sink.add(os.path.abspath(os.fsdecode(args[0])))  # noqa: PTH100 - may be called anywhere, so kept simple
