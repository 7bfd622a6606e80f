"""The ONNX backend: pycuda and onnx are imported with it."""

import numpy
import onnx
import pycuda.autoinit
import pycuda.driver
