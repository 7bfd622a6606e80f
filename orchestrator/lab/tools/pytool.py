"""Commands that Python packages bring (polygraphy, onnxsim): they know their version and otherwise do nothing."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import pip_place
import standins

VERBOSE = {"polygraphy": "Polygraphy", "onnxsim": "onnxsim"}


def main(argv: list[str]) -> int:
    name = argv[0]
    owner = next((d for d, commands in standins.SCRIPTS.items() if name in commands), name)
    found = pip_place.find().installed().get(standins.canonical(owner))
    if found is None:
        print(f"ModuleNotFoundError: No module named '{name}'", file=sys.stderr)
        return 1
    if set(argv[1:]) & {"--version", "-v", "-V"}:
        print(f"{VERBOSE.get(name, name)} {found.version}")
        return 0
    print(f"{name}: a virtual device has it for its version only", file=sys.stderr)
    return 2


if __name__ == "__main__":
    device.run(main)
