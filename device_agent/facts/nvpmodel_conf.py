"""The grammar of nvpmodel.conf, and which of its modes is the fastest.

    # comment
    < PARAM TYPE=CLOCK NAME=GPU >            spacing varies: <PARAM ...
    MAX_FREQ /sys/.../max_freq
    < POWER_MODEL ID=0 NAME=MAXN >
    GPU MAX_FREQ -1                          -1: no cap
    < PM_CONFIG DEFAULT=0 >

`nvpmodel -p --verbose` prints the same with `NVPM VERB:` before each line and `HEADER: ` instead of the brackets, so
one parser reads both.
"""

import re

UNCAPPED = (-1, 2**31 - 1, 2**63 - 1)
"""-1 in the file; what the tool prints for it."""

_HEADER = re.compile(r"<?\s*(PARAM|POWER_MODEL|PM_CONFIG)\b:?\s*(.*?)\s*>?\Z")


class Table(object):
    """A parsed file.

    paths ({(param, arg): path}), modes ({id: Mode}), default (int or None)
    """

    def __init__(self):
        self.paths = {}
        self.modes = {}
        self.default = None

    def __bool__(self):
        return bool(self.modes)


class Mode(object):
    """One power mode: settings is {(param, arg): text}."""

    def __init__(self, mode_id, name):
        self.id = mode_id
        self.name = name
        self.settings = {}

    def cpus(self):
        """Ids of the cores that the mode has online, or None where it does not say."""
        listed = {}
        for (param, arg), value in self.settings.items():
            match = re.match(r"CORE_(\d+)\Z", arg)
            if param == "CPU_ONLINE" and match:
                listed[int(match.group(1))] = value == "1"
        if not listed:
            return None
        listed.setdefault(0, True)  # cpu0 is not listed where it cannot go offline (TX2)
        return sorted(core for core, online in listed.items() if online)

    def cap(self, pattern):
        """The highest MAX_FREQ of the params that match, in the file's unit; None for no cap."""
        caps = []
        for (param, arg), value in self.settings.items():
            if arg == "MAX_FREQ" and re.match(pattern + r"\Z", param):
                number = to_int(value)
                # EMC says 0 where it means no cap.
                if number is None or number in UNCAPPED or number == 0:
                    return None
                caps.append(number)
        return max(caps) if caps else None

    def gpu_masks(self):
        """Power-gating masks as {(param, arg): int}; set bits are gated."""
        masks = {key: to_int(value) for key, value in self.settings.items() if key[1].endswith("_PG_MASK")}
        return {key: value for key, value in masks.items() if value is not None}

    def gpu_mask(self):
        """The mask that tells modes apart: the TPCs' where there is one, else any; None without."""
        masks = self.gpu_masks()
        keys = sorted(masks, key=lambda key: (not key[1].startswith("TPC"), key))
        return masks[keys[0]] if keys else None

    def to_json(self):
        return {
            "id": self.id,
            "name": self.name,
            "cpus": self.cpus(),
            "cpu_max_khz": self.cap(r"CPU_(?!ONLINE).*"),
            "gpu_max_hz": self.cap(r"GPU"),
            "emc_max_hz": self.cap(r"EMC"),
            "gpu_mask": self.gpu_mask(),
            "desktop": "DESKTOP" in self.name.upper(),
        }


def to_int(text):
    """An integer in any of C's notations, or None."""
    try:
        return int(text, 0)
    except (TypeError, ValueError):
        return None


def parse(text):
    """The Table of a conf file, or of what `nvpmodel -p --verbose` printed; what is not understood is skipped."""
    table = Table()
    param = mode = None
    for raw in text.splitlines():
        line = re.sub(r"^NVPM VERB:", "", raw.split("#", 1)[0].strip()).strip()
        header = _HEADER.match(line)
        if header:
            param = mode = None
            fields = dict(field.split("=", 1) for field in header.group(2).split() if "=" in field)
            if header.group(1) == "PARAM":
                param = fields.get("NAME")
            elif header.group(1) == "POWER_MODEL" and to_int(fields.get("ID")) is not None:
                mode = Mode(int(fields["ID"], 0), fields.get("NAME", ""))
                table.modes[mode.id] = mode
            elif header.group(1) == "PM_CONFIG":
                default = re.search(r"-?\d+(?=\)|\Z)", fields.get("DEFAULT", ""))  # 0, or MAXN(0)
                table.default = int(default.group()) if default else None
            continue
        words = line.split()
        if mode is not None and len(words) >= 3:
            mode.settings[(words[0], words[1])] = words[2]
        elif param is not None and len(words) >= 2:
            table.paths[(param, words[0])] = words[1]
    return table


def fastest(modes):
    """The fastest of these Modes, or None of none.

    MAXN_SUPER before MAXN before the most watts in the name; then a mode that is not for desktops, most cores, highest
    GPU cap, highest memory cap. Ids say nothing: 0 is a 2-core mode on Xavier NX and 15 W on an Orin Nano Super.
    """

    def speed(mode):
        name = mode.name.upper()
        words = re.split(r"[^A-Z0-9]+", name)
        rank = 2 if "MAXN_SUPER" in name else 1 if "MAXN" in words else 0
        watts = max([int(number) for number in re.findall(r"(\d+)W(?![A-Z])", name)] or [0])
        caps = [float("inf") if cap is None else cap for cap in (mode.cap("GPU"), mode.cap("EMC"))]
        return (rank, watts, "DESKTOP" not in name, len(mode.cpus() or ()), caps[0], caps[1], -mode.id)

    return max(modes, key=speed) if modes else None
