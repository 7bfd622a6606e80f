"""Power modes of a virtual device: nvpmodel.conf written, read and put into force on the files under /sys."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import device

CONF = "/etc/nvpmodel.conf"
STATUS = "/var/lib/nvpmodel/status"
CPU = "/sys/devices/system/cpu"


@dataclass
class Conf:
    """A parsed nvpmodel.conf: parameters with the path of each argument, and the modes."""

    params: dict[str, tuple[str, dict[str, str]]] = field(default_factory=dict)
    """name -> (FILE or CLOCK, argument -> path), in the file's order."""
    modes: dict[int, tuple[str, list[tuple[str, str, str]]]] = field(default_factory=dict)
    """id -> (name, settings as (parameter, argument, value)), in the file's order."""
    default: int = 0


def conf_text(power: dict[str, Any]) -> str:
    """nvpmodel.conf in NVIDIA's grammar from a profile's `power` table."""
    lines = ["# Power models of a virtual device. -1 means the largest value.", ""]
    for name, (kind, args) in _params(power).items():
        lines += [f"< PARAM TYPE={kind} NAME={name} >", *(f"{arg} {where}" for arg, where in args.items()), ""]
    for mode in power["modes"]:
        lines.append(f"< POWER_MODEL ID={mode['id']} NAME={mode['name']} >")
        lines += [" ".join(setting) for setting in _settings(power, mode)] + [""]
    lines += [
        "# mandatory section to configure the default power mode",
        f"< PM_CONFIG DEFAULT={power['default']} >",
        "",
    ]
    return "\n".join(lines)


def _params(power: dict[str, Any]) -> dict[str, tuple[str, dict[str, str]]]:
    gpu, cpu = power["gpu"], power["cpu"]
    control = f"{gpu['base']}/power/control"
    params: dict[str, tuple[str, dict[str, str]]] = {
        "CPU_ONLINE": ("FILE", {f"CORE_{n}": f"{CPU}/cpu{n}/online" for n in range(cpu["cores"])})
    }
    if "fbp_mask" in power:
        params["FBP_POWER_GATING"] = ("FILE", {"FBP_PG_MASK": f"{gpu['base']}/fbp_pg_mask"})
    if "tpc_mask" in power["modes"][0]:
        params["TPC_POWER_GATING"] = ("FILE", {"TPC_PG_MASK": f"{gpu['base']}/tpc_pg_mask"})
    params["GPU_POWER_CONTROL_ENABLE"] = ("FILE", {"GPU_PWR_CNTL_EN": control})
    params["GPU_POWER_CONTROL_DISABLE"] = ("FILE", {"GPU_PWR_CNTL_DIS": control})
    for name, first in cpu["params"].items():
        folder = f"{CPU}/cpu{first}/cpufreq"
        params[name] = (
            "CLOCK",
            {
                "FREQ_TABLE": f"{folder}/scaling_available_frequencies",
                "MAX_FREQ": f"{folder}/scaling_max_freq",
                "MIN_FREQ": f"{folder}/scaling_min_freq",
            },
        )
    folder = gpu["devfreq"]
    params["GPU"] = (
        "CLOCK",
        {
            "FREQ_TABLE": f"{folder}/available_frequencies",
            "MAX_FREQ": f"{folder}/max_freq",
            "MIN_FREQ": f"{folder}/min_freq",
        },
    )
    params["EMC"] = ("CLOCK", {"MAX_FREQ": power["emc"]["cap"]})
    for name, cap in power.get("caps", {}).items():
        params[name] = ("CLOCK", {"MAX_FREQ": cap["path"]})
    for name, sensor in power.get("hwmon", {}).items():
        params[name] = ("HWMON", {arg: f"{sensor['folder']} {file}" for arg, file in sensor["args"].items()})
    return params


