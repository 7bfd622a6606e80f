"""swig: makes a wrapper of an interface file, and stumbles over a word of headers that nobody defined for it."""

from __future__ import annotations

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device

WORD = "TENSORRTAPI"


def main(argv: list[str]) -> int:
    version, args = device.read(argv[0]) or argv[0], argv[1:]
    if "-version" in args:
        print(f"\nSWIG Version {version}\n\nCompiled with g++ [aarch64-unknown-linux-gnu]")
        return 0
    output = args[args.index("-o") + 1] if "-o" in args[:-1] else ""
    inputs = [arg for arg in args if arg.endswith(".i")]
    if not inputs:
        print("Must specify an input file. Use -help for available options.", file=sys.stderr)
        return 1
    try:
        with open(inputs[0], encoding="utf-8") as stream:
            interface = stream.read()
    except OSError:
        print(f"Error: Unable to find file '{inputs[0]}'.", file=sys.stderr)
        return 1
    for header in re.findall(r'(?m)^%include "([^"]+)"', interface):
        problem = _problem(os.path.join(os.path.dirname(inputs[0]), header))
        if problem:
            print(problem, file=sys.stderr)
            return 1
    target = output or re.sub(r"\.i$", "_wrap.cpp", inputs[0])
    with open(target, "w", encoding="utf-8") as stream:
        stream.write("// Emulated wrapper.\n" + "\n".join(re.findall(r"(?m)^#include <.*>$", interface)) + "\n")
    return 0


def _problem(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as stream:
            lines = stream.read().splitlines()
    except OSError:
        return f"Error: Unable to find file '{path}'."
    defined = False
    for number, line in enumerate(lines, 1):
        if re.match(rf"\s*#\s*define\s+{WORD}\b", line):
            defined = True
        elif WORD in line and not line.lstrip().startswith(("#", "//")) and not defined:
            return f"{os.path.basename(path)}:{number}: Error: Syntax error in input(1)."
    return None


if __name__ == "__main__":
    device.run(main)
