"""Importable stand-ins for Python packages: small, with real names and versions, and the behaviour that is asked for.

A stand-in is a folder of `standins/<distribution>/`, copied with `@VERSION@` and the like filled in; a distribution
without one gets modules that know their version. Beside it lies the metadata that pip writes.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import Any

import device
import launcher

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = os.path.join(HERE, "sources")
TEMPLATES = os.path.join(HERE, "standins")

MODULES = {
    "protobuf": ["google/protobuf"],
    "onnx-simplifier": ["onnxsim"],
    "onnxsim": ["onnxsim"],
    "onnx-graphsurgeon": ["onnx_graphsurgeon"],
    "onnxruntime-gpu": ["onnxruntime"],
    "onnx-tensorrt": ["onnx_tensorrt"],
    "pyyaml": ["yaml"],
    "pillow": ["PIL"],
    "opencv-python": ["cv2"],
    "scikit-build": ["skbuild"],
    "typing-extensions": ["typing_extensions"],
    "flatbuffers": ["flatbuffers"],
    "importlib-metadata": ["importlib_metadata"],
    "pytest-runner": ["ptr"],
    "jetson-stats": ["jtop"],
}
"""Modules of a distribution, where they are not named after it."""

SCRIPTS = {
    "cmake": {"cmake": "cmake @VERSION@"},
    "pip": {"pip": "pip", "pip3": "pip"},
    "polygraphy": {"polygraphy": "pytool"},
    "onnx-simplifier": {"onnxsim": "pytool"},
    "onnxsim": {"onnxsim": "pytool"},
    "cython": {"cython": "pytool", "cythonize": "pytool"},
}
"""Commands that come with a distribution, and their emulators."""


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def template(distribution: str) -> str | None:
    folder = os.path.join(TEMPLATES, canonical(distribution))
    return folder if os.path.isdir(folder) else None


def modules(distribution: str) -> list[str]:
    """Module folders that a distribution brings."""
    folder = template(distribution)
    if folder:
        return sorted(name for name in os.listdir(folder) if name != "__pycache__")
    name = canonical(distribution)
    return MODULES.get(name, [name.replace("-", "_")])


def metadata_folder(distribution: str, version: str) -> str:
    return f"{distribution.replace('-', '_')}-{version}.dist-info"


def install(
    distribution: str,
    version: str,
    folder: str,
    *,
    installer: str = "pip",
    scripts: str | None = None,
    words: dict[str, str] | None = None,
    texts: dict[str, str] | None = None,
) -> None:
    """Put a stand-in into `folder` of the device, in place of any other version.

    Args:
        scripts: folder for the distribution's commands; None: it gets none.
        words: more values for `@NAME@` in the templates.
        texts: files to install in place of a stand-in's, by their path in `folder`.
    """
    uninstall(distribution, folder)
    filled = {"VERSION": version, "NAME": distribution, **(words or {})}
    written = []
    contents = _texts(distribution) if texts is None else texts
    for name, text in contents.items():
        _write(f"{folder}/{name}", re.sub(r"@([A-Z]+)@", lambda match: filled.get(match[1], match[0]), text))
        written.append(name)
    if scripts:
        for command, tool in SCRIPTS.get(canonical(distribution), {}).items():
            line = f"{tool} {command}" if tool == "pytool" else tool.replace("@VERSION@", version)
            _write(f"{scripts}/{command}", launcher.script(line), 0o755)
            written.append(os.path.relpath(f"{scripts}/{command}", folder))
    about = metadata_folder(distribution, version)
    notes = {
        "METADATA": f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n",
        "INSTALLER": installer + "\n",
        "top_level.txt": "".join(f"{top}\n" for top in sorted({name.split("/")[0] for name in contents})),
    }
    for name, text in notes.items():
        _write(f"{folder}/{about}/{name}", text)
        written.append(f"{about}/{name}")
    _write(f"{folder}/{about}/RECORD", "".join(f"{name},,\n" for name in [*written, f"{about}/RECORD"]))


def uninstall(distribution: str, folder: str) -> str | None:
    """Remove a distribution from `folder`; returns the version that was there."""
    for name, version, about in installed(folder):
        if name != canonical(distribution):
            continue
        try:
            with open(device.path(f"{folder}/{about}/RECORD"), encoding="utf-8") as stream:
                files = [line.split(",")[0] for line in stream]
        except OSError:
            files = []
        for file in files:
            path = device.path(os.path.normpath(f"{folder}/{file}"))
            if os.path.lexists(path):
                os.unlink(path)
        shutil.rmtree(device.path(f"{folder}/{about}"), ignore_errors=True)
        for top in {os.path.dirname(file) for file in files if "/" in file and not file.startswith(".")}:
            shutil.rmtree(device.path(f"{folder}/{top}"), ignore_errors=True)  # compiled files are in no RECORD
        return version
    return None


def installed(folder: str) -> list[tuple[str, str, str]]:
    """Distributions in a folder of the device: canonical name, version, metadata folder."""
    try:
        names = sorted(os.listdir(device.path(folder)))
    except OSError:
        return []
    found = []
    for name in names:
        match = re.fullmatch(r"(.+)-([^-]+)\.(?:dist|egg)-info", name)
        if match:
            found.append((canonical(match[1]), match[2], name))
    return found


def _texts(distribution: str) -> dict[str, str]:
    folder = template(distribution)
    if folder is None:
        text = '"""@NAME@ of a virtual device: it knows its version."""\n\n__version__ = "@VERSION@"\n'
        return {f"{module}/__init__.py": text for module in modules(distribution)}
    texts: dict[str, str] = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        for name in names:
            path = os.path.join(place, name)
            with open(path, encoding="utf-8") as stream:
                texts[os.path.relpath(path, folder)] = stream.read()
    return texts


def _write(path: str, text: str, mode: int = 0o644) -> None:
    """A file of whoever installs: root's has no write bit (see lab/root.py)."""
    target = device.path(path)
    locked: Any = device.is_root() and not device.ROOT
    before = os.umask(0o222 if locked else 0o022)
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.lexists(target):
            os.unlink(target)
        with open(target, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(target, mode & ~0o222 if locked else mode)
    finally:
        os.umask(before)
