"""Kernel parameters: in a file for the next boot, and in force."""

import os
import re

from ..arguments import Flag, Text, accepts
from ..attributes import Path
from ..errors import ActionError
from ..files import device_path, read_text, write_atomic
from ..process import capture, find_tool
from ..results import Result


@accepts(
    name=Text(pattern=r"[A-Za-z0-9_][A-Za-z0-9_./-]*", allowed="a parameter's name"),
    value=Text(default=None, pattern=r"[^\n]*", allowed="one line"),
    state=Text(default="present", choices=("present", "absent")),
    reload=Flag(default=True),
    sysctl_file=Path(default="/etc/sysctl.conf"),
    sysctl_set=Flag(default=False),
    ignoreerrors=Flag(default=False),
)
def sysctl(args, context):
    """Keep a kernel parameter.

    args:
        value (str): needed where state is present; white space between numbers counts as one blank
        reload (bool): read the file after a change, as at boot
        sysctl_set (bool): also compare with, and set, what is in force
    data:
        name, value, state, live (str): what is in force afterwards
    """
    if args.state == "present" and not (args.value or "").strip():
        raise ActionError("sysctl: argument 'value' is missing", kind="refused", argument="value")
    tool = find_tool("/sbin/sysctl", "/usr/sbin/sysctl", "sysctl")
    if tool is None:
        raise ActionError("there is no sysctl on this device", "", "apt: {name: procps}")
    value = _normal(args.value) if args.state == "present" else None
    text = read_text(args.sysctl_file)
    before = text.splitlines() if text is not None else []
    after = _after(before, args.name, value)
    in_file = after != before
    live = _live(tool, args.name)
    to_set = args.sysctl_set and value is not None and live != value
    diff = None
    if in_file:
        diff = {
            "before": "".join(line + "\n" for line in before),
            "after": "".join(line + "\n" for line in after),
            "before_header": args.sysctl_file,
            "after_header": args.sysctl_file,
        }
    data = {"name": args.name, "value": args.value, "state": args.state, "live": live}
    if not (in_file or to_set) or context.check:
        return Result(in_file or to_set, data, diff)
    ignore = ["-e"] if args.ignoreerrors else []
    if to_set:
        _must([tool, "-w"] + ignore + ["{}={}".format(args.name, value)], args)
    if in_file:
        path = device_path(args.sysctl_file)
        mode = os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0o644
        write_atomic(path, "".join(line + "\n" for line in after), mode)
        if args.reload:
            _must([tool, "-p"] + ignore + [path], args)
    return Result(True, dict(data, live=_live(tool, args.name)), diff)


def _after(before, name, value):
    """The file's lines with the parameter set once, where it stood first; None as value removes it."""
    lines, placed = [], False
    for line in before:
        match = re.match(r"\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*\Z", line)
        if not match or _key(match.group(1)) != _key(name):
            lines.append(line)
        elif value is not None and not placed:
            placed = True
            lines.append(line if _normal(match.group(2)) == value else "{}={}".format(name, value))
    if value is not None and not placed:
        lines.append("{}={}".format(name, value))
    return lines


def _key(name):
    # net/ipv4/ip_forward and net.ipv4.ip_forward are one parameter; a leading dash says that failing is no error.
    return name.lstrip("-").strip().replace("/", ".")


def _normal(value):
    value = " ".join(value.split())
    return {"true": "1", "yes": "1", "on": "1", "false": "0", "no": "0", "off": "0"}.get(value.lower(), value)


def _live(tool, name):
    output = capture([tool, "-n", name], timeout_s=30)
    return _normal(output.stdout) if output.rc == 0 else None


def _must(argv, args):
    output = capture(argv, timeout_s=60)
    # Older versions exit with 0 although they could not set it.
    refused = output.rc != 0 or re.search(r"(?m)^sysctl: (?!.*ignoring)", output.stderr)
    if refused and not args.ignoreerrors:
        said = (output.stderr or output.stdout).strip().splitlines()
        denied = re.search(r"[Pp]ermission denied|Operation not permitted|Read-only", output.stderr)
        raise ActionError(
            "the kernel parameter {} could not be set".format(args.name),
            said[-1] if said else "sysctl exited with {}".format(output.rc),
            "run the task with become: true" if denied else "check its name and value",
            rc=output.rc,
            stdout=output.stdout,
            stderr=output.stderr,
        )
