"""systemd units."""

from ..arguments import Text, accepts
from ..errors import ActionError
from ..process import capture, find_tool
from ..results import Result

TIMEOUT_S = 120


@accepts(
    name=Text(pattern=r"[A-Za-z0-9][A-Za-z0-9:_.@\\-]*", allowed="a unit's name"),
    state=Text(default="restarted", choices=("restarted",)),
)
def service(args, context):
    """Restart a unit and see that it came up. data: name (str), active (str): what `is-active` says."""
    systemctl = find_tool("/bin/systemctl", "/usr/bin/systemctl", "systemctl")
    if systemctl is None:
        raise ActionError("there is no systemctl on this device", "it does not run systemd")
    known = capture([systemctl, "show", "--property=LoadState", args.name], timeout_s=TIMEOUT_S)
    if "LoadState=not-found" in known.stdout:
        raise ActionError("there is no unit {}".format(args.name), kind="refused", argument="name")
    if context.check:
        return Result(True, {"name": args.name, "active": "active"})
    restart = capture([systemctl, "restart", args.name], timeout_s=TIMEOUT_S, merge=True)
    if restart.timed_out or restart.rc != 0:
        why = "no answer in {} s".format(TIMEOUT_S) if restart.timed_out else _last_line(restart.stdout)
        remedy = "look at 'journalctl -u {}' on the device".format(args.name)
        raise ActionError("unit {} could not be restarted".format(args.name), why, remedy)
    active = capture([systemctl, "is-active", args.name], timeout_s=TIMEOUT_S).stdout.strip()
    return Result(True, {"name": args.name, "active": active})


def _last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
