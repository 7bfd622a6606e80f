"""Restart the device, a moment after the reply has left."""

import os
import subprocess

from ..arguments import Integer, Text, accepts
from ..errors import ActionError
from ..files import read_text
from ..process import environment, find_tool
from ..results import Result

REBOOT_DELAY_S = 1
"""The reply travels first."""


@accepts(msg=Text(default="Reboot initiated by Fleet"), pre_reboot_delay=Integer(default=0, minimum=0))
def reboot(args, context):
    """Restart the device.

    args:
        pre_reboot_delay (seconds): users who are logged in are told, and have so long
    data:
        boot_id (str or None): of the boot that ends
        rebooting (bool)
    """
    boot_id = read_text("/proc/sys/kernel/random/boot_id")
    if context.check:
        return Result(True, {"boot_id": boot_id, "rebooting": False})
    if context.uid != 0:
        raise ActionError("only root may restart the device", "", "run the task with become: true", kind="refused")
    if context.session is None:
        raise ActionError("reboot cannot run as a job", "", "leave async away", kind="refused")
    tool = find_tool("/sbin/reboot", "/usr/sbin/reboot", "reboot")
    if tool is None:
        raise ActionError("there is no reboot on this device", "", "restart it by hand", kind="refused")
    context.session.after_reply.append(lambda: _restart(tool, args))
    return Result(True, {"boot_id": boot_id, "rebooting": True})


def _restart(tool, args):
    """From a process that outlives us: sshd is stopped on the way down."""
    wall = find_tool("/usr/bin/wall", "wall")
    tell = '"$1" "$2" 2>/dev/null; ' if wall else ""
    script = tell + 'sleep "$3"; exec "$0"'
    subprocess.Popen(
        ["/bin/sh", "-c", script, tool, wall or "", args.msg, str(REBOOT_DELAY_S + args.pre_reboot_delay)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=os.sep,
        start_new_session=True,
    )
