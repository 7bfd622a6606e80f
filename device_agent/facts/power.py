"""The power modes, the one in force, and whether the board really is in it."""

import re

from ..files import read_int, read_text
from ..process import capture, find_tool
from . import nvpmodel_conf as conf

NVPMODEL = ("/usr/sbin/nvpmodel", "/usr/bin/nvpmodel", "nvpmodel")
"""sbin may be missing from the PATH of a non-login session, so the path comes first."""

CONF = "/etc/nvpmodel.conf"
STATUS = "/var/lib/nvpmodel/status"
MASKS = ("/sys/devices/gpu.0/tpc_pg_mask", "/sys/devices/platform/gpu.0/tpc_pg_mask")
"""Before and from R36; the conf's own path is asked first."""


def read():
    """The `power` fact, or None where there is neither nvpmodel nor its conf."""
    table = read_table()
    tool = find_tool(*NVPMODEL)
    if not table and tool is None:
        return None
    mode = current_mode(table)
    known = table.modes.get(mode["id"]) if mode else None
    differences = drift(table, known) if known else []
    return {
        "mode": mode,
        "default": table.default,
        "modes": [table.modes[mode_id].to_json() for mode_id in sorted(table.modes)],
        "live_gpu_mask": live_gpu_mask(table),
        "status_lies": any(entry["lies"] for entry in differences),
        "drift": differences,
    }


def read_table():
    """The mode table: the conf file, which everyone may read; else what the tool prints of it."""
    table = conf.parse(read_text(CONF) or "")
    tool = find_tool(*NVPMODEL)
    if not table and tool is not None:
        table = conf.parse(capture([tool, "-p", "--verbose"], timeout_s=20, merge=True).stdout)
    return table


def current_mode(table):
    """{"id", "name"} that nvpmodel says is in force (which is what its status file says), or None."""
    tool = find_tool(*NVPMODEL)
    mode = parse_query(capture([tool, "-q"], timeout_s=20, merge=True).stdout) if tool else None
    if mode is None:
        match = re.search(r"pmode:0*(\d+)", read_text(STATUS) or "")
        if not match:
            return None
        mode = {"id": int(match.group(1)), "name": None}
    known = table.modes.get(mode["id"])
    return {"id": mode["id"], "name": mode["name"] or (known.name if known else None)}


def parse_query(text):
    """{"id", "name"} from `nvpmodel -q`, whose warnings, errors and fan lines come in any order; None without a mode.

    The id is the first line of digits alone after the line that names the mode.
    """
    match = re.search(r"NV Power Mode:[ \t]*(\S*)[^\n]*\n(?:.*\n)*?[ \t]*(\d+)[ \t]*\r?(?:\n|\Z)", text)
    return {"id": int(match.group(2)), "name": match.group(1) or None} if match else None


def live_gpu_mask(table):
    """The power-gating mask in force, or None where the board has none."""
    paths = [path for (_, arg), path in sorted(table.paths.items(), reverse=True) if arg.endswith("_PG_MASK")]
    paths.sort(key=lambda path: "tpc" not in path)
    for path in paths + list(MASKS):
        mask = read_int(path)
        if mask is not None:
            return mask
    return None


def masks_differ(table, mode):
    """Whether the live GPU masks are not those of the mode; then nvpmodel may ask for a reboot."""
    for key, wanted in mode.gpu_masks().items():
        live = read_int(table.paths.get(key, ""))
        if live is not None and live != wanted:
            return True
    return False


def drift(table, mode):
    """Where the board does not stand as the mode says.

    returns:
        [{"param", "arg", "wanted", "live", "lies"}]: `lies` where only another mode, or a hand, explains it (another
        mask, another core, a clock above the cap); a clock below its cap may be heat
    """
    found = []
    for (param, arg), text in sorted(mode.settings.items()):
        # GPU_PWR_CNTL_* always differs (auto against on), MIN_FREQ is what jetson_clocks changes.
        wanted = conf.to_int(text)
        if wanted is None or arg.startswith("GPU_PWR_CNTL") or arg == "MIN_FREQ":
            continue
        live = read_int(table.paths.get((param, arg), ""))
        if live is None or live == wanted:
            continue
        if arg.endswith("_PG_MASK") or param == "CPU_ONLINE":
            lies = True
        elif arg == "MAX_FREQ" and (param == "GPU" or param.startswith("CPU_")):
            if wanted in conf.UNCAPPED or wanted == 0:
                continue
            low, high = _steps_around(wanted, table.paths.get((param, "FREQ_TABLE")))
            if low <= live <= high:
                continue
            lies = live > high
        else:
            continue  # memory and accelerators: not readable by a user, or rounded in ways nobody wrote down
        found.append({"param": param, "arg": arg, "wanted": wanted, "live": live, "lies": lies})
    return found


def _steps_around(wanted, table_path):
    """The range that the kernel may round a cap to: its neighbours in the clock's table, else a tenth either way."""
    steps = [int(word) for word in (read_text(table_path) or "").split() if word.isdigit()] if table_path else []
    below = [step for step in steps if step <= wanted]
    above = [step for step in steps if step >= wanted]
    if not steps:
        return wanted * 0.9, wanted * 1.1
    return (max(below) if below else min(steps)), (min(above) if above else max(steps))
