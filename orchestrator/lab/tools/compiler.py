"""gcc, g++, nvcc -c, ar and ranlib: check what they are given, write emulated objects, and link emulated programs.

A source says in comments what it stands for: `// program: TOOL ARGUMENTS` is what an executable linked from it runs (an
emulator of this folder), `// heavy` that its compilation wants more than a gigabyte of memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import launcher

HEAVY_MB = 1200
HEAVY_S = 0.3
OBJECT = "emulated object"
SOURCES = (".c", ".cc", ".cpp", ".cxx", ".cu", ".C")
FOREIGN = ("-m64", "-m32", "-msse", "-msse2", "-msse4.1", "-msse4.2", "-mavx", "-mavx2", "-march=x86-64")
CUDA_HEADERS = ("cuda.h", "cuda_runtime.h", "cuda_runtime_api.h", "cuda_fp16.h")
RELEASES = {"bionic": "7.5.0", "focal": "9.4.0", "jammy": "11.4.0"}
OWN_FOLDERS = ("/usr/include", "/usr/include/aarch64-linux-gnu", "/usr/local/include")
VALUES = ("-o", "-I", "-L", "-x", "-isystem", "-MF", "-MT", "-MQ", "-include", "-arch", "-gencode", "-D", "-U")


def main(argv: list[str]) -> int:
    name, args = argv[0], argv[1:]
    if name in ("ar", "ranlib"):
        return _archive(name, args)
    if {"--version", "-dumpversion", "-dumpmachine", "-v"} & set(args):
        return _about(name, args)
    wrong = [arg for arg in args if arg in FOREIGN] if name != "nvcc" and _machine() == "aarch64" else []
    if wrong:
        for arg in wrong:
            print(f"{name}: error: unrecognized command line option ‘{arg}’", file=sys.stderr)
        return 1
    inputs, output, folders = _words(args)
    if not inputs:
        print(f"{name}: fatal error: no input files\ncompilation terminated.", file=sys.stderr)
        return 1
    missing = [path for path in inputs if not os.path.exists(path)]
    if missing:
        for path in missing:
            print(f"{name}: error: {path}: No such file or directory", file=sys.stderr)
        print(f"{name}: fatal error: no input files\ncompilation terminated.", file=sys.stderr)
        return 1
    try:
        text = ""
        for path in inputs:
            text += _compiled(path, folders, name) if path.endswith(SOURCES) else _object(path)
    except Failed as problem:
        print(problem, file=sys.stderr)
        return 1
    if "-c" in args or "-dc" in args:
        return _write(output or re.sub(r"\.\w+$", ".o", os.path.basename(inputs[0])), text, 0o644, name)
    absent = _missing_library(args)
    if absent:
        print(f"/usr/bin/ld: cannot find -l{absent}\ncollect2: error: ld returned 1 exit status", file=sys.stderr)
        return 1
    if "-shared" in args or re.search(r"\.so(\.\d+)*$", output):
        return _write(output or "a.out", "emulated library\n" + text, 0o755, name)
    return _write(output or "a.out", _program(text), 0o755, name)


class Failed(Exception):
    """The compiler's own words."""


def _machine() -> str:
    return str(device.profile().get("machine", "aarch64"))


def _about(name: str, args: list[str]) -> int:
    release = {"bionic": "7.5.0", "focal": "9.4.0", "jammy": "11.4.0"}.get(
        device.profile()["os"].get("codename"), "13.2.0"
    )
    if "-dumpversion" in args:
        print(release.split(".")[0])
    elif "-dumpmachine" in args:
        print(f"{_machine()}-linux-gnu")
    else:
        print(f"{name} (Ubuntu {release}) {release}\nCopyright (C) Free Software Foundation, Inc.")
    return 0


def _words(args: list[str]) -> tuple[list[str], str, list[str]]:
    """Inputs, output and include folders of a command line."""
    inputs, output, folders = [], "", list(OWN_FOLDERS)
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        if arg in VALUES:
            value = rest.pop(0) if rest else ""
            output = value if arg == "-o" else output
            folders += [value] if arg in ("-I", "-isystem") else []
        elif arg.startswith("-I"):
            folders.append(arg[2:])
        elif not arg.startswith("-"):
            inputs.append(arg)
    for variable in ("CPATH", "CPLUS_INCLUDE_PATH", "C_INCLUDE_PATH"):
        folders += [folder for folder in os.environ.get(variable, "").split(":") if folder]
    return inputs, output, folders


