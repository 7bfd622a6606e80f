"""onnx-tensorrt of a virtual device: imports what the real one imports."""

import tensorrt as _tensorrt

from . import backend

__version__ = "@VERSION@"

if not _tensorrt.__version__.startswith(".".join(__version__.split(".")[:2])):
    raise ImportError("onnx-tensorrt " + __version__ + " with TensorRT " + _tensorrt.__version__)
