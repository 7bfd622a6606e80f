"""jetson_clocks: silent when it works, lost at reboot, with each release's own way of showing the clocks."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import power

RED, PLAIN = "\033[0;31m", "\033[0m"
USAGE = """Usage:
jetson_clocks [options]
  options,
  --help, -h         Show help
  --show             display current settings
  --store [file]     store current settings to a file (default: ${HOME}/l4t_dfs.conf)
  --restore [file]   restore saved settings from a file (default: ${HOME}/l4t_dfs.conf)
  --fan              set maximum PWM fan speed
  run jetson_clocks without any option to set maximum performance (maximum CPU, GPU and EMC frequencies)"""


def main(argv: list[str]) -> int:
    profile = device.profile()
    show = fan = False
    store = restore = None
    args = list(argv)
    while args:
        arg = args.pop(0)
        following = args.pop(0) if arg in ("--store", "--restore") and args and not args[0].startswith("-") else ""
        if arg in ("-h", "--help"):
            print(USAGE)
            return 0
        if arg == "--show":
            show = True
            # Said while the options are read, so also to a caller who is then refused.
            model = device.read("/proc/device-tree/model").rstrip("\0")
            print(f"SOC family:{profile['clocks_show']['soc']}  Machine:{model}", flush=True)
        elif arg == "--store":
            store = following or _default_file(profile)
        elif arg == "--restore":
            restore = following or _default_file(profile)
        elif arg == "--fan":
            fan = True
        else:
            print(f"{RED}Unknown option: {arg}{PLAIN}")
            print(USAGE)
            return 0
    if not device.is_root():
        print("Error: Run this script(/usr/bin/jetson_clocks) as a root user")
        return 1
    if show:
        _show(profile)
        return 0
    if store:
        return _store(store, profile)
    if restore:
        return _restore(restore, profile)
    _set_locked(profile, True)
    if fan:
        device.write(profile["fan"]["path"], "255\n")
    return 0


def _newer(profile: dict[str, Any]) -> bool:
    return profile["sudo"]["style"] != "bionic"


def _default_file(profile: dict[str, Any]) -> str:
    home = os.environ.get("HOME", "/root")
    return home + ("/.jetsonclocks_conf.txt" if _newer(profile) else "/l4t_dfs.conf")


def _set_locked(profile: dict[str, Any], locked: bool) -> None:
    with device.changing() as state:
        state["clocks"] = {"locked": locked}
        power.apply(power.parse(device.read(power.CONF)), state["mode"], profile["power"], locked)


def _store(name: str, profile: dict[str, Any]) -> int:
    if os.path.exists(device.path(name)):
        print(f"File {name} already exists. Can I overwrite it? Y/N:", flush=True)
        if not sys.stdin.readline().strip().lower().startswith("y"):
            print(f"Error: file {name} already exists!")
            return 1
    if _newer(profile):
        print(f"Storing system configuration in {name}")
    device.write(name, json.dumps(device.state()["clocks"]) + "\n")
    return 0


def _restore(name: str, profile: dict[str, Any]) -> int:
    stored = device.read(name)
    if not stored:
        print(f"Error: {name} file not found !")
        return 1
    if _newer(profile):
        print(f"Restoring system configuration from {name}")
    _set_locked(profile, bool(json.loads(stored).get("locked")))
    return 0


def _show(profile: dict[str, Any]) -> None:
    layout, table = profile["clocks_show"], profile["power"]
    locked = device.state()["clocks"]["locked"]
    print(f"Online CPUs: {device.read(power.CPU + '/online')}")
    if layout["cluster_line"] and not locked:
        print("CPU Cluster Switching: Disabled")
    idle = " ".join(f"{name}={0 if locked else 1}" for name in table["cpu"]["idle"])
    for n in range(table["cpu"]["cores"]):
        folder = f"{power.CPU}/cpu{n}"
        low, high, now = (device.read(f"{folder}/cpufreq/scaling_{key}_freq") for key in ("min", "max", "cur"))
        online = device.read(f"{folder}/online", "1")
        print(
            f"cpu{n}:{layout['cpu_gap']}Online={online} Governor=schedutil MinFreq={low} MaxFreq={high} "
            f"CurrentFreq={now} IdleStates: {idle} "
        )
    folder = table["gpu"]["devfreq"]
    low, high, now = (device.read(f"{folder}/{key}_freq") for key in ("min", "max", "cur"))
    print(f"GPU MinFreq={low} MaxFreq={high} CurrentFreq={now}")
    if layout.get("active_tpcs"):
        print(f"Active GPU TPCs: {_active_tpcs(table)}")
    print(_emc(table, locked))
    for item in layout.get("accelerators", []):
        cap = device.read(table["caps"][item["cap"]]["path"])
        print(f"{item['label']}Online=1 MinFreq=0 MaxFreq={cap} CurrentFreq={cap}")
    print(layout["fan"].format(pwm=device.read(profile["fan"]["path"], "0")))
    mode = device.state()["mode"]
    print(f"NV Power Mode: {power.parse(device.read(power.CONF)).modes[mode][0]}")


def _active_tpcs(table: dict[str, Any]) -> int:
    gated = bin(int(device.read(f"{table['gpu']['base']}/tpc_pg_mask", "0"))).count("1")
    whole = 8
    return whole - gated


def _emc(table: dict[str, Any], locked: bool) -> str:
    emc = table["emc"]
    cap = int(device.read(emc["cap"], "0")) or emc["max_hz"]
    high = min(cap, emc["max_hz"])
    now = high if locked else min(high, emc.get("idle_hz", emc["min_hz"]))
    return f"EMC MinFreq={emc['min_hz']} MaxFreq={high} CurrentFreq={now} FreqOverride={int(locked)}"


if __name__ == "__main__":
    device.run(main)
