"""L4T, the packages that decide an engine, CUDA, and trtexec with the flags that it says it has."""

import json
import os
import re

from ..files import make_folder, read_json, read_text, write_json
from ..process import capture, find_tool

NAMES = ("packages", "cuda", "trtexec")

PACKAGES = (
    "nvidia-l4t-core",
    "nvidia-jetpack",
    "tensorrt",
    "libnvinfer*",
    "libcudnn*",
    "cuda-*",
    "python3-libnvinfer",
)
TRTEXEC = ("trtexec", "/usr/src/tensorrt/bin/trtexec", "/usr/bin/trtexec", "/usr/local/bin/trtexec")
"""Where it may be, in this order; it is never on PATH on JetPack 4 to 6."""

HELP_TIMEOUT_S = 30


def read(root):
    """Facts that need a tool to be run; each is null where it cannot be told."""
    return {"packages": packages(), "cuda": cuda(), "trtexec": trtexec(root)}


def l4t(installed=None):
    """{"text": first line of nv_tegra_release, "version": "32.7.1"}, from the package's version where it is missing."""
    release = read_text("/etc/nv_tegra_release")
    first = release.splitlines()[0] if release else None
    match = re.match(r"# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", first or "")
    if match:
        return {"text": first, "version": ".".join(match.groups())}
    core = re.match(r"\d+(?:\.\d+)+", (installed or {}).get("nvidia-l4t-core", ""))
    return {"text": first, "version": core.group() if core else None}


def packages():
    """Installed packages of interest as {name: version}; None without dpkg."""
    tool = find_tool("/usr/bin/dpkg-query", "dpkg-query")
    if tool is None:
        return None
    form = "${Package}\t${Version}\t${db:Status-Abbrev}\n"
    # It exits with 1 where a pattern matches nothing and prints the others all the same.
    output = capture([tool, "-W", "-f", form] + list(PACKAGES), timeout_s=30)
    found = {}
    for line in output.stdout.splitlines():
        fields = line.split("\t")
        # The second letter is the state; hi (held) and ii are both installed.
        if len(fields) == 3 and fields[1] and fields[2][1:2] == "i":
            found[fields[0]] = fields[1]
    return found


def cuda():
    """The toolkit's version ("10.2.300"), or None: bare L4T has none."""
    home = "/usr/local/cuda"
    try:
        versions = json.loads(read_text(home + "/version.json") or "null")
        for name in ("cuda_nvcc", "cuda"):
            version = versions[name]["version"]
            if re.match(r"\d+(\.\d+)+\Z", version):
                return version
    except (ValueError, TypeError, KeyError):
        pass
    match = re.search(r"CUDA Version (\d+(?:\.\d+)+)", read_text(home + "/version.txt") or "")
    if match:
        return match.group(1)
    nvcc = find_tool(home + "/bin/nvcc")
    if nvcc is None:
        return None
    match = re.search(r"\bV(\d+(?:\.\d+)+)", capture([nvcc, "--version"], timeout_s=20).stdout)
    return match.group(1) if match else None


def trtexec(root):
    """{"path", "banner", "version", "flags"} of trtexec, or None; its --help is run once per path, size and time."""
    path = find_tool(*TRTEXEC)
    if path is None:
        return None
    status = os.stat(path)
    stamp = [path, status.st_size, status.st_mtime_ns]
    memory = os.path.join(root.cache, "trtexec.json")
    known = read_json(memory)
    if isinstance(known, dict) and known.get("stamp") == stamp and isinstance(known.get("fact"), dict):
        return known["fact"]
    output = capture([path, "--help"], timeout_s=HELP_TIMEOUT_S, merge=True)
    fact = parse_help(output.stdout)
    fact["path"] = path
    if fact["flags"] and not output.timed_out:
        try:
            make_folder(root.cache)
            write_json(memory, {"stamp": stamp, "fact": fact})
        except OSError:
            pass  # a full or read-only disk must not hide the fact
    return fact


def parse_help(text):
    """Banner, version and flags from what `trtexec --help` printed."""
    banner = re.search(r"(?m)^&&&& RUNNING TensorRT\.trtexec.*$", text)
    banner = banner.group().strip() if banner else None
    # Only where an option's own line begins: descriptions and the banner name flags that this version may lack.
    flags = re.findall(r"(?m)^ {0,8}(?:-\w,? )?(--[A-Za-z][\w-]*)", text)
    return {"banner": banner, "version": banner_version(banner), "flags": sorted(set(flags))}


def banner_version(banner):
    """ "8.2.1" from `[TensorRT v8201]`, "10.16.2" from `[TensorRT v101602]`; None for 7.x, which prints no tag."""
    match = re.search(r"\[TensorRT v(\d+)\]", banner or "")
    if not match:
        return None
    number = int(match.group(1))
    # From 10.0 on a minor version may have two digits.
    scale = 10000 if number >= 100000 else 1000
    return "{}.{}.{}".format(number // scale, number % scale // 100, number % 100)
