"""onnx2trt: says its version; a virtual device builds engines with trtexec."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device


def main(argv: list[str]) -> int:
    if {"-V", "--version"} & set(argv[1:]):
        print(f"Parser built against:\n  TensorRT {device.profile()['tensorrt']['version']}\n  onnx2trt {argv[0]}")
        return 0
    if not argv[1:] or {"-h", "--help"} & set(argv[1:]):
        print("ONNX to TensorRT model parser\nUsage: onnx2trt onnx_model.pb\n                [-o engine_file.trt]")
        return 0
    print("onnx2trt: a virtual device builds engines with trtexec only", file=sys.stderr)
    return 1


if __name__ == "__main__":
    device.run(main)