def _compiled(path: str, folders: list[str], name: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    if name == "nvcc":
        folders = [*folders, "/usr/local/cuda/include"]
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r"\s*#\s*include\s*<([\w./]+)>", line)
        if match and (match[1] in CUDA_HEADERS or match[1].startswith("Nv") or match[1] == "cudnn.h"):
            _find(match[1], folders, path, number, line)
    if re.search(r"(?m)^// heavy$", text):
        with _memory():
            time.sleep(HEAVY_S)
    programs = re.findall(r"(?m)^// program: .+$", text)
    return "\n".join([OBJECT, *programs]) + "\n"


def _find(header: str, folders: list[str], path: str, number: int, line: str) -> None:
    if any(os.path.exists(device.path(os.path.join(folder, header))) for folder in folders):
        return
    column = line.index("<") + 1
    raise Failed(
        f"{path}:{number}:{column}: fatal error: {header}: No such file or directory\n {line}\n"
        f"{' ' * column}^{'~' * (len(header) + 1)}\ncompilation terminated."
    )


@contextlib.contextmanager
def _memory():  # type: ignore[no-untyped-def]
    """Room for one more big compilation; the kernel kills the one that comes when there is none."""
    rows = dict(re.findall(r"(?m)^(\w+):\s+(\d+)", device.read("/proc/meminfo")))
    files_kib = sum(
        int(fields[2])
        for fields in (line.split() for line in device.read("/proc/swaps").splitlines()[1:])
        if fields[1] == "file"
    )
    places = max(1, (int(rows.get("MemAvailable", 4 << 20)) + files_kib) // 1024 // HEAVY_MB)
    taken = None
    for number in range(places):
        handle = os.open(device.path(f"/tmp/.cc1plus-{number}"), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            continue
        taken = handle
        break
    if taken is None:
        device.kernel_log(f"Out of memory: Kill process {os.getpid()} (cc1plus) score 412 or sacrifice child")
        device.kernel_log(
            f"Killed process {os.getpid()} (cc1plus) total-vm:1288876kB, anon-rss:1198452kB, file-rss:0kB"
        )
        raise Failed(
            "c++: internal compiler error: Killed (program cc1plus)\n"
            "Please submit a full bug report,\nwith preprocessed source if appropriate."
        )
    try:
        yield
    finally:
        os.close(taken)


def _object(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    if not text.startswith("emulated"):
        raise Failed(
            f"{path}: file not recognized: File format not recognized\ncollect2: error: ld returned 1 exit status"
        )
    return "".join(line + "\n" for line in text.splitlines() if line.startswith("// program: "))


def _missing_library(args: list[str]) -> str:
    """A library of NVIDIA's that is linked and not there; all others are taken for granted."""
    folders = [
        "/usr/lib/aarch64-linux-gnu",
        "/usr/local/lib",
        *(arg[2:].strip('"') for arg in args if arg.startswith("-L")),
    ]
    folders += [folder for folder in os.environ.get("LIBRARY_PATH", "").split(":") if folder]
    for name in (arg[2:] for arg in args if arg.startswith("-l")):
        if name.startswith(("nv", "cudnn", "cudart")) and not any(
            os.path.exists(device.path(f"{folder}/lib{name}.so")) for folder in folders
        ):
            return name
    return ""


def _program(text: str) -> str:
    match = re.search(r"(?m)^// program: (.+)$", text)
    return launcher.script(match[1]) if match else "#!/bin/sh\n# An emulated program that does nothing.\nexit 0\n"


def _archive(name: str, args: list[str]) -> int:
    words = [arg for arg in args if not arg.startswith("-")]
    if name == "ranlib":
        return 0
    output, members = next(((w, words[n + 1 :]) for n, w in enumerate(words) if w.endswith(".a")), ("", []))
    if not output:
        print("Usage: ar [emulation options] [-]{dmpqrstx}[abcDfilMNoPsSTuvV] archive-file file...", file=sys.stderr)
        return 1
    try:
        return _write(output, "emulated library\n" + "".join(_object(path) for path in members), 0o644, "ar")
    except (OSError, Failed) as problem:
        print(f"ar: {problem}", file=sys.stderr)
        return 1


def _write(path: str, text: str, mode: int, name: str) -> int:
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(path, mode & ~0o222 if device.is_root() and not device.ROOT else mode)
    except OSError as problem:
        print(f"{name}: fatal error: can't create {path}: {problem.strerror}\ncompilation terminated.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    device.run(main)
