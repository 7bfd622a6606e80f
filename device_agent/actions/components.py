"""The SDK components of a JetPack, and what stands in their way: locks, holds, half-configured packages."""

import os
import re

from ..arguments import Flag, Integer, Record, Sequence, Text, accepts
from ..errors import ActionError
from ..files import device_path, list_folder, read_int, read_text
from ..packages import apt_get as aptget
from ..packages.dpkg import Database, changes
from ..process import capture, find_tool
from ..results import Result

L4T = "nvidia-l4t-"
LOCK = "/var/lib/dpkg/lock-frontend"
_PACKAGE = Text(pattern=r"[a-z0-9][a-z0-9+.-]*", allowed="a package's name")
_VERSION = Text(default=None, pattern=r"[A-Za-z0-9][A-Za-z0-9.+~:-]*", allowed="the start of a version")


@accepts()
def jetpack_state(args, context):
    """What provisioning must know before it begins; changes nothing.

    data:
        ubuntu (str or None): version of the distribution
        packages ({name: version}): installed, of L4T, CUDA, cuDNN and TensorRT
        unfinished ([[name, what]]): packages that dpkg has not finished with
        held ([name]); apt_lock (str or None): who holds the lock of the package tools
        read_only (bool): whether the root file system is mounted so
        disk_free_bytes (int): of the root file system
        gpu_nodes ({path: bool}): device nodes of the GPU, and whether this session may use them
        over_current ({counter: int}): events since boot; empty where the board does not count
        cmake, protobuf (str or None): versions of the system's
    """
    from ..provision.building import tool_version

    try:
        database = Database()
    except ActionError:
        database = None
    release = read_text("/etc/os-release") or ""
    ubuntu = re.search(r'^VERSION_ID="?([^"\n]*)', release, re.MULTILINE)
    pattern = re.compile(r"nvidia-|lib(nvinfer|nvonnxparsers|nvparsers|cudnn)|cuda-|tensorrt|python3-libnvinfer|uff-")
    packages = {n: v for n, v in database.installed().items() if pattern.match(n)} if database else {}
    status = os.statvfs(device_path("/"))
    pid, name = aptget.holder_of(LOCK)
    return Result(
        data={
            "ubuntu": ubuntu.group(1) if ubuntu else None,
            "packages": packages,
            "unfinished": [list(pair) for pair in database.unfinished()] if database else [],
            "held": _held(),
            "apt_lock": "process {} ({})".format(pid, name or "?") if pid else None,
            "read_only": _read_only(),
            "disk_free_bytes": status.f_bavail * status.f_frsize,
            "gpu_nodes": _gpu_nodes(),
            "over_current": _over_current(),
            "cmake": tool_version("cmake", r"cmake version (\d+(?:\.\d+)*)"),
            "protobuf": tool_version("protoc", r"libprotoc (\d+(?:\.\d+)*)"),
        }
    )


def _held():
    tool = find_tool("/usr/bin/apt-mark", "apt-mark")
    return sorted(capture([tool, "showhold"], timeout_s=60).stdout.split()) if tool else []


def _read_only():
    for line in (read_text("/proc/mounts") or "").splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[1] == "/":
            return "ro" in fields[3].split(",")
    return False


def _gpu_nodes():
    """Nodes that CUDA opens: nvmap and nvhost on a Jetson, nvidia* on a PC."""
    names = [
        n for n in list_folder("/dev") if n == "nvmap" or n.startswith(("nvhost-gpu", "nvhost-ctrl-gpu", "nvidia0"))
    ]
    paths = ["/dev/" + name for name in names]
    return {path: os.access(device_path(path), os.R_OK | os.W_OK) for path in paths}


def _over_current():
    folder = "/sys/class/hwmon"
    for name in list_folder(folder):
        if read_text("{}/{}/name".format(folder, name)) == "soctherm_oc":
            base = "{}/{}".format(folder, name)
            counters = {
                n[: -len("_event_cnt")]: read_int("{}/{}".format(base, n))
                for n in list_folder(base)
                if n.endswith("_event_cnt")
            }
            return {name: count for name, count in counters.items() if count is not None}
    return {}