def _settings(power: dict[str, Any], mode: dict[str, Any]) -> list[tuple[str, str, str]]:
    cpu, cores = power["cpu"], mode["cores"]
    online = [("CPU_ONLINE", f"CORE_{n}", "1" if n < cores else "0") for n in range(cpu["cores"])]
    gating = []
    if "fbp_mask" in power:
        gating.append(("FBP_POWER_GATING", "FBP_PG_MASK", str(power["fbp_mask"])))
    if "tpc_mask" in mode:
        gating.append(("TPC_POWER_GATING", "TPC_PG_MASK", str(mode["tpc_mask"])))
    clocks = []
    for name, first in cpu["params"].items():
        if first < cores:
            clocks += [(name, "MIN_FREQ", str(cpu["floor_khz"])), (name, "MAX_FREQ", str(mode["cpu_khz"]))]
    enable = ("GPU_POWER_CONTROL_ENABLE", "GPU_PWR_CNTL_EN", "on")
    middle = [*clocks, enable] if power.get("cpu_first") else [enable, *clocks]
    tail = [
        ("GPU", "MIN_FREQ", str(mode.get("gpu_floor_hz", power["gpu"].get("floor_hz", 0)))),
        ("GPU", "MAX_FREQ", str(mode["gpu_hz"])),
        ("GPU_POWER_CONTROL_DISABLE", "GPU_PWR_CNTL_DIS", "auto"),
        ("EMC", "MAX_FREQ", str(mode["emc_hz"])),
    ]
    caps = [(name, "MAX_FREQ", str(mode["caps"][cap["group"]])) for name, cap in power.get("caps", {}).items()]
    limits = [
        (name, arg, str(mode["hwmon"][arg])) for name, item in power.get("hwmon", {}).items() for arg in item["args"]
    ]
    return [*online, *gating, *middle, *tail, *caps, *limits]


def parse(text: str) -> Conf:
    """Read an nvpmodel.conf. Header spacing varies (`< PARAM`, `<PARAM`), `#` starts a comment."""
    conf = Conf()
    param: dict[str, str] | None = None
    settings: list[tuple[str, str, str]] | None = None
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        head = re.match(r"<\s*(\w+)\s*(.*?)\s*>", line)
        if head:
            values = dict(item.split("=", 1) for item in head[2].split() if "=" in item)
            param = settings = None
            if head[1] == "PARAM":
                param = {}
                conf.params[values["NAME"]] = (values["TYPE"], param)
            elif head[1] == "POWER_MODEL":
                settings = []
                conf.modes[int(values["ID"])] = (values["NAME"], settings)
            elif head[1] == "PM_CONFIG":
                conf.default = int(values["DEFAULT"])
            continue
        words = line.split()
        if param is not None and len(words) >= 2:
            # TYPE=HWMON names a folder and a file in it, the other types one path.
            param[words[0]] = "/".join(words[1:])
        elif settings is not None and len(words) >= 3:
            settings.append((words[0], words[1], words[2]))
    return conf


def shown(conf: Conf, name: str, value: str, power: dict[str, Any]) -> str:
    """A setting's value as nvpmodel prints it: -1 as the largest integer, the rest as it stands."""
    kind = conf.params.get(name, ("FILE", {}))[0]
    return str(power.get("int_max", 2147483647)) if kind == "CLOCK" and value == "-1" else value


def status() -> int | None:
    """The mode that /var/lib/nvpmodel/status names; None where there is none."""
    found = re.search(r"pmode:(\d+)", device.read(STATUS))
    return int(found[1]) if found else None


def save_status(mode: int, fan: str | None) -> None:
    device.write(STATUS, f"pmode:{mode:04d}" + (f" fmode:fan_mode_{fan}" if fan else "") + "\n")


