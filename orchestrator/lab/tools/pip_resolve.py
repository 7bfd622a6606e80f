"""Which versions pip takes, and whether they can be built on this board."""

from __future__ import annotations

import os
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import device
import python_versions
import standins
from pip_options import Options
from pip_place import Installed, Place
from python_versions import BadRequirement, Requirement

COMPILER = "aarch64-linux-gnu-gcc"


class Failed(Exception):
    """pip gives up; the text is what it prints."""


@dataclass
class Choice:
    name: str
    version: str
    entry: dict[str, Any]
    words: dict[str, str] = field(default_factory=dict)

    @property
    def canonical(self) -> str:
        return standins.canonical(self.name)


def resolve(options: Options, place: Place) -> list[Choice]:
    """What has to be installed, what others need first. Raises: Failed."""
    index, installed = python_versions.index(), place.installed()
    named = [*options.words, *_from_files(options)]
    if not named and not options.values.get("-e"):
        raise Failed('ERROR: You must give at least one requirement to install (see "pip help install")')
    try:
        queue = [(Requirement(text), True) for text in named if not _is_path(text)]
    except BadRequirement as problem:
        raise Failed(f"ERROR: Invalid requirement: '{problem}'") from None
    queue += [(_from_file(text), True) for text in named if _is_path(text)]
    bounds: dict[str, list[Requirement]] = {}
    for requirement, _ in queue:
        bounds.setdefault(requirement.name, []).append(requirement)
    chosen: dict[str, Choice] = {}
    order: list[str] = []
    while queue:
        requirement, top = queue.pop(0)
        name = requirement.name
        if name in chosen:
            continue
        here = installed.get(name)
        wanted = bounds.get(name, []) if top else [requirement, *bounds.get(name, [])]
        again = options.on("--force-reinstall", "-I", "--ignore-installed") and top
        upgrade = options.on("-U", "--upgrade") and top
        if here and not again and not upgrade and all(r.accepts(here.version) for r in wanted):
            print(f"Requirement already satisfied: {requirement.text} in {here.folder} ({here.version})")
            continue
        choice = _choose(requirement, wanted, index, place, options)
        if here and here.version == choice.version and not again:
            print(f"Requirement already satisfied: {requirement.text} in {here.folder} ({here.version})")
            continue
        chosen[name] = choice
        order.append(name)
        print(f"Collecting {requirement.text}")
        if not options.on("--no-deps"):
            queue += [(Requirement(text), False) for text in requires(name, choice.version)]
    return [chosen[name] for name in reversed(order)]


def _from_files(options: Options) -> list[str]:
    lines: list[str] = []
    for file in options.values.get("-r", []) + options.values.get("--requirement", []):
        try:
            with open(file, encoding="utf-8") as stream:
                lines += [line.split(" #")[0].strip() for line in stream]
        except OSError:
            raise Failed(
                f"ERROR: Could not open requirements file: [Errno 2] No such file or directory: '{file}'"
            ) from None
    return [line for line in lines if line and not line.startswith(("#", "-"))]


def _is_path(text: str) -> bool:
    return text.endswith((".whl", ".tar.gz", ".zip")) or text.startswith((".", "/"))


def _from_file(text: str) -> Requirement:
    """The requirement that a wheel's or an archive's name stands for."""
    match = re.match(r"(.+?)-(\d[^-]*?)(?:-.*\.whl|\.tar\.gz|\.zip)$", os.path.basename(text))
    if not match or not os.path.exists(text):
        raise Failed(f"ERROR: Could not find a version that satisfies the requirement {text} (from versions: none)")
    return Requirement(f"{match[1].replace('_', '-')}=={match[2]}")


def _choose(
    requirement: Requirement, wanted: list[Requirement], index: dict[str, Any], place: Place, options: Options
) -> Choice:
    entry = index.get(requirement.name)
    versions = python_versions.candidates(entry, place.python, place.machine) if entry else []
    if options.on("--no-index"):
        versions = [v for v in versions if v in _at_hand(requirement.name, options)]
    fitting = [v for v in versions if all(r.accepts(v) for r in wanted)]
    if entry and entry.get("wheel_only") and place.pip < (19, 3):
        fitting = []  # an older pip takes none of the manylinux2014 wheels, and there is nothing else
    if not fitting or entry is None:
        known, text = ", ".join(versions) or "none", requirement.text
        mark = "" if place.pip < (10,) else "ERROR: "
        raise Failed(
            f"{mark}Could not find a version that satisfies the requirement {text} (from versions: {known})\n"
            f"{mark}No matching distribution found for {text}"
        )
    return Choice(entry.get("name", requirement.name), fitting[-1], entry)


def _at_hand(name: str, options: Options) -> list[str]:
    """Versions of a distribution among the files of --find-links."""
    found = []
    for folder in options.values.get("-f", []) + options.values.get("--find-links", []):
        try:
            files = os.listdir(folder)
        except OSError:
            continue
        for file in files:
            match = re.match(r"(.+?)-(\d[^-]*?)(?:-.*\.whl|\.tar\.gz|\.zip)$", file)
            if match and standins.canonical(match[1]) == name:
                found.append(match[2])
    return found


