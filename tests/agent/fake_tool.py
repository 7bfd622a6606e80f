"""nvpmodel, jetson_clocks and others as far as tests need them: the texts and exit codes of real boards.

fake/behaviour.json: golden (a GPU context exists, so another mask needs a reboot), lie (the status changes and nothing
else), refuse (what nvpmodel -m prints before it fails with 255), quiet_error (it prints an error and exits with 0),
stuck (jetson_clocks does nothing), no_root (both say what they say to users).
"""

import json
import re
import sys
from pathlib import Path

kind, prefix, args = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
tool = kind.partition(":")[2] or kind
behaviour = json.loads((prefix / "fake/behaviour.json").read_text())


def path_of(path):
    return prefix / path.lstrip("/")


def modes():
    """{id: (name, {path: value})} of the conf."""
    paths, found, param, mode = {}, {}, None, None
    for line in path_of("/etc/nvpmodel.conf").read_text().splitlines():
        line = line.split("#")[0].strip()
        head = re.match(r"<\s*(PARAM|POWER_MODEL|PM_CONFIG)\s+(.*?)\s*>", line)
        if head:
            fields = dict(word.split("=") for word in head[2].split())
            param = fields["NAME"] if head[1] == "PARAM" else None
            mode = int(fields["ID"]) if head[1] == "POWER_MODEL" else None
            if mode is not None:
                found[mode] = (fields["NAME"], {})
        elif line and mode is not None:
            name, arg, value = line.split()
            found[mode][1][(name, arg)] = value
        elif line:
            arg, path = line.split()
            paths[(param, arg)] = path
    return paths, found


def nvpmodel():
    paths, found = modes()
    status = path_of("/var/lib/nvpmodel/status")
    now = int(status.read_text().split(":")[1])
    if "-q" in args:
        print("NVPM WARN: fan mode is not set!")
        print(f"NV Power Mode: {found[now][0]}\n{now}")
        if behaviour.get("no_root"):
            print("NVPM ERROR: Error opening /sys/kernel/nvpmodel_emc_cap/emc_iso_cap: 13", file=sys.stderr)
        return 0
    wanted = int(args[args.index("-m") + 1])
    settings = found[wanted][1]
    if "refuse" in behaviour:
        print(behaviour["refuse"])
        return 255
    if behaviour.get("quiet_error"):
        print("NVPM ERROR: failed to set power mode!")
        return 0
    key = ("TPC_POWER_GATING", "TPC_PG_MASK")
    if behaviour.get("golden") and key in settings and path_of(paths[key]).read_text().strip() != settings[key]:
        print("NVPM WARN: Golden image context is already created")
        print(f"NVPM WARN: Reboot required for changing to this power mode: {wanted}")
        print("NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:", flush=True)
        if sys.stdin.readline().strip() not in ("YES", "yes"):
            print("NVPM ERROR: bad input!\nNVPM ERROR: optMask is 1, no request for power mode")
            return 234
        print("NVPM WARN: rebooting")
        (prefix / "fake/rebooted").write_text(str(wanted))
        return 0
    status.write_text(f"pmode:{wanted:04}\n")
    if behaviour.get("lie"):
        return 0
    online = []
    for (param, arg), value in settings.items():
        if param == "CPU_ONLINE":
            path_of(paths[(param, arg)]).write_text(value)
            online += [int(arg[5:])] if value == "1" else []
        elif arg == "MAX_FREQ" and param in ("GPU", "CPU_A"):
            top = {"GPU": "1300000000", "CPU_A": "2000000"}[param]
            path_of(paths[(param, arg)]).write_text(top if value == "-1" else value)
        elif arg == "TPC_PG_MASK":
            path_of(paths[(param, arg)]).write_text(value)
    cap = path_of(paths[("CPU_A", "MAX_FREQ")]).read_text()
    for core in online:
        folder = path_of(f"/sys/devices/system/cpu/cpu{core}/cpufreq")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "scaling_max_freq").write_text(cap)
        if not (folder / "scaling_min_freq").exists():
            (folder / "scaling_min_freq").write_text("100000")
    path_of("/sys/devices/system/cpu/online").write_text(f"0-{max(online)}")
    return 0


def jetson_clocks():
    if behaviour.get("no_root"):
        print("Error: Run this script(/usr/bin/jetson_clocks) as a root user")
        return 1
    if "--show" in args:
        print((prefix / "fake/jetson_clocks.txt").read_text(), end="")
        return 0
    if not behaviour.get("stuck"):
        for folder in [
            *path_of("/sys/devices/system/cpu").glob("cpu*/cpufreq"),
            *path_of("/sys").glob("**/devfreq_dev"),
        ]:
            for least in folder.glob("*min_freq"):
                least.write_text((folder / least.name.replace("min", "max")).read_text())
    return 0


def prints(name):
    """Print a capture: `<tool>_p.txt` where `nvpmodel -p` is asked, else `<tool>.txt`."""
    captures = [f"{name}_p.txt"] if "-p" in args else [f"{name}.txt"]
    for capture in captures:
        if (prefix / "fake" / capture).exists():
            print((prefix / "fake" / capture).read_text(), end="")
    return 0


with open(prefix / f"fake/{tool}.calls", "a") as log:
    log.write(" ".join(args) + "\n")
if kind.startswith("prints:"):
    sys.exit(prints(kind.partition(":")[2]))
sys.exit({"nvpmodel": nvpmodel, "jetson_clocks": jetson_clocks}[kind]())
