"""onnx of a virtual device: it imports numpy and protobuf as the real one does."""

import numpy
from google.protobuf import __version__ as _protobuf

__version__ = "@VERSION@"

if int(_protobuf.split(".")[0]) >= 4 and [int(_part) for _part in __version__.split(".")[:2]] < [1, 13]:
    raise TypeError(
        "Descriptors cannot not be created directly.\n"
        "If this call came from a _pb2.py file, your generated code is out of date and must be regenerated with "
        "protoc >= 3.19.0.\n"
        "If you cannot immediately regenerate your protos, some other possible workarounds are:\n"
        " 1. Downgrade the protobuf package to 3.20.x or lower.\n"
        " 2. Set PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=python (but this will use pure-Python parsing and will be "
        "much slower)."
    )
