"""numpy of a virtual device: it can be imported, or cannot, as the real one."""

import os as _os
import signal as _signal

__version__ = "@VERSION@"

try:
    with open("/proc/device-tree/compatible") as _stream:
        _compatible = _stream.read()
except OSError:
    _compatible = ""
# The OpenBLAS in the wheels of 1.19.5 takes a Cortex-A57 for a core that knows more instructions.
if (
    __version__ == "1.19.5"
    and ("tegra210" in _compatible or "tegra186" in _compatible)
    and _os.environ.get("OPENBLAS_CORETYPE") != "ARMV8"
):
    _os.kill(_os.getpid(), _signal.SIGILL)

_numbers = tuple(int(_part) for _part in __version__.split(".")[:2])
if _numbers < (1, 24):
    bool = bool  # taken away in 1.24
float32, float16, int32, int64 = "float32", "float16", "int32", "int64"
