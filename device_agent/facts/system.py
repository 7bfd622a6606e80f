"""The machine, its operating system, memory and disk."""

import grp
import os
import pwd
import re
import sys
import time

from ..files import device_path, free_bytes, read_text

NAMES = (
    "virtual",
    "hostname",
    "machine",
    "kernel",
    "os",
    "python",
    "boot_id",
    "time",
    "uptime_s",
    "user",
    "groups",
    "model",
    "compatible",
    "boardids",
    "ram_bytes",
    "ram_available_bytes",
    "swap_bytes",
    "zram_bytes",
    "disk_free_bytes",
)

DEVICE_TREE = "/proc/device-tree"


def read(root):
    """Facts that are plain files or system calls."""
    release = read_text("/etc/os-release") or ""
    memory = dict(re.findall(r"(?m)^(\w+):\s+(\d+) kB", read_text("/proc/meminfo") or ""))
    uptime = re.match(r"\d+(?:\.\d+)?", read_text("/proc/uptime") or "")
    compatible = read_text(DEVICE_TREE + "/compatible")
    return {
        "virtual": os.path.exists(device_path("/etc/fleet-virtual.json")),
        "hostname": os.uname().nodename,
        "machine": os.uname().machine,
        "kernel": os.uname().release,
        "os": {"id": _release_field(release, "ID"), "version": _release_field(release, "VERSION_ID")},
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "boot_id": read_text("/proc/sys/kernel/random/boot_id"),
        "time": time.time(),
        "uptime_s": float(uptime.group()) if uptime else None,
        "user": _user(),
        "groups": _groups(),
        "model": read_text(DEVICE_TREE + "/model"),
        "compatible": [name for name in compatible.split("\0") if name] if compatible else [],
        "boardids": read_text(DEVICE_TREE + "/nvidia,boardids"),
        "ram_bytes": _kib(memory, "MemTotal"),
        "ram_available_bytes": _kib(memory, "MemAvailable"),
        "swap_bytes": _kib(memory, "SwapTotal"),
        "zram_bytes": _zram(read_text("/proc/swaps")),
        "disk_free_bytes": free_bytes(root.path),
    }


def _release_field(text, name):
    match = re.search(r"""(?m)^{}=["']?([^"'\n]*)""".format(name), text)
    return match.group(1) if match else None


def _kib(memory, name):
    return int(memory[name]) * 1024 if name in memory else None


def _zram(swaps):
    """Bytes of swap that are compressed memory, or None where /proc/swaps cannot be read."""
    if swaps is None:
        return None
    return sum(int(size) * 1024 for size in re.findall(r"(?m)^/dev/zram\d+\s+\S+\s+(\d+)", swaps))


def _user():
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _groups():
    names = []
    for gid in sorted(set(os.getgroups()) | {os.getegid()}):
        try:
            names.append(grp.getgrgid(gid).gr_name)
        except KeyError:
            names.append(str(gid))
    return names
