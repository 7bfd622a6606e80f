"""Facts under the names that Ansible's users know, without their prefix; read on their own, so that one may fail."""

import configparser
import grp
import json
import os
import platform
import pwd
import re
import struct
import sys
import time

from ..files import device_path, list_folder, read_text
from ..process import capture, find_tool
from . import network

_FAMILIES = {"ubuntu": "Debian", "debian": "Debian", "linuxmint": "Debian", "raspbian": "Debian"}
_NAMES = {"ubuntu": "Ubuntu", "debian": "Debian", "linuxmint": "Linux Mint", "raspbian": "Debian"}
FACTS_FOLDER = "/etc/ansible/facts.d"


def _platform():
    name = os.uname()
    nodename = read_text("/proc/sys/kernel/hostname") or name.nodename
    fqdn = _full_name(nodename)
    return {
        "system": name.sysname,
        "kernel": name.release,
        "kernel_version": name.version,
        "machine": name.machine,
        "architecture": name.machine,
        "userspace_bits": str(struct.calcsize("P") * 8),
        "userspace_architecture": name.machine if struct.calcsize("P") == 8 else platform.architecture()[0],
        "nodename": nodename,
        "hostname": nodename.split(".")[0],
        "fqdn": fqdn,
        "domain": fqdn.partition(".")[2],
        "machine_id": read_text("/etc/machine-id") or read_text("/var/lib/dbus/machine-id"),
    }


def _full_name(nodename):
    """The host name with its domain as /etc/hosts has it; a name server is not asked, it may take long to be silent."""
    for line in (read_text("/etc/hosts") or "").splitlines():
        names = line.partition("#")[0].split()[1:]
        if nodename in names:
            return next((name for name in names if "." in name), nodename)
    return nodename


def _distribution():
    text = read_text("/etc/os-release") or ""
    fields = dict(re.findall(r"""(?m)^(\w+)=["']?([^"'\n]*)""", text))
    kind = fields.get("ID", "").lower()
    version = fields.get("VERSION_ID", "NA")
    if kind == "debian":
        # os-release has 12 where debian_version has 12.4
        detailed = read_text("/etc/debian_version") or ""
        version = detailed if re.match(r"{}\.\d+\Z".format(re.escape(version)), detailed) else version
    codename = fields.get("VERSION_CODENAME") or fields.get("UBUNTU_CODENAME")
    if not codename:
        match = re.search(r"\(([^)]*)\)", fields.get("VERSION", ""))
        codename = match.group(1).split()[0].lower() if match else "NA"
    like = fields.get("ID_LIKE", "").split()
    family = _FAMILIES.get(kind) or ("Debian" if "debian" in like else fields.get("NAME", "NA"))
    return {
        "distribution": _NAMES.get(kind) or fields.get("NAME", "NA"),
        "distribution_version": version,
        "distribution_major_version": version.split(".")[0],
        "distribution_release": codename,
        "os_family": family,
    }


def _user():
    entry = pwd.getpwuid(os.getuid())
    return {
        "user_id": entry.pw_name,
        "user_uid": entry.pw_uid,
        "user_gid": entry.pw_gid,
        "user_gecos": entry.pw_gecos,
        "user_dir": entry.pw_dir,
        "user_shell": entry.pw_shell,
        "real_user_id": os.getuid(),
        "effective_user_id": os.geteuid(),
        "real_group_id": os.getgid(),
        "effective_group_id": os.getegid(),
        "user_groups": sorted({grp.getgrgid(gid).gr_name for gid in os.getgroups() if _has_group(gid)}),
    }


def _has_group(gid):
    try:
        return bool(grp.getgrgid(gid))
    except KeyError:
        return False


def _env():
    return {"env": dict(os.environ)}


def _python():
    version = sys.version_info
    return {
        "python": {
            "executable": sys.executable,
            "version": {
                "major": version.major,
                "minor": version.minor,
                "micro": version.micro,
                "releaselevel": version.releaselevel,
                "serial": version.serial,
            },
            "version_info": list(version),
            "type": sys.implementation.name,
            "has_sslcontext": True,
        },
        "python_version": platform.python_version(),
    }


