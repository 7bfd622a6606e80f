"""tegrastats: one line per interval until it is killed, in the layout of the board and its release."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, TextIO

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import power

USAGE = """Usage: tegrastats [-option]
Options:
    --help                  : print this help screen
    --interval <millisec>   : sample the information in <milliseconds>
    --logfile  <filename>   : dump the output of tegrastats to <filename>
    --load_cfg <filename>   : load the information from <filename>
    --save_cfg <filename>   : save the information to <filename>
    --start                 : run tegrastats as a daemon process in the background
    --stop                  : stop any running instances of tegrastats
    --verbose               : print verbose message"""


def main(argv: list[str]) -> int:
    interval_ms, target = 1000, ""
    args = list(argv)
    while args:
        arg = args.pop(0)
        if arg == "--interval" and args and args[0].isdigit():
            interval_ms = int(args.pop(0))
        elif arg == "--logfile" and args:
            target = args.pop(0)
        elif arg in ("--stop", "--start", "--verbose"):
            if arg == "--stop":
                return 0
        else:
            print(USAGE)
            return 0 if arg == "--help" else 1
    profile = device.profile()
    if target:
        with open(target, "a", encoding="utf-8") as stream:
            return _loop(profile, interval_ms, stream)
    return _loop(profile, interval_ms, sys.stdout)


def _loop(profile: dict[str, Any], interval_ms: int, stream: TextIO) -> int:
    while True:
        # The first line comes after one interval, as on a board.
        time.sleep(max(1, interval_ms) / 1000)
        print(line(profile), file=stream, flush=True)


def line(profile: dict[str, Any]) -> str:
    """One sample: memory, cores and clocks of the state; temperatures and rails of the board's capture."""
    layout = profile["tegrastats"]
    memory = dict(entry.split(":", 1) for entry in device.read("/proc/meminfo").splitlines() if ":" in entry)
    mib = {key: int(value.split()[0]) // 1024 for key, value in memory.items()}
    cores = []
    for n in range(profile["power"]["cpu"]["cores"]):
        folder = f"{power.CPU}/cpu{n}"
        mhz = int(device.read(f"{folder}/cpufreq/scaling_cur_freq", "0")) // 1000
        cores.append(f"0%@{mhz}" if device.read(f"{folder}/online", "1") == "1" else "off")
    emc = profile["power"]["emc"]
    cap = int(device.read(emc["cap"], "0")) or emc["max_hz"]
    text = layout["root" if device.is_root() else "user"].format(
        ram=mib["MemTotal"] - mib["MemAvailable"],
        total=mib["MemTotal"],
        swap=mib["SwapTotal"],
        cpus=",".join(cores),
        gpu_load=0,
        gpu=int(device.read(profile["power"]["gpu"]["devfreq"] + "/cur_freq", "0")) // 1000000,
        emc=min(cap, emc["max_hz"]) // 1000000,
    )
    return time.strftime("%m-%d-%Y %H:%M:%S ") + text if layout.get("timestamp") else text


if __name__ == "__main__":
    device.run(main)
