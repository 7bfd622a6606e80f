"""onnx-tensorrt of a virtual device: imports what the real one imports."""

import tensorrt as _tensorrt

from . import backend

__version__ = "@VERSION@"

if not _tensorrt.__version__.startswith("@TRT@"):
    raise ImportError("onnx-tensorrt for TensorRT @TRT@ with TensorRT " + _tensorrt.__version__)
