"""onnxruntime of a virtual device: it can be imported, and knows its version."""

import numpy

__version__ = "@VERSION@"


def get_available_providers():
    return ["CPUExecutionProvider"]


def get_device():
    return "CPU"
