"""Memory of small boards: a swap file, the compressed swap of the release, and whether a desktop is started."""

import os
import re

from ..arguments import Flag, Integer, Text, accepts
from ..errors import ActionError
from ..files import device_path, free_bytes, read_text, remove, write_atomic
from ..process import capture, find_tool
from ..results import Result

ZRAM_UNIT = "nvzramconfig.service"
SPARE_BYTES = 512 * 1024 * 1024
"""What must stay free on the disk beside the swap file."""
TOOL_TIMEOUT_S = 600
FSTAB = "/etc/fstab"
TEXT_TARGET, DESKTOP_TARGET = "multi-user.target", "graphical.target"


@accepts(
    path=Text(default="/mnt/fleet.swap", pattern=r"/[^\s\0]+", allowed="an absolute path without spaces"),
    size=Integer(default=0, minimum=0),
    state=Text(default="present", choices=("present", "absent")),
)
def swapfile(args, context):
    """Keep a swap file of a given size, in use now and after every boot; or remove it.

    args:
        path (str): where it lies
        size (int): bytes; 0 counts as absent
    data:
        path (str), size (int): bytes in force afterwards; active (bool)
    raises:
        ActionError: not root, not enough room (needed and free, in bytes), or a tool failed
    """
    wanted = args.size if args.state == "present" else 0
    line = "{} none swap sw 0 0".format(args.path)
    size, active, fstab = _file_size(args.path), args.path in _swaps(), read_text(FSTAB) or ""
    kept = [text for text in fstab.splitlines() if text.split("#")[0].split()[:1] != [args.path]]
    table = kept + ([line] if wanted else [])
    right = size == wanted and active == bool(wanted)
    if right and table == fstab.splitlines():
        return Result(data={"path": args.path, "size": size, "active": active})
    diff = (_shown(args.path, size, active), _shown(args.path, wanted, bool(wanted)))
    data = {"path": args.path, "size": wanted, "active": bool(wanted)}
    free = free_bytes(device_path(os.path.dirname(args.path)))
    if wanted > size and free is not None and free + size < wanted + SPARE_BYTES:
        raise ActionError(
            "there is no room for a swap file of {} MiB".format(wanted // 2**20),
            "{} MiB are free where {} lies, {} are to stay free".format(free // 2**20, args.path, SPARE_BYTES // 2**20),
            "choose a smaller size, or another disk for its path",
            needed_bytes=wanted + SPARE_BYTES,
            free_bytes=free,
        )
    if context.check:
        return Result(True, data, diff)
    _need_root(context)
    if not right:
        if active:
            _tool(["swapoff", args.path])
        if not wanted:
            remove(device_path(args.path))
        else:
            if size != wanted:
                _make_file(args.path, wanted)
            _tool(["mkswap", device_path(args.path)])
            _tool(["swapon", args.path])
    if table != fstab.splitlines():
        write_atomic(device_path(FSTAB), "".join(text + "\n" for text in table))
    size, active = _file_size(args.path), args.path in _swaps()
    if size != wanted or active != bool(wanted):
        raise ActionError(
            "the swap file did not come into force", _shown(args.path, size, active), "look at /proc/swaps"
        )
    return Result(True, {"path": args.path, "size": size, "active": active}, diff)


def _make_file(path, size):
    target = device_path(path)
    remove(target)
    # Made private before it has content: pages of every process go there.
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    fallocate = find_tool("fallocate")
    output = capture([fallocate, "-l", str(size), target], timeout_s=TOOL_TIMEOUT_S) if fallocate else None
    if output is None or output.rc != 0:
        # Some file systems have no fallocate, and swapon refuses files with holes.
        _tool(["dd", "if=/dev/zero", "of=" + target, "bs=1048576", "count={}".format(size // 2**20)])
    os.chmod(target, 0o600)


def _file_size(path):
    try:
        return os.path.getsize(device_path(path))
    except OSError:
        return 0


def _swaps():
    """{path: (size_bytes, used_bytes)} of what the kernel swaps to."""
    rows = [line.split() for line in (read_text("/proc/swaps") or "").splitlines()[1:]]
    return {row[0]: (int(row[2]) * 1024, int(row[3]) * 1024) for row in rows if len(row) >= 4}


def _shown(path, size, active):
    return "{}: {}\n".format(
        path, "{} MiB, {}".format(size // 2**20, "in use" if active else "not in use") if size else "none"
    )


def _tool(argv):
    tool = find_tool(argv[0])
    if tool is None:
        raise ActionError("there is no {} on this device".format(argv[0]))
    output = capture([tool] + argv[1:], timeout_s=TOOL_TIMEOUT_S, merge=True)
    if output.rc != 0:
        lines = [line for line in output.stdout.splitlines() if line.strip()]
        raise ActionError("{} failed".format(" ".join(argv)), lines[-1] if lines else "exit code {}".format(output.rc))
    return output


def _need_root(context):
    if context.uid != 0:
        raise ActionError("only root may change this", "", "run the task with become: true", kind="refused")


@accepts(state=Text(choices=("enabled", "disabled")))
def zram(args, context):
    """Have the release's compressed swap in memory, or not (beside a swap file it only costs memory).

    data:
        available (bool): whether this release has it at all
        enabled (bool): at boot; devices ([str]): in use now
        left ([str]): still in use until the next boot, because their content does not fit into memory
    """
    wanted = args.state == "enabled"
    systemctl = _systemctl()
    known = capture([systemctl, "show", "--property=LoadState", ZRAM_UNIT], timeout_s=60).stdout
    if "not-found" in known:
        if wanted:
            why = "there is no {} on this release".format(ZRAM_UNIT)
            raise ActionError("the compressed swap cannot be enabled", why, "use a swap file")
        return Result(data={"available": False, "enabled": False, "devices": [], "left": []})
    enabled, devices = _is_enabled(systemctl), _zram_devices()
    if enabled == wanted and bool(devices) == wanted:
        return Result(data={"available": True, "enabled": enabled, "devices": sorted(devices), "left": []})
    diff = (_zram_shown(enabled, devices), _zram_shown(wanted, devices if wanted else []))
    if context.check:
        data = {"available": True, "enabled": wanted, "devices": sorted(devices) if wanted else [], "left": []}
        return Result(True, data, diff)
    _need_root(context)
    left = []
    if wanted:
        _tool(["systemctl", "enable", ZRAM_UNIT])
        if not devices:
            _tool(["systemctl", "restart", ZRAM_UNIT])
    else:
        _tool(["systemctl", "disable", ZRAM_UNIT])
        for device in sorted(devices):
            if devices[device][1] > _available_bytes():
                left.append(device)
            else:
                _tool(["swapoff", device])
    enabled, devices = _is_enabled(systemctl), _zram_devices()
    if enabled != wanted:
        raise ActionError(
            "{} did not follow".format(ZRAM_UNIT), "it is {}".format("enabled" if enabled else "disabled")
        )
    return Result(True, {"available": True, "enabled": enabled, "devices": sorted(devices), "left": left}, diff)


def _systemctl():
    systemctl = find_tool("/bin/systemctl", "/usr/bin/systemctl", "systemctl")
    if systemctl is None:
        raise ActionError("there is no systemctl on this device", "it does not run systemd")
    return systemctl


def _is_enabled(systemctl):
    return capture([systemctl, "is-enabled", ZRAM_UNIT], timeout_s=60).stdout.strip() == "enabled"


def _zram_devices():
    return {path: sizes for path, sizes in _swaps().items() if path.startswith("/dev/zram")}


def _zram_shown(enabled, devices):
    return "{} at boot, {} devices in use\n".format("on" if enabled else "off", len(devices))


def _available_bytes():
    match = re.search(r"^MemAvailable:\s+(\d+) kB", read_text("/proc/meminfo") or "", re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0


@accepts(state=Text(choices=("enabled", "disabled")), now=Flag(default=False))
def headless(args, context):
    """Boot into text mode, which leaves 250 to 800 MB more to the GPU; or into the desktop again.

    args:
        now (bool): also stop (or start) the desktop at once
    data:
        default (str): the target of the next boot
        desktop (bool): whether the desktop is up now
    """
    systemctl = _systemctl()
    wanted = TEXT_TARGET if args.state == "enabled" else DESKTOP_TARGET
    default, desktop = _default_target(systemctl), _desktop_is_up(systemctl)
    switch = args.now and desktop != (wanted == DESKTOP_TARGET)
    if default == wanted and not switch:
        return Result(data={"default": default, "desktop": desktop})
    diff = (
        _target_shown(default, desktop),
        _target_shown(wanted, desktop if not args.now else wanted == DESKTOP_TARGET),
    )
    if context.check:
        up = wanted == DESKTOP_TARGET if args.now else desktop
        return Result(True, {"default": wanted, "desktop": up}, diff)
    _need_root(context)
    if default != wanted:
        _tool(["systemctl", "set-default", wanted])
    if switch:
        _tool(["systemctl", "isolate", wanted])
    default = _default_target(systemctl)
    if default != wanted:
        raise ActionError("the boot target did not follow", "it is {}".format(default))
    return Result(True, {"default": default, "desktop": _desktop_is_up(systemctl)}, diff)


def _default_target(systemctl):
    return capture([systemctl, "get-default"], timeout_s=60).stdout.strip()


def _desktop_is_up(systemctl):
    return capture([systemctl, "is-active", DESKTOP_TARGET], timeout_s=60).stdout.strip() == "active"


def _target_shown(target, desktop):
    return "boots into {}, desktop {}\n".format(target, "up" if desktop else "down")
