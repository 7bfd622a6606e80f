"""visudo -c: checks sudoers files line by line."""

from __future__ import annotations

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device

FINE = (
    r"\s*(#.*)?",
    r"@include(dir)?\s+\S+",
    r"Defaults\S*\s+.+",
    r"(User|Runas|Host|Cmnd)_Alias\s+[A-Z]\w*\s*=\s*.+",
    r"[\w%+:-]+\s+[\w,-]+\s*=\s*(\([\w:, %-]*\)\s*)?((NOPASSWD|PASSWD|SETENV|NOSETENV|NOEXEC|EXEC):\s*)*\S.*",
)


def main(argv: list[str]) -> int:
    flags = {letter for arg in argv if re.fullmatch(r"-[a-z]+", arg) for letter in arg[1:]}
    words = [arg for arg in argv if not arg.startswith("-")] + [a[2:] for a in argv if re.fullmatch(r"-f/.+", a)]
    words += [a[3:] for a in argv if a.startswith("-cf/")]
    if "c" not in flags and "--check" not in argv:
        print("visudo: a virtual device has no editor; use -c", file=sys.stderr)
        return 1
    file = words[0] if words else "/etc/sudoers"
    try:
        with open(device.path(file) if not words else file, encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except OSError as problem:
        print(f"visudo: {file}: {problem.strerror}", file=sys.stderr)
        return 1
    for number, line in enumerate(_joined(lines), 1):
        if not any(re.fullmatch(pattern, line) for pattern in FINE):
            print(f">>> {file}: syntax error near line {number} <<<", file=sys.stderr)
            print(f"parse error in {file} near line {number}")
            return 1
    if "q" not in flags:
        print(f"{file}: parsed OK")
    return 0


def _joined(lines: list[str]) -> list[str]:
    return re.sub(r"\\\n", " ", "\n".join(lines)).split("\n")


if __name__ == "__main__":
    device.run(main)
