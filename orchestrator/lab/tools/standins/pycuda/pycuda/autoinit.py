"""Opens the first device at import."""

import pycuda.driver as _cuda

_cuda.init()
device = _cuda.Device(0)
context = device.make_context()
