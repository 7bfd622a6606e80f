"""nvcc: the version of the device's CUDA toolkit; what it compiles is emulated as by any compiler here."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compiler
import device


def main(argv: list[str]) -> int:
    if not set(argv) & {"--version", "-V"} and any(not arg.startswith("-") for arg in argv):
        return compiler.main(["nvcc", *argv])
    if not set(argv) & {"--version", "-V"}:
        message = "No input files specified; use option --help for more information"
        print(f"nvcc fatal   : {message}", file=sys.stderr)
        return 1
    cuda = device.profile()["cuda"]
    print("nvcc: NVIDIA (R) Cuda compiler driver")
    print(f"Copyright (c) {cuda['copyright']} NVIDIA Corporation")
    print(f"Built on {cuda['built']}")
    print(f"Cuda compilation tools, release {cuda['release']}, V{cuda['version']}")
    print(f"Build {cuda['build']}")
    return 0


if __name__ == "__main__":
    device.run(main)
