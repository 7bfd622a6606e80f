"""What the device calls itself, and which time it shows."""

import os
import re

from ..arguments import Text, accepts
from ..errors import ActionError
from ..files import device_path, read_text, write_atomic
from ..process import capture, find_tool
from ..results import Result

TIMEOUT_S = 60
_ZONES = "/usr/share/zoneinfo"
_LOCALTIME = "/etc/localtime"
_TIMEZONE = "/etc/timezone"


@accepts(
    name=Text(
        pattern=r"(?=.{1,64}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*",
        allowed="a host name of letters, digits, hyphens and dots, at most 64",
    ),
    use=Text(default=None),
)
def hostname(args, context):
    """Set the host name, in force and for the next boot.

    data:
        name (str); ansible_facts: ansible_hostname, ansible_nodename, ansible_fqdn, ansible_domain
    """
    static = (read_text("/etc/hostname") or "").strip()
    live = _live_name()
    data = {"name": args.name, "ansible_facts": _names(args.name)}
    if static == args.name and live == args.name:
        return Result(False, data)
    diff = ("hostname = {}\n".format(static if static != args.name else live), "hostname = {}\n".format(args.name))
    if context.check:
        return Result(True, data, diff)
    tool = find_tool("/usr/bin/hostnamectl", "hostnamectl")
    if tool is not None:
        output = capture([tool, "set-hostname", args.name], timeout_s=TIMEOUT_S)
    if tool is None or output.rc != 0:
        # Without systemd's daemon (a container, a minimal image) the file and the kernel are set by hand.
        _write_line("/etc/hostname", args.name)
        output = capture([find_tool("/bin/hostname", "hostname") or "hostname", args.name], timeout_s=TIMEOUT_S)
        if output.rc != 0:
            raise _denied("the host name could not be set", output)
    static = (read_text("/etc/hostname") or "").strip()
    if static != args.name:
        raise ActionError("the host name is still {}".format(static), "hostnamectl said nothing", "set it by hand")
    return Result(True, data, diff)


def _live_name():
    output = capture([find_tool("/bin/hostname", "hostname") or "hostname"], timeout_s=TIMEOUT_S)
    return output.stdout.strip() if output.rc == 0 else os.uname().nodename


def _names(name):
    short, _, domain = name.partition(".")
    return {"ansible_hostname": short, "ansible_nodename": name, "ansible_fqdn": name, "ansible_domain": domain}


@accepts(
    name=Text(default=None, pattern=r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", allowed="a name such as Europe/Berlin"),
    hwclock=Text(default=None, choices=("UTC", "local")),
)
def timezone(args, context):
    """Set the time zone, and what the hardware clock shows.

    args:
        name (str): a file below /usr/share/zoneinfo
        hwclock (str): UTC or local, in /etc/adjtime
    data: name, hwclock (str): in force afterwards
    """
    if args.name is None and args.hwclock is None:
        raise ActionError("timezone: give 'name' or 'hwclock'", kind="refused", argument="name")
    if args.name is not None and not os.path.isfile(device_path("{}/{}".format(_ZONES, args.name))):
        raise ActionError(
            "there is no time zone {}".format(args.name),
            "the device has no {}/{}".format(_ZONES, args.name),
            "'timedatectl list-timezones' lists them; apt: {name: tzdata} where there are none",
            kind="refused",
            argument="name",
        )
    before = {"name": _zone(), "hwclock": _hardware_clock()}
    after = {key: getattr(args, key) if getattr(args, key) is not None else before[key] for key in before}
    changed = before != after or (args.name is not None and _debian_zone() not in (None, args.name))
    diff = tuple("".join("{}: {}\n".format(key, side[key]) for key in sorted(side)) for side in (before, after))
    if not changed or context.check:
        return Result(changed, after, diff if changed else None)
    if args.name is not None:
        _set_zone(args.name)
    if args.hwclock is not None and before["hwclock"] != args.hwclock:
        _set_hardware_clock(args.hwclock)
    return Result(True, {"name": _zone(), "hwclock": _hardware_clock()}, diff)


def _zone():
    """The zone that /etc/localtime points to, else what /etc/timezone says, else UTC."""
    try:
        target = os.path.normpath(os.path.join("/etc", os.readlink(device_path(_LOCALTIME))))
        if "/zoneinfo/" in target:
            return target.split("/zoneinfo/", 1)[1]
    except OSError:
        pass
    return _debian_zone() or "UTC"


def _debian_zone():
    text = read_text(_TIMEZONE)
    return text.strip() or None if text is not None else None


def _set_zone(name):
    tool = find_tool("/usr/bin/timedatectl", "timedatectl")
    if tool is not None:
        capture([tool, "set-timezone", name], timeout_s=TIMEOUT_S)
    if _zone() != name:
        path = device_path(_LOCALTIME)
        temporary = path + ".fleet-new"
        if os.path.lexists(temporary):
            os.unlink(temporary)
        os.symlink("{}/{}".format(_ZONES, name), temporary)
        os.replace(temporary, path)
    if _debian_zone() not in (None, name):
        _write_line(_TIMEZONE, name)


def _hardware_clock():
    lines = (read_text("/etc/adjtime") or "").splitlines()
    return "local" if len(lines) > 2 and lines[2].strip() == "LOCAL" else "UTC"


def _set_hardware_clock(wanted):
    tool = find_tool("/usr/bin/timedatectl", "timedatectl")
    if tool is not None:
        capture([tool, "set-local-rtc", "1" if wanted == "local" else "0"], timeout_s=TIMEOUT_S)
    if _hardware_clock() != wanted:
        lines = (read_text("/etc/adjtime") or "0.0 0 0.0\n0").splitlines()[:2]
        _write("/etc/adjtime", "\n".join(lines + ["LOCAL" if wanted == "local" else "UTC"]) + "\n")


def _write_line(path, line):
    _write(path, line + "\n")


def _write(path, text):
    target = device_path(path)
    mode = os.stat(target).st_mode & 0o7777 if os.path.exists(target) else 0o644
    write_atomic(target, text, mode)


def _denied(what, output):
    said = [line for line in (output.stderr or output.stdout).splitlines() if line.strip()]
    denied = re.search(r"ermission|authentication|must be root|not permitted", output.stderr)
    return ActionError(
        what,
        said[-1].strip() if said else "exit code {}".format(output.rc),
        "run the task with become: true" if denied else "",
        rc=output.rc,
        stderr=output.stderr,
    )
