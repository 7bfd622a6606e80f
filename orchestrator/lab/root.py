"""Makes the root folder of a virtual device: a base system lent from the host read-only, and the board's own files.

What the host lends appears under `/.lab` (see `Mount`); everything else is the device's own. Files that belong to root
on a board have no write bit for their owner, because all users of a device are one user of the host: so the login user
is refused, and root passes by its capability, as on a board.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import shutil
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.lab.pythons import Python
from orchestrator.lab.repositories import GITCONFIG, MOUNT
from orchestrator.lab.tools import launcher

COMMANDS = """
[ awk base64 basename bash bunzip2 bzip2 cat chgrp chmod chown cksum clear cmp comm cp curl cut dash date dd df diff dir
dirname du echo egrep env expand expr false fgrep file find findmnt flock fold free getconf getent getopt grep groups
gunzip gzip head hexdump hostname id install join kill ldd less link ln locale locale-gen logname ls lscpu md5sum mkdir
mkfifo mktemp more mount mountpoint mv nice nl nohup nproc numfmt od paste patch pathchk perl pinky pr printenv printf
pwd pwdx readlink realpath renice rev rm rmdir rsync run-parts scp sed seq setpriv setsid sh sha1sum sha256sum sha512sum
shuf sleep sort split stat stdbuf strings stty sum sync tac tail tar tee test time timeout touch tr true truncate tsort
tty umount uname unexpand uniq unlink unshare unxz unzip uptime vdir wc wget which who whoami xargs xxd xz xzcat yes
zcat zgrep zip
gpasswd groupadd groupdel groupmod useradd userdel usermod chage
""".split()  # noqa: SIM905

# These look for processes under /proc/<pid>, which the device's /proc does not show: each run gets a view with them.
PROCESS_COMMANDS = ("ps", "pgrep", "pkill", "pidof", "top", "w")

_PROCESS_SCRIPT = """\
#!/bin/sh
# A view of /proc with the device's processes, for this one command.
if [ "$FLEET_PROC" != ready ]; then
    export FLEET_PROC=ready FLEET_UID="$(id -u)" FLEET_GID="$(id -g)"
    exec unshare -Urm "$0" "$@"
fi
mount -t tmpfs proc /mnt
cp -R /proc/meminfo /proc/uptime /proc/stat /proc/loadavg /proc/version /proc/cpuinfo /proc/filesystems /proc/sys /mnt
ln -s /.lab/proc/[0-9]* /.lab/proc/self /mnt
mount --bind /mnt /proc
exec unshare -U --map-user="$FLEET_UID" --map-group="$FLEET_GID" env -u FLEET_PROC -u FLEET_UID -u FLEET_GID {real} "$@"
"""

# Parts of the host's /usr/lib that would show its packages instead of the board's.
FOREIGN_LIBRARIES = (
    "apt",
    "cuda",
    "dpkg",
    "python",
    "systemd",
    "tensorrt",
    "sysimage",
    "rpm",
    "go",
    "jvm",
    "postgresql",
)

USER_ID = 1000
SITE = ".lab/python-site"
"""Stands for the site-packages of a lent Python: names the folders of the device that hold its packages."""

TOOLS = Path(__file__).parent / "tools"
FORMAT = 4
"""Of the root folder: a folder of another format is made again."""


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host that a device sees, always read-only except device nodes."""

    source: str
    target: str
    """Absolute path inside the device."""
    writable: bool = False


def make_root(root: Path, profile: Mapping[str, Any], python: Python, user_key: str, host_key: str) -> None:
    """Fill the empty or absent folder `root` with a freshly flashed device.

    Args:
        python: what becomes /usr/bin/python3.
        user_key: the public line that may log in.
        host_key: the device's private host key, OpenSSH format.
    """
    user = str(profile.get("user", "nvidia"))
    for name in (
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "usr/share",
        "usr/local/bin",
        "usr/local/sbin",
        "usr/src",
        "etc",
        "opt",
    ):
        (root / name).mkdir(parents=True)
    for name in ("var/lib", "var/log", "var/cache", "mnt", "media", "srv", "boot", "sys", "proc/sys", "root", "run"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib"):
        (root / name).symlink_to(f"usr/{name}")
    for name in ("tmp", "var/tmp", "dev/shm", "dev/pts", "run/lock", f"home/{user}/.ssh", f"run/user/{USER_ID}"):
        (root / name).mkdir(parents=True)
    _lend_system(root, python)
    _dev(root)
    _proc(root)
    _etc(root, profile, user)
    _lab(root, profile, python, host_key)
    _tools(root, profile)
    _write(root / f"home/{user}/.ssh/authorized_keys", user_key + "\n", 0o600)
    _write(root / f"home/{user}/.profile", '[ -n "$BASH_VERSION" ] && [ -f ~/.bashrc ] && . ~/.bashrc\n', 0o644)
    _write(root / f"home/{user}/.bashrc", "case $- in *i*) ;; *) return ;; esac\nPS1='\\u@\\h:\\w\\$ '\n", 0o644)
    _lock_folders(root, user)


def mounts(python: Python, root: Path, repositories: Path) -> list[Mount]:
    """What the host lends to a device with this Python, in this root folder."""
    lent = [Mount("/usr", "/.lab/host/usr"), Mount(str(TOOLS), "/.lab/tools"), Mount(str(repositories), MOUNT)]
    # A host whose /bin is not a part of /usr.
    own = [n for n in ("bin", "sbin", "lib", "lib64") if os.path.isdir(f"/{n}") and not os.path.islink(f"/{n}")]
    lent += [Mount(f"/{name}", f"/.lab/host/{name}") for name in own]
    if not _in_usr(python.prefix):
        lent.append(Mount(python.prefix, "/.lab/device-python"))
        # What is installed for that Python on the host is none of the device's: its own folders come instead.
        lent += [Mount(str(root / SITE), inside(folder, python)) for folder in python.site if os.path.isdir(folder)]
    if not _in_usr(sys.base_prefix):
        lent.append(Mount(sys.base_prefix, "/.lab/controller"))
    lent += [Mount(folder, f"/.lab/site/{n}") for n, folder in enumerate(site_folders())]
    lent += [Mount(f"/dev/{node}", f"/dev/{node}", writable=True) for node in _nodes()]
    return lent


def site_folders() -> list[str]:
    """The controller's package folders, in order."""
    return [f for f in sys.path if os.path.basename(f) in ("site-packages", "dist-packages") and os.path.isdir(f)]


def inside(path: str, python: Python | None = None) -> str:
    """Where a path of the host's /usr, of the controller's Python or of its packages appears inside a device."""
    moves = [(folder, f"/.lab/site/{n}") for n, folder in enumerate(site_folders())]
    if python is not None and not _in_usr(python.prefix):
        moves.append((python.prefix, "/.lab/device-python"))
    if not _in_usr(sys.base_prefix):
        moves.append((sys.base_prefix, "/.lab/controller"))
    for folder, place in moves:
        if path == folder or path.startswith(folder + "/"):
            return place + path[len(folder) :]
    return f"/.lab/host{path}"


def remove_root(root: Path) -> None:
    """Delete a root folder, also what its own modes protect."""

    def unlock(function: Any, path: str, _error: Any) -> None:
        for folder in (os.path.dirname(path), path):
            if not os.path.islink(folder) and os.path.isdir(folder):
                os.chmod(folder, 0o700)
        function(path)

    if root.exists():
        for folder, names, _ in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
        shutil.rmtree(root, onerror=unlock)


def _in_usr(path: str) -> bool:
    return path == "/usr" or path.startswith("/usr/")


def _nodes() -> list[str]:
    return [node for node in ("null", "zero", "full", "random", "urandom", "tty") if os.path.exists(f"/dev/{node}")]


def _write(path: Path, text: str, mode: int = 0o444) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)


def _lend_system(root: Path, python: Python) -> None:
    for name in COMMANDS:
        # Alternatives (awk, pager) point through /etc, which is not lent: so link to where they end.
        found = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
        if found:
            real = os.path.realpath(found)
            place = real if real.startswith(("/usr/", "/bin/", "/sbin/")) else found
            (root / "usr/bin" / name).symlink_to(f"/.lab/host{place}")
    for name in PROCESS_COMMANDS:
        found = shutil.which(name, path="/usr/bin:/bin")
        if found:
            script = _PROCESS_SCRIPT.format(real=f"/.lab/host{os.path.realpath(found)}")
            _write(root / "usr/bin" / name, script, 0o555)
    for folder in ("lib", "lib64"):
        sources = [f"/usr/{folder}"] + ([f"/{folder}"] if not os.path.islink(f"/{folder}") else [])
        for source in sources:
            if os.path.isdir(source):
                (root / "usr" / folder).mkdir(exist_ok=True)
                _link_entries(root / "usr" / folder, source)
    if (root / "usr/lib64").exists():
        (root / "lib64").symlink_to("usr/lib64")
    for name in ("i18n", "locale", "misc", "perl", "perl5", "terminfo", "zoneinfo"):
        if os.path.isdir(f"/usr/share/{name}"):
            (root / "usr/share" / name).symlink_to(f"/.lab/host/usr/share/{name}")
    executable = inside(python.executable, python)
    (root / "usr/bin/python3").symlink_to(executable)
    (root / "usr/bin" / f"python{'.'.join(python.version.split('.')[:2])}").symlink_to(executable)
    # A Python with a shared library looks for it at its own place of the host, before any other of that name.
    if not _in_usr(python.prefix) and list(Path(python.prefix, "lib").glob("libpython*.so*")):
        own_place = root / python.prefix.lstrip("/")
        own_place.parent.mkdir(parents=True, exist_ok=True)
        own_place.symlink_to("/.lab/device-python")


def _link_entries(folder: Path, source: str) -> None:
    for name in os.listdir(source):
        target = folder / name
        if not name.startswith(FOREIGN_LIBRARIES) and not target.is_symlink():
            target.symlink_to(f"/.lab/host{source}/{name}")


def _dev(root: Path) -> None:
    for node in _nodes():
        (root / "dev" / node).touch()
    links = {"ptmx": "pts/ptmx", "fd": "/.lab/proc/self/fd"}
    links.update({name: f"/.lab/proc/self/fd/{n}" for n, name in enumerate(("stdin", "stdout", "stderr"))})
    for name, target in links.items():
        (root / "dev" / name).symlink_to(target)


def _proc(root: Path) -> None:
    """The board's /proc is a plain folder, for the kernel's own has no device tree; what is per process links to it."""
    for name in ("self", "thread-self"):
        (root / "proc" / name).symlink_to(f"/.lab/proc/{name}")
    for name in ("mounts", "net"):
        (root / "proc" / name).symlink_to(f"self/{name}")
    for name in ("cpuinfo", "filesystems", "loadavg", "stat"):
        try:
            _write(root / "proc" / name, Path("/proc", name).read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue


def _etc(root: Path, profile: Mapping[str, Any], user: str) -> None:
    etc, hostname = root / "etc", str(profile.get("hostname", "jetson"))
    home = f"/home/{user}"
    passwd = ["root:x:0:0:root:/root:/bin/bash", f"{user}:x:{USER_ID}:{USER_ID}::{home}:/bin/bash"]
    groups = dict.fromkeys(["sudo", *map(str, profile.get("groups", []))])
    numbers = {"adm": 4, "tty": 5, "disk": 6, "dialout": 20, "sudo": 27, "audio": 29, "video": 44, "plugdev": 46}
    lines = ["root:x:0:", f"{user}:x:{USER_ID}:"]
    lines += [f"{g}:x:{numbers.get(g, 900 + n)}:{user}" for n, g in enumerate(groups) if g not in ("root", user)]
    _write(etc / "passwd", "\n".join([*passwd, "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin"]) + "\n")
    _write(etc / "group", "\n".join([*lines, "nogroup:x:65534:"]) + "\n")
    hashed = password_hash(str(profile.get("password", "nvidia")))
    _write(etc / "shadow", f"root:*:19000:0:99999:7:::\n{user}:{hashed}:19000:0:99999:7:::\n", 0o400)
    _write(etc / "hostname", hostname + "\n")
    _write(etc / "hosts", f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n")
    _write(etc / "login.defs", _LOGIN_DEFS)
    _write(
        etc / "sudoers",
        "Defaults\tenv_reset\nroot\tALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n#includedir /etc/sudoers.d\n",
        0o440,
    )
    (etc / "sudoers.d").mkdir()
    for name in ("profile.d", "systemd/system", "apt/sources.list.d", "ld.so.conf.d", "skel"):
        (etc / name).mkdir(parents=True, exist_ok=True)
    _write(
        etc / "fstab",
        "/dev/root            /                     ext4           defaults                                     0 1\n",
    )
    _write(etc / "gitconfig", GITCONFIG)
    _write(etc / "timezone", "Etc/UTC\n")
    _write(etc / "nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n")
    _write(etc / "profile", _PROFILE)
    if os.path.exists("/etc/ld.so.cache"):
        shutil.copyfile("/etc/ld.so.cache", etc / "ld.so.cache")
    (etc / "localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")


_LOGIN_DEFS = "UID_MIN 1000\nUID_MAX 60000\nGID_MIN 1000\nGID_MAX 60000\nUSERGROUPS_ENAB yes\n"

_SUDOERS = """\
Defaults\tenv_reset
root\tALL=(ALL:ALL) ALL
%sudo\tALL=(ALL:ALL) ALL
#includedir /etc/sudoers.d
"""

_PROFILE = """\
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
for file in /etc/profile.d/*.sh; do
    [ -r "$file" ] && . "$file"
done
unset file
"""


def password_hash(password: str) -> str:
    """A crypt(3) hash for /etc/shadow; `*` (no login by password under OpenSSH) where libcrypt is missing."""
    for name in ("libcrypt.so.1", "libcrypt.so.2"):
        try:
            crypt = ctypes.CDLL(name).crypt
        except (OSError, AttributeError):
            continue
        crypt.restype = ctypes.c_char_p
        hashed = crypt(password.encode(), b"$6$" + os.urandom(6).hex().encode())
        if hashed:
            return bytes(hashed).decode()
    return "*"


def _lab(root: Path, profile: Mapping[str, Any], python: Python, host_key: str) -> None:
    lab = root / ".lab"
    for mount in mounts(python, root, root):
        if mount.target.startswith("/.lab/") and mount.source != str(root / SITE):
            (root / mount.target[1:]).mkdir(parents=True, exist_ok=True)
    (lab / "proc").mkdir()
    _write(lab / "uname", f"{profile.get('kernel', platform.release())} {_machine(profile)}\n")
    _write(lab / "profile.json", json.dumps(profile, indent=1, default=str))
    _write(lab / "state.lock", "", 0o666)
    _write(lab / "ssh/host_key", host_key, 0o400)
    os.mkfifo(lab / "control", 0o000)
    os.chmod(lab / "control", 0o000)
    own = os.path.realpath(sys.executable)
    environment = [f"PYTHONPATH={':'.join(f'/.lab/site/{n}' for n in range(len(site_folders())))}"]
    if list(Path(sys.base_prefix, "lib").glob("libpython*.so*")) and not _in_usr(sys.base_prefix):
        environment.append("LD_LIBRARY_PATH=/.lab/controller/lib")
    environment.append("PYTHONDONTWRITEBYTECODE=1")
    _write(lab / "python", f'#!/bin/sh\n{" ".join(environment)} exec {inside(own)} "$@"\n', 0o555)
    _python_packages(root, python)
    virtual = {
        "virtual": True,
        "profile": profile.get("name"),
        "title": profile.get("title"),
        "note": "an emulated device of Fleet's lab: nothing here was measured on a Jetson",
        "host_machine": platform.machine(),
        "python": {"asked": python.asked, "used": python.version},
    }
    _write(root / "etc/fleet-virtual.json", json.dumps(virtual, indent=1) + "\n")


def _machine(profile: Mapping[str, Any]) -> str:
    return str(profile.get("machine", "aarch64"))


def _python_packages(root: Path, python: Python) -> None:
    """Where the device's Python finds packages: at Ubuntu's places. And how it sees the device's clock and disk."""
    short = ".".join(python.version.split(".")[:2])
    folders = [f"/usr/local/lib/python{short}/dist-packages", "/usr/lib/python3/dist-packages"]
    folders.append(f"/usr/lib/python{short}/dist-packages")
    look = "import os; exec(compile(open('/.lab/tools/standins/board_python.py').read(), 'board_python', 'exec'), {})\n"
    (root / SITE).mkdir(parents=True)
    _write(root / SITE / "board.pth", "".join(folder + "\n" for folder in folders) + look)
    for folder in folders:
        (root / folder[1:]).mkdir(parents=True, exist_ok=True)
    if _in_usr(python.prefix):
        # Debian's own Python looks at these places by itself.
        _write(root / "usr/lib/python3/dist-packages/board.pth", look)


def _tools(root: Path, profile: Mapping[str, Any]) -> None:
    for path, name in profile["tools"].items():
        target = root / str(path).lstrip("/")
        # Through the links /bin and /sbin, but never through a command lent from the host.
        target = target.parent.resolve() / target.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        _write(target, launcher.script(name), 0o555)


def _lock_folders(root: Path, user: str) -> None:
    home, open_to_all = root / "home" / user, [root / name for name in ("tmp", "var/tmp", "dev/shm")]
    for folder, names, _ in os.walk(root, topdown=False):
        for path in (Path(folder, name) for name in names):
            if path.is_symlink() or path in open_to_all:
                continue
            if path != home and home not in path.parents:
                path.chmod(0o555)
    for path in open_to_all:
        path.chmod(0o777 | stat.S_ISVTX)
    (root / "root").chmod(0o500)
    (home / ".ssh").chmod(0o700)
    (root / f"run/user/{USER_ID}").chmod(0o700)
    root.chmod(0o555)
