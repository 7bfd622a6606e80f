"""The clocks of CPU, GPU and memory, and whether jetson_clocks holds them at their maximum."""

import os
import re

from ..files import list_folder, read_int, read_text
from . import power

CPU = "/sys/devices/system/cpu"
GPUS = (
    "/sys/devices/gpu.0/devfreq/57000000.gpu",
    "/sys/devices/17000000.gp10b/devfreq/17000000.gp10b",
    "/sys/devices/17000000.gv11b/devfreq/17000000.gv11b",
    "/sys/devices/17000000.ga10b/devfreq_dev",
    "/sys/devices/platform/17000000.gpu/devfreq_dev",
)
"""t210, t186, t194, t234 before and from R36; the path in nvpmodel.conf is asked first."""
DEVFREQ = "/sys/class/devfreq"


def read(table=None):
    """The `clocks` fact from /sys; what cannot be read is null.

    data: locked (bool or None: every online CPU and the GPU have their least clock equal to their greatest),
    cpus_online ([int]), cpu_hz, gpu_hz, emc_hz ({"min", "max", "current"} or None)
    """
    table = power.read_table() if table is None else table
    online = online_cpus()
    cpus = [_clock(CPU + "/cpu{}/cpufreq/scaling_{}_freq".format(core, "{}"), 1000) for core in online]
    cpus = [clock for clock in cpus if clock]
    gpu = _gpu(table)
    return {
        "locked": is_locked(cpus, gpu, len(online)),
        "cpus_online": online,
        "cpu_hz": _span(cpus),
        "gpu_hz": gpu,
        "emc_hz": None,
    }


def is_locked(cpus, gpu, count):
    """Whether all clocks are held; None where not all of them are known."""
    if not cpus or len(cpus) != count or gpu is None:
        return None
    return all(clock["min"] == clock["max"] for clock in cpus + [gpu])


def online_cpus():
    """Ids of the cores that are online."""
    return parse_ranges(read_text(CPU + "/online") or "")


def parse_ranges(text):
    """[0, 3, 4, 5] from "0,3-5"; [] from anything else."""
    ids = set()
    for part in text.split(","):
        match = re.match(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*\Z", part)
        if match:
            ids.update(range(int(match.group(1)), int(match.group(2) or match.group(1)) + 1))
    return sorted(ids)


def _clock(form, scale=1):
    clock = {"min": read_int(form.format("min")), "max": read_int(form.format("max"))}
    if None in clock.values():
        return None
    current = read_int(form.format("cur"))
    return dict(
        {name: value * scale for name, value in clock.items()}, current=None if current is None else current * scale
    )


def _span(clocks):
    """One clock that spans several: least, greatest, and the greatest current one."""
    if not clocks:
        return None
    current = [clock["current"] for clock in clocks if clock["current"] is not None]
    return {
        "min": min(clock["min"] for clock in clocks),
        "max": max(clock["max"] for clock in clocks),
        "current": max(current) if current else None,
    }


def _gpu(table):
    folders = [
        os.path.dirname(path) for (param, arg), path in table.paths.items() if (param, arg) == ("GPU", "MAX_FREQ")
    ]
    named = [name for name in list_folder(DEVFREQ) if re.search(r"gpu|gp10b|gv11b|ga10b", name)]
    for folder in folders + list(GPUS) + [DEVFREQ + "/" + name for name in named]:
        clock = _clock(folder + "/{}_freq")
        if clock:
            return clock
    return None


def parse_show(text):
    """The `clocks` fact from `jetson_clocks --show`, for boards whose /sys does not tell; formats drift, so by name.

    GPU lines are "GPU ..." up to R39 and one "gpu-gpc-0 ..." a part on Thor; `Online=` is missing from R39 on, where
    only online cores have a line.
    """
    head = re.search(r"(?m)^Online CPUs:\s*([\d,\- ]*)", text)
    online = parse_ranges(head.group(1).strip(" ,")) if head else []
    cpus, gpus, emc = {}, [], None
    for line in text.splitlines():
        name = line.split(":")[0].split(" ")[0]
        fields = dict(re.findall(r"(\w+)=(-?\d+)", line))
        if "MinFreq" not in fields or "MaxFreq" not in fields:
            continue
        scale = 1000 if name.startswith("cpu") else 1
        current = fields.get("CurrentFreq")
        clock = {
            "min": int(fields["MinFreq"]) * scale,
            "max": int(fields["MaxFreq"]) * scale,
            "current": int(current) * scale if current else None,
        }
        if re.match(r"cpu\d+\Z", name):
            if fields.get("Online", "1") == "1":
                cpus[int(name[3:])] = clock
        elif name == "GPU" or name.startswith("gpu-"):
            gpus.append(clock)
        elif name == "EMC":
            emc = clock
    clocks = [cpus[core] for core in sorted(cpus)]
    held = all(clock["min"] == clock["max"] for clock in clocks + gpus) if clocks and gpus else None
    return {
        "locked": held,
        "cpus_online": online or sorted(cpus),
        "cpu_hz": _span(clocks),
        "gpu_hz": gpus[0] if gpus else None,
        "emc_hz": emc,
    }