def requires(name: str, version: str) -> list[str]:
    """Names that a version of a distribution needs."""
    entry = python_versions.index().get(name, {})
    rows = entry.get("requires_at", {})
    newer = [row for row in rows if python_versions.key(row) <= python_versions.key(version)]
    result: list[str] = rows[max(newer, key=python_versions.key)] if newer else entry.get("requires", [])
    return result


def conflicts(installed: dict[str, Installed]) -> list[str]:
    """What `pip check` complains of."""
    problems = []
    for one in installed.values():
        for text in requires(one.canonical, one.version):
            needed = Requirement(text)
            here = installed.get(needed.name)
            if here is None:
                problems.append(f"{one.name} {one.version} requires {needed.name}, which is not installed.")
            elif not needed.accepts(here.version):
                problems.append(
                    f"{one.name} {one.version} has requirement {text}, but you have {here.name} {here.version}."
                )
    return problems


def build(choice: Choice, options: Options, place: Place) -> None:
    """Compile what has no wheel for this pip. Raises: Failed, in the words of the compiler."""
    entry = choice.entry
    kind = entry.get("build", "c" if "wheels" in entry else "")
    wheels = entry.get("wheels")
    if wheels and place.pip >= (19, 3) and python_versions.key(choice.version) >= python_versions.key(wheels):
        kind = ""
    if kind == "cuda":
        _build_pycuda(choice, options, place)
    elif kind:
        _needs_compiler(choice, place)
        if kind == "protobuf" and not device.which("protoc"):
            raise _failure(choice, place, "CMake Error: Could not find Protobuf (missing: PROTOBUF_PROTOC_EXECUTABLE)")


def _needs_compiler(choice: Choice, place: Place) -> None:
    if not device.which(COMPILER) and not device.which("gcc"):
        raise _failure(choice, place, f"    unable to execute '{COMPILER}': No such file or directory")
    if not os.path.exists(device.path(f"/usr/include/python{device.profile()['python']}/Python.h")):
        text = "    #include <Python.h>\n              ^~~~~~~~~~\n    compilation terminated."
        raise _failure(choice, place, f"    fatal error: Python.h: No such file or directory\n{text}")


def _failure(choice: Choice, place: Place, text: str) -> Failed:
    """What pip prints around a compiler's message, by release."""
    if place.pip < (20,):
        return Failed(f"{text}\n    error: command '{COMPILER}' failed with exit status 1")
    return Failed(
        f"{text}\n      error: command '/usr/bin/{COMPILER}' failed with exit code 1\n"
        f"  ERROR: Failed building wheel for {choice.name}\n"
        f"ERROR: Could not build wheels for {choice.name}, which is required to install pyproject.toml-based projects"
    )


def _build_pycuda(choice: Choice, options: Options, place: Place) -> None:
    release = str(device.profile().get("cuda", {}).get("release"))
    choice.words["CUDA"] = release
    cached = os.path.join(device.path(place.cache_folder()), f"pycuda-{choice.version}.whl")
    if os.path.exists(cached) and not options.on("--no-cache-dir"):
        with open(cached, encoding="utf-8") as stream:
            choice.words["CUDA"] = stream.read().strip()
        print(f"  Using cached pycuda-{choice.version}.whl")
        return
    since = choice.entry["setup_requires_numpy"]
    newer = python_versions.key(choice.version) >= python_versions.key(since)
    if place.pip < (10,) and newer and "numpy" not in place.installed():
        raise Failed("    RuntimeError: Python version >= 3.8 required.")
    _needs_compiler(choice, place)
    nvcc = device.which("nvcc")
    if not nvcc:
        print(
            "    *** WARNING: nvcc not in path.\n    *** May need to set CUDA_INC_DIR for installation to succeed.",
            file=sys.stderr,
        )
    if not _finds_header(nvcc, options):
        text = "     #include <cuda.h>\n              ^~~~~~~~\n    compilation terminated."
        place_text = "    src/cpp/cuda.hpp:14:10: fatal error: cuda.h: No such file or directory"
        raise _failure(choice, place, f"{place_text}\n{text}")
    print("  Building wheel for pycuda ...")
    time.sleep(0.2)
    if not options.on("--no-cache-dir"):
        try:
            os.makedirs(os.path.dirname(cached), exist_ok=True)
            with open(cached, "w", encoding="utf-8") as stream:
                stream.write(release + "\n")
        except OSError:
            pass  # pip goes on without a cache


def _finds_header(nvcc: str | None, options: Options) -> bool:
    folders = [f for name in ("CPATH", "CPLUS_INCLUDE_PATH") for f in os.environ.get(name, "").split(":")]
    folders.append(os.environ.get("CUDA_INC_DIR", ""))
    if os.environ.get("CUDA_ROOT"):
        folders.append(os.environ["CUDA_ROOT"] + "/include")
    folders += [o[2:] for o in options.values.get("--global-option", []) if o.startswith("-I")]
    if nvcc:
        folders.append(os.path.join(os.path.dirname(os.path.dirname(nvcc)), "include"))
    return any(os.path.exists(device.path(os.path.join(folder, "cuda.h"))) for folder in folders if folder)