def apply(conf: Conf, mode: int, power: dict[str, Any], locked: bool) -> None:
    """Write what the kernel would show in this mode, with clocks `locked` by jetson_clocks or not."""
    cpu, gpu, emc = power["cpu"], power["gpu"], power["emc"]
    settings = {(name, arg): value for name, arg, value in conf.modes[mode][1]}
    files: dict[str, str] = {}
    online = []
    for n in range(cpu["cores"]):
        on = settings.get(("CPU_ONLINE", f"CORE_{n}"), "1")
        files[f"{CPU}/cpu{n}/online"] = on
        online += [n] if on == "1" else []
    everyone = f"0-{cpu['cores'] - 1}"
    files.update({f"{CPU}/online": ranges(online), f"{CPU}/possible": everyone, f"{CPU}/present": everyone})
    offline = [n for n in range(cpu["cores"]) if n not in online]
    files[f"{CPU}/offline"] = ranges(offline)
    files[f"{gpu['base']}/power/control"] = "auto"
    for name, arg, value in conf.modes[mode][1]:
        if arg in ("TPC_PG_MASK", "FBP_PG_MASK") or conf.params[name][0] == "HWMON":
            files[conf.params[name][1][arg]] = value
    firsts = sorted((first, name) for name, first in cpu["params"].items())
    for n in range(cpu["cores"]):
        name = next(name for first, name in reversed(firsts) if first <= n)
        low = _clamp(settings.get((name, "MIN_FREQ"), "0"), cpu["min_khz"], cpu["max_khz"], cpu["min_khz"])
        high = _clamp(settings.get((name, "MAX_FREQ"), "-1"), cpu["min_khz"], cpu["max_khz"], cpu["max_khz"])
        steps = cpu.get("steps_khz", [])
        # The kernel keeps to its table: a cap between two steps becomes the upper one (918000 shows as 921600).
        high = next((step for step in steps if step >= high), high)
        low = min(low, high)
        now = high if locked else low
        folder = f"{CPU}/cpu{n}/cpufreq"
        files[f"{folder}/scaling_min_freq"] = str(high if locked else low)
        files[f"{folder}/scaling_max_freq"] = str(high)
        files[f"{folder}/scaling_cur_freq"] = str(now)
        files[f"{folder}/cpuinfo_cur_freq"] = str(now)
        files[f"{folder}/cpuinfo_min_freq"] = str(cpu["min_khz"])
        files[f"{folder}/cpuinfo_max_freq"] = str(cpu["max_khz"])
        files[f"{folder}/scaling_governor"] = "schedutil"
        files[f"{folder}/scaling_available_frequencies"] = " ".join(map(str, steps or [cpu["min_khz"], cpu["max_khz"]]))
    low = _clamp(settings.get(("GPU", "MIN_FREQ"), "0"), gpu["min_hz"], gpu["max_hz"], gpu["min_hz"])
    high = _clamp(settings.get(("GPU", "MAX_FREQ"), "-1"), gpu["min_hz"], gpu["max_hz"], gpu["max_hz"])
    now = high if locked else low
    folder = gpu["devfreq"]
    files.update({f"{folder}/min_freq": str(now), f"{folder}/max_freq": str(high), f"{folder}/cur_freq": str(now)})
    files[f"{folder}/governor"] = gpu["governor"]
    files[f"{folder}/available_frequencies"] = " ".join(map(str, gpu.get("steps_hz", [gpu["min_hz"], gpu["max_hz"]])))
    cap = settings.get(("EMC", "MAX_FREQ"), "0")
    files[emc["cap"]] = str(emc["max_hz"]) if cap == "-1" else cap
    if "debug" in emc:
        ceiling = _clamp("-1" if cap == "0" else cap, emc["min_hz"], emc["max_hz"], emc["max_hz"])
        files[f"{emc['debug']}/rate"] = str(ceiling if locked else emc.get("idle_hz", emc["min_hz"]))
        files[f"{emc['debug']}/min_rate"] = str(emc["min_hz"])
        files[f"{emc['debug']}/max_rate"] = str(ceiling)
        files[f"{emc['debug']}/mrq_rate_locked"] = "1" if locked else "0"
    for name, extra in power.get("caps", {}).items():
        limit = _clamp(settings.get((name, "MAX_FREQ"), "-1"), 0, extra["max_hz"], extra["max_hz"])
        files[extra["path"]] = str(limit)
    for where, text in files.items():
        device.write(where, text + "\n")


def _clamp(value: str, low: int, high: int, unset: int) -> int:
    number = int(value)
    return unset if number in (-1, 0) else max(low, min(high, number))


def ranges(numbers: list[int]) -> str:
    """`0-3,5`, as the kernel lists CPUs."""
    parts: list[list[int]] = []
    for n in numbers:
        if parts and parts[-1][-1] == n - 1:
            parts[-1].append(n)
        else:
            parts.append([n])
    return ",".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
