"""protoc --version, and empty modules for what it is given."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device


def main(argv: list[str]) -> int:
    version, args = device.read(argv[0]) or argv[0], argv[1:]
    if "--version" in args:
        print(f"libprotoc {version}")
        return 0
    inputs = [arg for arg in args if not arg.startswith("-")]
    if not inputs:
        print("Missing input file.", file=sys.stderr)
        return 1
    for arg in args:
        if arg.startswith("--python_out="):
            for path in inputs:
                name = os.path.basename(path).replace(".proto", "_pb2.py")
                with open(os.path.join(arg.split("=", 1)[1], name), "w", encoding="utf-8") as stream:
                    stream.write("# Emulated.\n")
    return 0


if __name__ == "__main__":
    device.run(main)
