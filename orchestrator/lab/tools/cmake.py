"""cmake: reads the commands that matter, checks what they need, and writes a Makefile that the real make runs."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import python_versions

USAGE = """Usage

  cmake [options] <path-to-source>
  cmake [options] <path-to-existing-build>

Specify a source directory to (re-)generate a build system for it in the
current working directory.  Specify an existing build directory to
re-generate its build system.

Run 'cmake --help' for more information."""
INCLUDES = ("/usr/include", "/usr/include/aarch64-linux-gnu", "/usr/local/include")
LIBRARIES = ("/usr/lib/aarch64-linux-gnu", "/usr/local/lib", "/usr/lib")


class Failed(Exception):
    """A fatal error of the configuration: file, line and text."""


@dataclass
class Target:
    name: str
    shared: bool
    sources: list[str]


@dataclass
class Project:
    """What a CMakeLists.txt asked for."""

    source: str
    version: str
    variables: dict[str, str]
    targets: list[Target] = field(default_factory=list)
    installs: list[tuple[list[str], str, bool]] = field(default_factory=list)
    """Names, destination, and whether they are files instead of targets."""


def main(argv: list[str]) -> int:
    version, args = device.read(argv[0]) or argv[0], argv[1:]
    modern = python_versions.key(version) >= (3, 13)
    if "--version" in args or "-version" in args:
        print(f"cmake version {version}\n\nCMake suite maintained and supported by Kitware (kitware.com/cmake).")
        return 0
    if args[:1] == ["--build"]:
        return _build(args[1:])
    variables, source, build, words = {}, "", os.getcwd(), []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        if arg.startswith("-D"):
            name, _, value = (arg[2:] or rest.pop(0)).partition("=")
            variables[name.split(":")[0]] = value
        elif arg[:2] in ("-S", "-B") and modern:
            value = arg[2:] or (rest.pop(0) if rest else "")
            source, build = (value, build) if arg[:2] == "-S" else (source, value)
        elif arg[:2] == "-G":
            rest[: 0 if arg[2:] else 1] = []
        elif not arg.startswith("-"):
            words.append(arg)
    source = source or (words[0] if words else "")
    if not source:
        print(USAGE)
        return 0 if not args else 1
    return _configure(os.path.abspath(source), os.path.abspath(build), version, variables)


def _build(args: list[str]) -> int:
    folder, after = args[0] if args else ".", []
    if "--target" in args:
        after.append(args[args.index("--target") + 1])
    for place, arg in enumerate(args):
        if arg.startswith("-j") or arg == "--parallel":
            count = arg[2:] if arg.startswith("-j") else ""
            count = count or (args[place + 1] if args[place + 1 : place + 2] and args[place + 1].isdigit() else "")
            after.append(f"-j{count}")
    os.execvp("make", ["make", "-C", folder, *after])


def _configure(source: str, build: str, version: str, variables: dict[str, str]) -> int:
    if not os.path.exists(f"{source}/CMakeLists.txt"):
        print(
            f'CMake Error: The source directory "{source}" does not appear to contain CMakeLists.txt.\n'
            "Specify --help for usage, or press the help button on the CMake GUI.",
            file=sys.stderr,
        )
        return 1
    compiler = variables.get("CMAKE_CXX_COMPILER", "/usr/bin/g++")
    if not os.path.exists(device.path(compiler)):
        print(
            "CMake Error at CMakeLists.txt:2 (project):\n  No CMAKE_CXX_COMPILER could be found.\n\n"
            "  Tell CMake where to find the compiler by setting either the environment\n"
            '  variable "CXX" or the CMake cache entry CMAKE_CXX_COMPILER to the full path.\n\n'
            "-- Configuring incomplete, errors occurred!",
            file=sys.stderr,
        )
        return 1
    print("-- The CXX compiler identification is GNU\n-- Check for working CXX compiler: /usr/bin/g++ -- works")
    project = Project(source, version, {"CMAKE_INSTALL_PREFIX": "/usr/local", **variables})
    try:
        _read(project, f"{source}/CMakeLists.txt")
    except Failed as problem:
        print(f"{problem}\n\n-- Configuring incomplete, errors occurred!", file=sys.stderr)
        return 1
    os.makedirs(build, exist_ok=True)
    with open(f"{build}/Makefile", "w", encoding="utf-8") as stream:
        stream.write(makefile(project))
    with open(f"{build}/CMakeCache.txt", "w", encoding="utf-8") as stream:
        stream.write("".join(f"{name}:UNINITIALIZED={value}\n" for name, value in project.variables.items()))
    print(f"-- Configuring done\n-- Generating done\n-- Build files have been written to: {build}")
    return 0


def _read(project: Project, file: str) -> None:
    with open(file, encoding="utf-8") as stream:
        text = stream.read()
    for match in re.finditer(r"(?m)^\s*(\w+)\s*\(([^)]*)\)", re.sub(r"(?m)^\s*#.*$", "", text)):
        where = f"CMake Error at CMakeLists.txt:{text.count(chr(10), 0, match.start(1)) + 1} ({match[1]}):"
        handler = COMMANDS.get(match[1])
        if handler:
            handler(project, [word.strip('"') for word in match[2].split()], where)


def _minimum(project: Project, words: list[str], where: str) -> None:
    wanted = words[words.index("VERSION") + 1]
    if python_versions.key(project.version) < python_versions.key(wanted):
        raise Failed(f"{where}\n  CMake {wanted} or higher is required.  You are running version {project.version}")


def _package(project: Project, words: list[str], where: str) -> None:
    if words[0] != "Protobuf":
        return
    found, wanted = _protobuf(), words[1] if len(words) > 1 and words[1][0].isdigit() else ""
    if found and (not wanted or python_versions.key(found) >= python_versions.key(wanted)):
        print(f'-- Found Protobuf: libprotobuf.so (found version "{found}")')
        return
    if "REQUIRED" in words:
        if found:
            text = (
                f'Could NOT find Protobuf: Found unsuitable version "{found}", but required is\n  at least "{wanted}"'
            )
        else:
            text = "Could NOT find Protobuf (missing: Protobuf_LIBRARIES Protobuf_INCLUDE_DIR)"
        raise Failed(f"CMake Error at FindPackageHandleStandardArgs.cmake:137 (message):\n  {text}")


def _protobuf() -> str:
    for path in ("/usr/local/include", "/usr/include"):
        match = re.match(r"// protobuf (\S+)", device.read(f"{path}/google/protobuf/stubs/common.h"))
        if match:
            return match[1]
    return ""


def _path(project: Project, words: list[str], where: str) -> None:
    folders = [*INCLUDES, *_roots(project, "include")]
    if "REQUIRED" in words and not any(os.path.exists(device.path(f"{f}/{words[1]}")) for f in folders):
        raise Failed(f"{where}\n  Could not find {words[0]} using the following files: {words[1]}")


def _library(project: Project, words: list[str], where: str) -> None:
    given = project.variables.get("TRT_LIB_DIR")
    folders = [*([given] if given else []), *LIBRARIES, *_roots(project, "lib")]
    if "REQUIRED" in words and not any(os.path.exists(device.path(f"{f}/lib{words[1]}.so")) for f in folders):
        raise Failed(f"{where}\n  Could not find {words[0]} using the following names: {words[1]}")


def _roots(project: Project, below: str) -> list[str]:
    return [f"{project.variables['TENSORRT_ROOT']}/{below}"] if project.variables.get("TENSORRT_ROOT") else []


def _subdirectory(project: Project, words: list[str], where: str) -> None:
    folder = f"{project.source}/{words[0]}"
    if not os.path.exists(f"{folder}/CMakeLists.txt"):
        raise Failed(f"{where}\n  The source directory\n\n    {folder}\n\n  does not contain a CMakeLists.txt file.")


def _target(project: Project, words: list[str], shared: bool) -> None:
    sources = [word for word in words[1:] if word not in ("SHARED", "STATIC")]
    project.targets.append(Target(words[0], shared, sources))


def _install(project: Project, words: list[str], where: str) -> None:
    place = words.index("DESTINATION")
    project.installs.append((words[1:place], words[place + 1], words[0] == "FILES"))


COMMANDS = {
    "cmake_minimum_required": _minimum,
    "find_package": _package,
    "find_path": _path,
    "find_library": _library,
    "add_subdirectory": _subdirectory,
    "add_library": lambda project, words, _: _target(project, words, True),
    "add_executable": lambda project, words, _: _target(project, words, False),
    "install": _install,
}


def makefile(project: Project) -> str:
    """A Makefile of the project: objects in parallel, progress in percent, install below the prefix."""
    flags = project.variables.get("CMAKE_CXX_FLAGS", "") + " " + os.environ.get("CXXFLAGS", "")
    outputs = {t.name: f"lib{t.name}.so" if t.shared else t.name for t in project.targets}
    steps = sum(len(t.sources) + 1 for t in project.targets)
    lines = [f"all: {' '.join(outputs.values())}", ""]
    done = 0
    for target in project.targets:
        objects = []
        for source in target.sources:
            done += 1
            made = f"CMakeFiles/{target.name}.dir/{os.path.basename(source)}.o"
            objects.append(made)
            path = os.path.normpath(os.path.join(project.source, source))
            compiler = "nvcc" if source.endswith(".cu") else "/usr/bin/g++"
            lines += [
                f"{made}: {path}",
                f"\t@mkdir -p CMakeFiles/{target.name}.dir",
                f'\t@echo "[{done * 100 // steps:3}%] Building CXX object {made}"',
                f"\t@{compiler} {flags.strip()} -fPIC -o {made} -c {path}",
                "",
            ]
        done += 1
        kind = "shared library" if target.shared else "executable"
        shared = "-shared " if target.shared else ""
        lines += [
            f"{outputs[target.name]}: {' '.join(objects)}",
            f'\t@echo "[{done * 100 // steps:3}%] Linking CXX {kind} {outputs[target.name]}"',
            f"\t@/usr/bin/g++ {shared}-o $@ {' '.join(objects)}",
            f'\t@echo "[{done * 100 // steps:3}%] Built target {target.name}"',
            "",
        ]
    lines += ["install: all", '\t@echo "Install the project..."', '\t@echo "-- Install configuration: \\"Release\\""']
    prefix = project.variables["CMAKE_INSTALL_PREFIX"]
    for names, destination, files in project.installs:
        for name in names:
            source = os.path.normpath(os.path.join(project.source, name)) if files else outputs[name]
            folder = f"{prefix}/{destination}"
            lines += [
                f"\t@mkdir -p $(DESTDIR){folder}",
                f"\t@rm -f $(DESTDIR){folder}/{os.path.basename(source)}",
                f"\t@cp {source} $(DESTDIR){folder}/{os.path.basename(source)}",
                f'\t@echo "-- Installing: {folder}/{os.path.basename(source)}"',
            ]
    return "\n".join([*lines, "", "clean:", "\t@rm -rf CMakeFiles *.so", ".PHONY: all install clean", ""])


if __name__ == "__main__":
    device.run(main)
