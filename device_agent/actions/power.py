"""The power mode: set it, and prove it by reading back, because success is silent and the status file can lie."""

import os
import re
import subprocess

from ..arguments import Flag, Text, accepts
from ..errors import ActionError
from ..facts import nvpmodel_conf
from ..facts import power as state
from ..process import capture, environment, find_tool, wait_until
from ..results import Result

SET_TIMEOUT_S = 60
SETTLE_S = 2.0
REBOOT_DELAY_S = 1.0
"""Between the reply and the reboot, for the reply to reach the controller."""


@accepts(mode=Text(default="keep"), allow_reboot=Flag(default=False))
def nvpmodel(args, context):
    """Put a power mode into force.

    args:
        mode (str): keep, fastest, or a name of the board's own table
        allow_reboot (bool): whether the board may restart, where the mode needs it
    data:
        mode (str), id (int): in force afterwards; while rebooting, what comes into force
        previous (str or None): in force before
        reboot_needed (bool): the mode was not set, because it needs a reboot that is not allowed
        rebooting (bool): the link dies a moment after this reply; read the mode again when the board is back
        drift ([dict]): where the board does not stand as its mode says
    raises:
        ActionError: no such mode, not root, nvpmodel failed, or the board did not follow
    """
    table = state.read_table()
    tool = find_tool(*state.NVPMODEL)
    if args.mode == "keep" and (not table or tool is None):
        return Result(data=_data(None, None, []))
    if tool is None or not table:
        missing = "/usr/sbin/nvpmodel" if tool is None else state.CONF
        raise ActionError("this device has no power modes", "{} is missing".format(missing), "set power mode to keep")
    now = state.current_mode(table)
    current = table.modes.get(now["id"]) if now else None
    previous = now["name"] if now else None
    drift = state.drift(table, current) if current else []
    if args.mode == "keep":
        return Result(data=_data(now, previous, drift))
    target = _choose(table, args.mode)
    if current is target and not _lies(table, target):
        return Result(data=_data(now, previous, drift))
    diff = (previous, target.name)
    wanted = {"id": target.id, "name": target.name}
    if context.check:
        reboot = state.masks_differ(table, target)
        refused = reboot and not args.allow_reboot
        predicted = _data(now, previous, drift) if refused else _data(wanted, previous, [])
        predicted.update(reboot_needed=refused, rebooting=reboot and args.allow_reboot)
        return Result(not refused, predicted, diff)
    if context.uid != 0:
        raise ActionError("only root may change the power mode", "", "run the task with become: true", kind="refused")
    output = capture([tool, "-m", str(target.id)], timeout_s=SET_TIMEOUT_S, merge=True)
    # It reads the answer from stdin, which is empty: then it changes nothing and exits with 234.
    if re.search(r"Reboot required|DO YOU WANT TO REBOOT", output.stdout):
        if not args.allow_reboot:
            return Result(False, dict(_data(now, previous, drift), reboot_needed=True), diff)
        context.session.after_reply.append(lambda: _reboot_into(tool, target.id))
        return Result(True, dict(_data(wanted, previous, []), rebooting=True), diff)
    patience_s = 0 if output.rc != 0 or "NVPM ERROR" in output.stdout else SETTLE_S
    followed = wait_until(lambda: _in_force(table, target), patience_s, 0.2)
    # Exit codes are weak evidence in both directions: what counts is how the board stands.
    if not followed or output.timed_out:
        raise ActionError(
            "power mode {} could not be set".format(target.name),
            _reason(output, table, target),
            "look at 'nvpmodel -q --verbose' and 'systemctl status nvpmodel' on the device",
            rc=output.rc,
            output=output.stdout.splitlines()[-20:],
            drift=state.drift(table, target),
        )
    return Result(True, _data(wanted, previous, state.drift(table, target)), diff)


def _choose(table, name):
    if name == "fastest":
        return nvpmodel_conf.fastest(list(table.modes.values()))
    for mode in table.modes.values():
        if mode.name == name:
            return mode
    known = ", ".join(table.modes[mode_id].name for mode_id in sorted(table.modes))
    raise ActionError(
        "nvpmodel: argument 'mode' is '{}'".format(name),
        "allowed on this device: keep, fastest, {}".format(known),
        kind="refused",
        argument="mode",
    )


def _data(mode, previous, drift):
    mode = mode or {"id": None, "name": None}
    return {
        "mode": mode["name"],
        "id": mode["id"],
        "previous": previous,
        "reboot_needed": False,
        "rebooting": False,
        "drift": drift,
    }


def _lies(table, mode):
    return [entry for entry in state.drift(table, mode) if entry["lies"]]


def _in_force(table, mode):
    now = state.current_mode(table)
    return now is not None and now["id"] == mode.id and not _lies(table, mode)


def _reason(output, table, target):
    if output.timed_out:
        return "nvpmodel was not finished after {} s".format(SET_TIMEOUT_S)
    errors = [line for line in output.stdout.splitlines() if "NVPM ERROR" in line]
    if errors:
        return errors[0].strip()
    wrong = _lies(table, target)
    if wrong:
        return "{param} {arg} is {live} where the mode says {wanted}".format(**wrong[0])
    return "nvpmodel exited with {} and another mode is in force".format(output.rc)


def _reboot_into(tool, mode_id):
    """Answer nvpmodel's question with yes, from a process that outlives us."""
    script = 'sleep {}; echo yes | "$0" -m "$1"'.format(REBOOT_DELAY_S)
    subprocess.Popen(
        ["/bin/sh", "-c", script, tool, str(mode_id)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=os.sep,
        start_new_session=True,
    )
