"""Boots a virtual device: what its kernel and its services would have made of the profile and the state by login time.

Run once per boot, before the server lets anyone in. The power mode is kept, jetson_clocks is lost.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import effects
import fault
import fault_names
import power
import swap
import units


def boot() -> dict[str, Any]:
    """Bring the device's files to where a freshly booted board has them; returns the new state."""
    profile = device.profile()
    fresh = "packages" not in device.state()
    with device.changing() as state:
        if fresh:
            _first_boot(profile, state)
        state["boots"] = state.get("boots", 0) + 1
        state["boot_id"] = str(uuid.uuid4())
        state["booted_at"] = time.time()
        state["clocks"] = {"locked": False}
        for service in state["services"].values():
            service["active"] = bool(service.get("enabled")) and not service.get("broken")
            service["failed"] = bool(service.get("enabled")) and bool(service.get("broken"))
        _files(profile)
        # A profile without these is a plain Linux machine, no Jetson.
        if "power" in profile:
            _power(profile, state)
        _proc(profile, state)
        _thermal(profile.get("thermal", {}))
        if "fan" in profile:
            _fan(profile["fan"])
    open(device.LAB + "/kmsg", "w", encoding="utf-8").close()
    os.chmod(device.LAB + "/kmsg", 0o666)  # the kernel writes here, whoever it kills
    device.kernel_log(f"Linux version {profile['kernel']} ({profile['title']}, virtual)")
    for text in profile.get("faults", []) if fresh else []:
        fault.main(list(fault_names.parse(text)))
    if not fresh:
        fault.at_boot()
    _start_units()
    return device.state()


def _start_units() -> None:
    """Start the enabled units that somebody has put down: their commands run, as the board's services come up."""
    for name, unit in units.known(device.state()).items():
        if unit.get("enabled") and not unit.get("masked") and units.file_of(name):
            units.start(name, unit)
            with device.changing() as state:
                state["services"][name] = unit


def _first_boot(profile: dict[str, Any], state: dict[str, Any]) -> None:
    """What the image holds, before anybody changed it."""
    state.update(
        packages=dict(profile["packages"]),
        held=list(profile.get("held", [])),
        groups=list(profile["groups"]),
        services={name: dict(value) for name, value in profile["services"].items()},
        default_target=profile["default_target"],
        sudo=dict(profile["sudo"]),
        mode=profile["power"]["default"] if profile.get("power") else None,
    )
    for name in state["packages"]:
        effects.place(name, profile)


def _files(profile: dict[str, Any]) -> None:
    """Files of the image: made where absent, never overwritten (a user may have edited them)."""
    for name, text in profile.get("files", {}).items():
        if not os.path.lexists(device.path(name)):
            device.write(name, text)
    system = profile["os"]
    if not os.path.lexists(device.path("/etc/os-release")):
        pretty = f"Ubuntu {system['version']} LTS"
        device.write(
            "/etc/os-release",
            f'NAME="Ubuntu"\nVERSION_ID="{system["version"]}"\nID={system["id"]}\nID_LIKE=debian\n'
            f'PRETTY_NAME="{pretty}"\nVERSION_CODENAME={system["codename"]}\n',
        )
    for name, value in profile.get("device_tree", {}).items():
        entries = value if isinstance(value, list) else [value]
        device.write(f"/proc/device-tree/{name}", "".join(f"{entry}\0" for entry in entries))


def _power(profile: dict[str, Any], state: dict[str, Any]) -> None:
    """What nvpmodel.service does: the mode of the status file, else the default of the configuration."""
    table = profile["power"]
    conf_file = "/etc/nvpmodel/" + table["conf"]
    if not os.path.exists(device.path(conf_file)):
        device.write(conf_file, power.conf_text(table))
    if not os.path.lexists(device.path(power.CONF)):
        os.symlink("nvpmodel/" + table["conf"], device.path(power.CONF))
    conf = power.parse(device.read(power.CONF))
    mode = power.status()
    if mode is None or mode not in conf.modes:
        mode = conf.default
        power.save_status(mode, table.get("fan_mode"))
    state["mode"] = mode
    power.apply(conf, mode, table, locked=False)


def _proc(profile: dict[str, Any], state: dict[str, Any]) -> None:
    memory = profile["memory"]
    used = memory["used_mb"] + (memory["desktop_mb"] if units.default_target(state) == "graphical.target" else 0)
    total, zram = profile["ram_mb"], memory["zram_mb"] if _enabled(state, "nvzramconfig.service") else 0
    kib = {
        "MemTotal": total,
        "MemFree": (total - used) * 2 // 3,
        "MemAvailable": total - used,
        "Buffers": 40,
        "Cached": (total - used) // 4,
        "SwapTotal": zram,
        "SwapFree": zram,
    }
    device.write("/proc/meminfo", "".join(f"{key + ':':<16}{value * 1024:>8} kB\n" for key, value in kib.items()))
    swap.show(swap.zram_rows(profile) if zram else [])
    for path in swap.from_fstab():
        problem = swap.activate(path)
        if problem:
            device.kernel_log(problem)
    device.write("/proc/sys/kernel/random/boot_id", state["boot_id"] + "\n")
    device.write("/proc/uptime", f"{device.BOOT_S} {device.BOOT_S * 3.2:.2f}\n")
    os.chmod(device.path("/proc/uptime"), 0o644)  # kept up to date by every tool, whoever runs it
    device.write("/proc/version", f"Linux version {profile['kernel']} (virtual) #1 SMP PREEMPT\n")
    device.write("/proc/sys/kernel/osrelease", profile["kernel"] + "\n")


def _thermal(zones: dict[str, float]) -> None:
    """Thermal zones in millidegrees; the temperatures are those of the board's tegrastats capture."""
    for number, (kind, celsius) in enumerate(zones.items()):
        folder = f"/sys/class/thermal/thermal_zone{number}"
        device.write(f"{folder}/type", kind + "\n")
        device.write(f"{folder}/temp", f"{round(celsius * 1000)}\n")


def _fan(fan: dict[str, Any]) -> None:
    device.write(fan["path"], f"{fan['pwm']}\n")
    if "/hwmon/" in fan["path"]:
        device.write(os.path.dirname(fan["path"]) + "/name", "pwmfan\n")


def _enabled(state: dict[str, Any], service: str) -> bool:
    return bool(state["services"].get(service, {}).get("enabled"))


if __name__ == "__main__":
    boot()
