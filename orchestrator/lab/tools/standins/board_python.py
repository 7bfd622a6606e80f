# What the device's own Python sees otherwise than the host's: clock, machine, and how much room a full disk has. Run at
# every start of that Python (see lab/root.py), under 3.6 to 3.13; it reads the files anew at each call, for an agent
# lives long.
import os
import time

_CLOCK, _DISK = "/.lab/clock", "/.lab/disk"


def _number(path):
    try:
        with open(path) as stream:
            return float(stream.read() or 0)
    except (OSError, ValueError):
        return None


def _patch_clock():
    real = time.time
    formats = {name: getattr(time, name) for name in ("gmtime", "localtime", "ctime")}

    def now():
        return real() + (_number(_CLOCK) or 0.0)

    time.time = now
    if hasattr(time, "time_ns"):
        time.time_ns = lambda: int(now() * 1000000000)

    def seconds_or_now(function):
        return lambda seconds=None: function(now() if seconds is None else seconds)

    for name, function in formats.items():
        setattr(time, name, seconds_or_now(function))


def _patch_disk():
    real = os.statvfs

    def statvfs(path):
        found = real(path)
        free = _number(_DISK)
        if free is None:
            return found
        values = list(found[:10])
        values[3] = values[4] = min(values[4], int(free) // values[1])
        return os.statvfs_result(values)

    os.statvfs = statvfs


def _patch_uname():
    real = os.uname

    def uname():
        found = real()
        try:
            with open("/.lab/uname") as stream:
                release, machine = stream.read().split()
        except (OSError, ValueError):
            return found
        return os.uname_result((found[0], found[1], release, found[3], machine))

    os.uname = uname


if os.path.exists("/.lab/profile.json"):
    _patch_clock()
    _patch_uname()
    _patch_disk()
