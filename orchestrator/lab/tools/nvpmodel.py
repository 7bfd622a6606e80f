"""nvpmodel as the boards have it: queries, silent switches, the reboot prompt, and its habit of lying with rc 0."""

from __future__ import annotations

import os
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import power

EACCES = 13
BAD_INPUT = 234
FAILED = 255


def main(argv: list[str]) -> int:
    verbose = force = query = listing = False
    mode: int | None = None
    fan: str | None = None
    conf_file = power.CONF
    args = list(argv)
    while args:
        arg = args.pop(0)
        if arg in ("-q", "--query"):
            query = True
        elif arg in ("-p", "--parse"):
            listing = True
        elif arg == "--verbose":
            verbose = True
        elif arg == "--force":
            force = True
        elif arg in ("-m", "--mode", "-f", "--file", "-d"):
            if not args:
                print(USAGE)
                return FAILED
            value = args.pop(0)
            if arg in ("-f", "--file"):
                conf_file = value
            elif arg == "-d":
                fan = value
            elif value.isdigit():
                mode = int(value)
            else:
                return _no_request()
        else:
            print(USAGE)
            return 0 if arg in ("-h", "--help") else FAILED
    if not (query or listing or mode is not None or fan):
        print(USAGE)
        return FAILED
    table = device.profile()["power"]
    text = device.read(conf_file)
    if not text:
        print(f"NVPM ERROR: Error opening {conf_file}: 2")
        return FAILED
    conf = power.parse(text)
    if verbose:
        print(f"NVPM VERB: Config file: {conf_file}")
        print(f"NVPM VERB: parsing done for {conf_file}")
    if listing:
        _list(conf, conf_file, table, verbose)
    if mode is not None:
        code = _set(conf, mode, table, force)
        if code:
            return code
    if fan:
        power.save_status(power.status() or conf.default, fan)
    if query:
        _query(conf, table, verbose)
    return 0


USAGE = """Usage: nvpmodel [options]
  -h, --help        show this help
  -q, --query       print the current power mode
  -m, --mode ID     switch to a power mode
  -p, --parse       parse and show the configuration
  -f, --file FILE   configuration file
  -d MODE           fan mode
      --force       reboot without asking where a switch needs it
      --verbose     say more"""


def _no_request() -> int:
    print("NVPM ERROR: optMask is 1, no request for power mode")
    return FAILED


def _query(conf: power.Conf, table: dict[str, Any], verbose: bool) -> None:
    root = device.is_root()
    if table.get("fan_line") and (root or not table.get("fan_line_needs_root")):
        print(table["fan_line"])
    mode = power.status()
    if mode is None or mode not in conf.modes:
        mode = conf.default
    print(("NVPM VERB: Current mode: " if verbose else "") + f"NV Power Mode: {conf.modes[mode][0]}")
    print(mode)
    for name, arg, value in conf.modes[mode][1]:
        where = conf.params[name][1].get(arg, "")
        # The caps under /sys/kernel and of the accelerators are readable by root alone.
        if not root and where in _private(table):
            print(f"NVPM ERROR: Error opening {where}: {EACCES}")
            print(f"NVPM ERROR: failed to read PARAM {name}: ARG {arg}: PATH {where}")
        elif verbose:
            real, conf_value = device.read(where), power.shown(conf, name, value, table)
            print(f"NVPM VERB: PARAM {name}: ARG {arg}: PATH {where}: REAL_VAL: {real} CONF_VAL: {conf_value}")
    if not root and table.get("fan_profile"):
        print(f"NVPM ERROR: Error opening {table['fan_profile']}: {EACCES}")
        print(f"NVPM ERROR: Fan failed to set mode:{table['fan_mode']}")


def _private(table: dict[str, Any]) -> set[str]:
    if not table.get("private_caps"):
        return set()
    return {table["emc"]["cap"], *(cap["path"] for cap in table.get("caps", {}).values())}


def _list(conf: power.Conf, conf_file: str, table: dict[str, Any], verbose: bool) -> None:
    print(f"succeed to parse file {conf_file}.")
    if not verbose:
        return
    print(f"NVPM VERB: PM_CONFIG: DEFAULT={conf.modes[conf.default][0]}({conf.default})")
    for name, (kind, args) in conf.params.items():
        print(f"NVPM VERB: PARAM TYPE={kind} NAME={name}")
        for arg, where in args.items():
            print(f"NVPM VERB: {arg} {where}")
    print("NVPM VERB:")
    for number, (title, settings) in conf.modes.items():
        print(f"NVPM VERB: POWER_MODEL: ID={number} NAME={title}")
        for name, arg, value in settings:
            print(f"NVPM VERB: {name} {arg} {power.shown(conf, name, value, table)}")
        print("NVPM VERB:")


def _set(conf: power.Conf, mode: int, table: dict[str, Any], force: bool) -> int:
    if mode not in conf.modes:
        return _no_request()
    if not device.is_root():
        where = conf.params["CPU_ONLINE"][1]["CORE_0"]
        print(f"NVPM ERROR: Error opening {where}: {EACCES}")
        print(f"NVPM ERROR: failed to write PARAM CPU_ONLINE: ARG CORE_0: PATH: {where} VAL: 1")
        print("NVPM ERROR: failed to set power mode!")
        return _no_request()
    if _masks_differ(conf, mode):
        print("NVPM WARN: Golden image context is already created")
        if force:
            print("Automatically rebooting to reflect the mode change")
        else:
            print(f"NVPM WARN: Reboot required for changing to this power mode: {mode}")
            print("NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:", flush=True)
            if sys.stdin.readline().strip() not in ("YES", "yes"):
                print("NVPM ERROR: bad input!")
                print("NVPM ERROR: optMask is 1, no request for power mode")
                return BAD_INPUT
        print("NVPM WARN: rebooting..", flush=True)
        power.save_status(mode, table.get("fan_mode"))
        device.request("reboot")
        return 0
    with device.changing() as state:
        power.save_status(mode, table.get("fan_mode"))
        state["mode"] = mode
        # A switch rewrites minimum and maximum frequencies: what jetson_clocks had locked is unlocked.
        state["clocks"] = {"locked": False}
        power.apply(conf, mode, table, locked=False)
    return 0


def _masks_differ(conf: power.Conf, mode: int) -> bool:
    """Whether a gated part of the GPU would change, which needs a fresh GPU context."""
    return any(
        device.read(conf.params[name][1][arg], value) != value
        for name, arg, value in conf.modes[mode][1]
        if arg in ("TPC_PG_MASK", "FBP_PG_MASK")
    )


if __name__ == "__main__":
    device.run(main)
