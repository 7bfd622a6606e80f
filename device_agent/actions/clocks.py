"""Clocks and fan at their maximum, proved by reading back."""

import os
import re

from ..arguments import Text, accepts
from ..errors import ActionError
from ..facts import clocks as state
from ..files import device_path, list_folder, read_int, read_text
from ..process import capture, find_tool, wait_until
from ..results import Result

TOOL = ("/usr/bin/jetson_clocks", "jetson_clocks")
SET_TIMEOUT_S = 90
SETTLE_S = 3.0
FAN_MAX = 255
PWM_FAN = "/sys/devices/pwm-fan/target_pwm"
HWMON = "/sys/class/hwmon"


@accepts(state=Text(default="keep", choices=("keep", "max")))
def jetson_clocks(args, context):
    """Hold the clocks at the most that the power mode allows. They are free again after a reboot.

    data:
        locked (bool or None): None where the board does not tell
        clocks (dict): as in the facts
    raises:
        ActionError: no jetson_clocks, not root, or the clocks did not follow
    """
    tool = find_tool(*TOOL)
    before = _read(tool, context)
    if args.state == "keep" or before["locked"]:
        return Result(data={"locked": before["locked"], "clocks": before})
    if tool is None:
        raise ActionError("this device has no jetson_clocks", "", "set clocks to keep")
    diff = (_shown(before), "locked")
    if context.check:
        return Result(True, {"locked": True, "clocks": before}, diff)
    if context.uid != 0:
        raise ActionError("only root may hold the clocks", "", "run the task with become: true", kind="refused")
    output = capture([tool], timeout_s=SET_TIMEOUT_S, merge=True)
    seen = []

    def held():
        seen.append(_read(tool, context))
        return seen[-1]["locked"]

    # Unknown options exit with 0 and success is silent, so only the clocks themselves are evidence.
    if output.timed_out or not wait_until(held, SETTLE_S if output.rc == 0 else 0, 0.3):
        lines = [line.strip() for line in output.stdout.splitlines() if line.strip()]
        raise ActionError(
            "the clocks are not held after jetson_clocks",
            lines[-1] if lines else "it said nothing and exited with {}".format(output.rc),
            "look at 'sudo jetson_clocks --show' on the device",
            rc=output.rc,
            output=lines[-20:],
            clocks=seen[-1] if seen else before,
        )
    return Result(True, {"locked": True, "clocks": seen[-1]}, diff)


def _read(tool, context):
    """The clocks from /sys; from jetson_clocks --show, which needs root, where /sys leaves it open."""
    clocks = state.read()
    if clocks["locked"] is None and tool is not None and context.uid == 0:
        # Without root its first line comes before the error, so the exit code is looked at here.
        output = capture([tool, "--show"], timeout_s=30, merge=True)
        shown = state.parse_show(output.stdout)
        if output.rc == 0 and shown["locked"] is not None:
            return shown
    return clocks


def _shown(clocks):
    gpu = clocks["gpu_hz"]
    return "GPU {} to {} MHz".format(gpu["min"] // 10**6, gpu["max"] // 10**6) if gpu else "not locked"


@accepts(speed=Text(default="keep", choices=("keep", "max")))
def fan(args, context):
    """Run the fan at full speed; a dynamic fan control that would undo it is stopped until the next boot.

    data:
        pwm (int or None): 0 to 255 afterwards; None without a fan
    raises:
        ActionError: no fan, not root, or the fan did not follow
    """
    path = _fan_path()
    pwm = read_int(path) if path else None
    if args.speed == "keep" or pwm == FAN_MAX:
        return Result(data={"pwm": pwm})
    if path is None:
        raise ActionError("this device has no fan that can be set", "", "set the fan to keep")
    diff = ("pwm {}".format(pwm), "pwm {}".format(FAN_MAX))
    if context.check:
        return Result(True, {"pwm": FAN_MAX}, diff)
    if context.uid != 0:
        raise ActionError("only root may set the fan", "", "run the task with become: true", kind="refused")
    systemctl = find_tool("/bin/systemctl", "/usr/bin/systemctl", "systemctl")
    if systemctl and capture([systemctl, "is-active", "nvfancontrol"], timeout_s=20).stdout.strip() == "active":
        capture([systemctl, "stop", "nvfancontrol"], timeout_s=60)
    with open(device_path(path), "w") as stream:
        stream.write(str(FAN_MAX))
    pwm = read_int(path)
    if pwm != FAN_MAX:
        raise ActionError("the fan did not follow", "pwm is {} after {} was written".format(pwm, FAN_MAX))
    return Result(True, {"pwm": pwm}, diff)


def _fan_path():
    """R32 has one file for the fan; later releases have it among the hardware monitors, by name."""
    if os.path.exists(device_path(PWM_FAN)):
        return PWM_FAN
    for name in list_folder(HWMON):
        folder = "{}/{}".format(HWMON, name)
        if re.match(r"pwm-?fan\Z", read_text(folder + "/name") or "") and read_int(folder + "/pwm1") is not None:
            return folder + "/pwm1"
    return None