@accepts(
    packages=Sequence(Record(name=_PACKAGE, version=_VERSION), default=()),
    l4t=Text(default="keep", choices=("keep", "hold", "unhold")),
    lock_timeout=Integer(default=600, minimum=0),
    update=Flag(default=True),
)
def jetpack_components(args, context):
    """Install packages of the release at the release's own versions, and hold L4T's against upgrades.

    Nothing that is installed is upgraded or downgraded, whatever newer version another repository offers.

    args:
        packages ([{name, version}]): version is how it must begin (8.2.1), or null
        l4t (str): hold keeps every installed nvidia-l4t-* package as it is
        lock_timeout (s): how long to wait for another package tool
        update (bool): fetch the package lists where a package is not found in them
    data:
        installed ({name: version}): newly; present ({name: version}): of those asked for, afterwards
        other ({name: version}): installed at another version than the release's, and left alone
        held ([name]): L4T packages on hold afterwards
    raises:
        ActionError: busy where the lock is held for longer; no package of that version; failed with the cause
    """
    before = Database()
    here = {package["name"]: before.version(package["name"]) for package in args.packages}
    missing = [package for package in args.packages if here[package["name"]] is None]
    other = {
        p["name"]: here[p["name"]]
        for p in args.packages
        if here[p["name"]] and not _begins(here[p["name"]], p["version"])
    }
    ours = sorted(name for name in before.installed() if name.startswith(L4T))
    held = _held()
    turn = []
    if args.l4t != "keep":
        turn = [name for name in ours if (name in held) != (args.l4t == "hold")]
    if not missing and not turn:
        present = {name: version for name, version in here.items() if version}
        return Result(data=_data({}, present, other, [n for n in held if n.startswith(L4T)]))
    words = _chosen(missing) if missing else []
    found = words is not None
    after_hold = sorted(set(held) | set(turn)) if args.l4t == "hold" else [name for name in held if name not in turn]
    shown = "".join("{}\n".format(word.replace("=", " ")) for word in words or []) or "".join(
        "{} {}\n".format(p["name"], p["version"] or "") for p in missing
    )
    diff = (_hold_shown(held), shown + _hold_shown(after_hold))
    if context.check:
        new = {word.split("=")[0]: word.split("=")[1] for word in words or []}
        data = _data(new, {name: version for name, version in here.items() if version}, other, after_hold)
        if not found:
            data["warnings"] = ["the package lists have no such versions yet; they would be fetched first"]
        return Result(True, data, diff)
    if context.uid != 0:
        raise ActionError("only root may install packages", "", "run the task with become: true", kind="refused")
    if missing:
        _install(missing, words, args, context)
    if turn:
        tool = find_tool("/usr/bin/apt-mark", "apt-mark")
        output = capture([tool, args.l4t] + turn, timeout_s=120, merge=True)
        if output.rc != 0:
            raise ActionError("apt-mark {} failed".format(args.l4t), output.stdout.strip()[-200:])
    now = Database()
    left = [package["name"] for package in args.packages if now.version(package["name"]) is None]
    if left:
        raise ActionError("{} could not be installed".format(", ".join(left)), "apt-get said nothing", "see its logs")
    new = {p["name"]: now.version(p["name"]) for p in missing}
    present = {package["name"]: now.version(package["name"]) for package in args.packages}
    pair = changes(before.installed(), now.installed()) or ("", "")
    diff = (pair[0] + _hold_shown(held), pair[1] + _hold_shown(_held()))
    return Result(True, _data(new, present, other, [n for n in _held() if n.startswith(L4T)]), diff)


def _install(missing, words, args, context):
    apt_get = aptget.AptGet(context, args.lock_timeout)
    if words is None and args.update:
        aptget.update(apt_get, 3)
        words = _chosen(missing)
    if words is None:
        absent = [p for p in missing if _candidate(p) is None]
        names = ", ".join("{} {}".format(p["name"], p["version"] or "").strip() for p in absent)
        raise ActionError(
            "no repository of this device has {}".format(names),
            "the release's own is not among its sources, or cannot be reached",
            "look at /etc/apt/sources.list.d/nvidia-l4t-apt-source.list, and try 'apt-cache policy {}'".format(
                absent[0]["name"]
            ),
        )
    options = ["-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"]
    apt_get.run(["install", "--no-install-recommends"] + options + words)


def _chosen(packages):
    """NAME=VERSION of each package, the newest that begins as asked; None where one has none."""
    words = []
    for package in packages:
        version = _candidate(package)
        if version is None:
            return None
        words.append("{}={}".format(package["name"], version))
    return words


def _candidate(package):
    tool = find_tool("/usr/bin/apt-cache", "apt-cache")
    if tool is None:
        raise ActionError("there is no apt-cache on this device", "apt is for Debian and Ubuntu", kind="refused")
    output = capture([tool, "madison", package["name"]], timeout_s=120)
    rows = [[field.strip() for field in line.split("|")] for line in output.stdout.splitlines() if line.count("|") >= 2]
    # apt-cache lists the newest first.
    versions = [row[1] for row in rows if row[0] == package["name"]]
    return next((version for version in versions if _begins(version, package["version"])), None)


def _begins(version, wanted):
    return (
        wanted is None or re.match(re.escape(wanted) + r"(?![0-9])", version.partition(":")[2] or version) is not None
    )


def _hold_shown(names):
    ours = [name for name in names if name.startswith(L4T)]
    return "held: {} L4T packages\n".format(len(ours))


def _data(installed, present, other, held):
    return {"installed": installed, "present": present, "other": other, "held": sorted(held)}
