"""The CUDA driver as far as one asks it for its devices."""

import grp as _grp
import json as _json
import os as _os
import pwd as _pwd
import sys as _sys

BUILT_FOR = "@CUDA@"


class Error(Exception):
    pass


class LogicError(Error):
    pass


def _board():
    with open("/.lab/profile.json") as stream:
        return _json.load(stream)


if str(_board().get("cuda", {}).get("release")) != BUILT_FOR:
    raise ImportError("libcurand.so." + BUILT_FOR + ": cannot open shared object file: No such file or directory")


def _allowed():
    if _os.geteuid() == 0:
        return True
    user = _pwd.getpwuid(_os.geteuid()).pw_name
    return any(group.gr_name == "video" and user in group.gr_mem for group in _grp.getgrall())


_ready = False


def init(flags=0):
    global _ready
    if not _allowed():
        _sys.stderr.write(
            "NvRmMemInitNvmap failed with Permission denied\n549: Memory Manager Not supported\n\n\n"
            "****NvRmMemInit failed**** error type: 196626\n\n\n*** NvRmMemMgrInit failed\n"
        )
        raise LogicError("cuInit failed: unknown error")
    _ready = True


def get_version():
    return tuple(int(part) for part in (BUILT_FOR + ".0").split(".")[:3])


def get_driver_version():
    numbers = [int(part) for part in BUILT_FOR.split(".")]
    return numbers[0] * 1000 + numbers[1] * 10


class Device:
    """The one GPU of the board."""

    def __init__(self, number):
        if not _ready:
            raise LogicError("cuDeviceGet failed: initialization error")
        if number != 0:
            raise LogicError("cuDeviceGet failed: invalid device ordinal")
        self._board = _board()

    @staticmethod
    def count():
        if not _ready:
            raise LogicError("cuDeviceGetCount failed: initialization error")
        return 1

    def name(self):
        return str(self._board["tensorrt"]["device_name"])

    def compute_capability(self):
        return tuple(int(part) for part in str(self._board["tensorrt"]["sm"]).split("."))

    def total_memory(self):
        return int(self._board["ram_mb"]) * 1024 * 1024

    def make_context(self, flags=0):
        return Context()


class Context:
    def pop(self):
        pass

    def detach(self):
        pass