def _date_time():
    now = time.time()
    local, utc = time.localtime(now), time.gmtime(now)
    zone = time.strftime("%Z", local)
    return {
        "date_time": {
            "year": time.strftime("%Y", local),
            "month": time.strftime("%m", local),
            "weekday": time.strftime("%A", local),
            "weekday_number": time.strftime("%w", local),
            "weeknumber": time.strftime("%W", local),
            "day": time.strftime("%d", local),
            "hour": time.strftime("%H", local),
            "minute": time.strftime("%M", local),
            "second": time.strftime("%S", local),
            "epoch": str(int(now)),
            "epoch_int": str(int(now)),
            "date": time.strftime("%Y-%m-%d", local),
            "time": time.strftime("%H:%M:%S", local),
            "iso8601": time.strftime("%Y-%m-%dT%H:%M:%SZ", utc),
            "iso8601_micro": time.strftime("%Y-%m-%dT%H:%M:%S", utc) + ".{:06d}Z".format(int(now % 1 * 1e6)),
            "iso8601_basic_short": time.strftime("%Y%m%dT%H%M%S", local),
            "tz": zone,
            "tz_dst": time.tzname[1],
            "tz_offset": time.strftime("%z", local),
        }
    }


def _memory():
    fields = {name: int(kib) // 1024 for name, kib in re.findall(r"(?m)^(\w+):\s+(\d+) kB", read_text("/proc/meminfo"))}
    total, free = fields["MemTotal"], fields["MemFree"]
    cached = fields.get("Cached", 0) + fields.get("Buffers", 0)
    swap, swap_free = fields.get("SwapTotal", 0), fields.get("SwapFree", 0)
    return {
        "memtotal_mb": total,
        "memfree_mb": free,
        "swaptotal_mb": swap,
        "swapfree_mb": swap_free,
        "memory_mb": {
            "real": {"total": total, "free": free, "used": total - free},
            "nocache": {"free": free + cached, "used": total - free - cached},
            "swap": {
                "total": swap,
                "free": swap_free,
                "used": swap - swap_free,
                "cached": fields.get("SwapCached", 0),
            },
        },
    }


def _processor():
    text = read_text("/proc/cpuinfo") or ""
    count = len(re.findall(r"(?m)^processor\s*:", text)) or os.cpu_count() or 1
    models = re.findall(r"(?m)^(?:model name|Processor)\s*:\s*(.*)$", text)
    sockets = len(set(re.findall(r"(?m)^physical id\s*:\s*(\d+)", text))) or 1
    cores = re.search(r"(?m)^cpu cores\s*:\s*(\d+)", text)
    cores = int(cores.group(1)) if cores else max(1, count // sockets)
    return {
        "processor": models,
        "processor_count": sockets,
        "processor_cores": cores,
        "processor_threads_per_core": max(1, count // (sockets * cores)),
        "processor_vcpus": count,
        "processor_nproc": len(os.sched_getaffinity(0)),
    }


def _uptime():
    return {"uptime_seconds": int(float(read_text("/proc/uptime").split()[0]))}


def _mounts():
    mounts = []
    for line in (read_text("/proc/mounts") or read_text("/etc/mtab") or "").splitlines():
        fields = [re.sub(r"\\(\d{3})", lambda m: chr(int(m.group(1), 8)), field) for field in line.split()]
        if len(fields) < 4 or not fields[0].startswith("/") or fields[2] == "none":
            continue
        mount = {"device": fields[0], "mount": fields[1], "fstype": fields[2], "options": fields[3]}
        try:
            status = os.statvfs(device_path(fields[1]))
        except OSError:
            continue
        mount.update(
            size_total=status.f_frsize * status.f_blocks,
            size_available=status.f_frsize * status.f_bavail,
            block_size=status.f_bsize,
            block_total=status.f_blocks,
            block_available=status.f_bavail,
            block_used=status.f_blocks - status.f_bavail,
            inode_total=status.f_files,
            inode_available=status.f_favail,
            inode_used=status.f_files - status.f_favail,
        )
        mounts.append(mount)
    return {"mounts": mounts}


def _managers():
    apt = find_tool("/usr/bin/apt-get", "apt-get")
    systemd = os.path.isdir(device_path("/run/systemd/system")) or find_tool("/bin/systemctl", "/usr/bin/systemctl")
    return {"pkg_mgr": "apt" if apt else "unknown", "service_mgr": "systemd" if systemd else "service"}


def _command_line():
    words = (read_text("/proc/cmdline") or "").split()
    return {"cmdline": {word.partition("=")[0]: word.partition("=")[2] if "=" in word else True for word in words}}


def _local(folder=FACTS_FOLDER):
    """Facts that the owner of the device has put down: *.fact files of JSON or INI, or programs that print them."""
    found = {}
    for name in list_folder(folder):
        if not name.endswith(".fact"):
            continue
        path = "{}/{}".format(folder, name)
        if os.access(device_path(path), os.X_OK):
            text = capture([device_path(path)], timeout_s=10).stdout
        else:
            text = read_text(path) or ""
        found[name[: -len(".fact")]] = _parsed(text)
    return {"local": found}


def _parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        pass
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as problem:
        return "error loading facts: {}".format(problem.__class__.__name__)
    return {section: dict(parser.items(section)) for section in parser.sections()}


COLLECTORS = {
    # name: (subset it belongs to, function)
    "platform": ("min", _platform),
    "distribution": ("min", _distribution),
    "user": ("min", _user),
    "env": ("min", _env),
    "python": ("min", _python),
    "date_time": ("min", _date_time),
    "pkg_mgr": ("min", _managers),
    "service_mgr": ("min", _managers),
    "cmdline": ("min", _command_line),
    "local": ("min", _local),
    "memory": ("hardware", _memory),
    "processor": ("hardware", _processor),
    "uptime": ("hardware", _uptime),
    "mounts": ("hardware", _mounts),
    "interfaces": ("network", network.read),
}
GROUPS = ("min", "hardware", "network")
# Subsets that Ansible has and that there is nothing to say of here.
EMPTY = ("virtual", "facter", "ohai", "selinux", "apparmor", "caps", "fips", "lsb", "dns", "ssh_pub_keys", "devices")


def gather(subset, local_folder=FACTS_FOLDER):
    """Facts of the subsets asked for.

    args:
        subset ([str]): all, min, hardware, network, names of COLLECTORS; `!name` leaves one out. The
            minimum comes always, unless `!min` is said
    returns:
        (facts, [problems]): a collector that breaks is one line of problems, the others stand
    """
    wanted = _wanted(subset)
    facts, problems = {}, []
    done = set()
    for name, (_, read) in COLLECTORS.items():
        if name not in wanted or read in done:
            continue
        done.add(read)
        try:
            facts.update(read(local_folder) if read is _local else read())
        except Exception as problem:
            problems.append("{}: {}: {}".format(name, type(problem).__name__, problem))
    return facts, problems


def _wanted(subset):
    wanted, unwanted = set(), set()
    positive = [name for name in subset if not name.startswith("!")]
    if not positive:
        wanted.update(COLLECTORS)
    for name in subset:
        target = unwanted if name.startswith("!") else wanted
        target.update(_members(name.lstrip("!")))
    if "!all" in subset or "!min" not in subset:
        minimum = set(_members("min"))
        # `!all` still leaves the minimum, unless `!min` is said too.
        unwanted -= minimum if "!min" not in subset else set()
        wanted |= minimum if "!min" not in subset else set()
    named = {name for name in positive if name in COLLECTORS}
    return (wanted - unwanted) | named


def _members(name):
    if name == "all":
        return list(COLLECTORS)
    if name in COLLECTORS:
        return [name]
    return [member for member, (group, _) in COLLECTORS.items() if group == name]
