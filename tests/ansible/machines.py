"""Two machines behind OpenSSH servers in roots of their own, as both Ansible and Fleet see them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

from orchestrator.lab.lab import Lab, LabDevice

HERE = Path(__file__).parent
PROFILE = HERE / "linux-generic.yml"
NAMES = ("one", "two")
USER = "nvidia"
COMPARED = ("home", "etc", "tmp/test")
# What each tool keeps for itself, and the lab's own state.
PRIVATE = ("home/nvidia/.ansible", "home/nvidia/.ansible_async", "home/nvidia/.cache", "home/nvidia/.local")
BACKUP = re.compile(r"\.\d+\.\d{4}-\d\d-\d\d@\d\d:\d\d:\d\d~$")
SHADOW = re.compile(r"^([^:\n]+:)(?:\$6\$[^:]+|([!*]+)):\d+:", re.MULTILINE)
LENT = ("git", "make", "useradd", "userdel", "usermod", "groupadd", "groupdel", "groupmod")
"""Programs of this machine that the comparison needs and that a board of the lab does not have."""


class Machines:
    """The two hosts; `start` makes them fresh, `snapshot` says what is on them.

    Args:
        folder: where the lab lies.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lab = Lab(folder / "lab")
        self._start: dict[str, dict[str, Any]] = {}

    def start(self, seed: Path | None) -> None:
        """Both hosts as just installed, with the files of `seed` (a tree that mirrors `/`) put on them."""
        wanted = {name: LabDevice(str(PROFILE)) for name in NAMES}
        if self.lab.list():
            for name in NAMES:
                self.lab.reset(name)
        self.lab.up(wanted, "openssh")
        for name in NAMES:
            root = self.root(name)
            _lend(root)
            if seed and seed.is_dir():
                _put(seed, root)
        self._start = {name: self.snapshot(name) for name in NAMES}

    def close(self) -> None:
        self.lab.remove()

    def root(self, name: str) -> Path:
        return self.lab.directory / "devices" / name / "root"

    def snapshot(self, name: str) -> dict[str, Any]:
        """Type, mode, content and link target of every compared file, by path."""
        root = self.root(name)
        found: dict[str, Any] = {}
        for top in COMPARED:
            for folder, folders, files in os.walk(root / top):
                inner = os.path.relpath(folder, root)
                folders[:] = [each for each in folders if f"{inner}/{each}" not in PRIVATE]
                if "/.git" in f"/{inner}":
                    folders[:], files = [], [each for each in files if each == "HEAD"]
                for each in [*folders, *files]:
                    path = f"{inner}/{each}"
                    found["/" + BACKUP.sub(".BACKUP~", path)] = _describe(root / path)
        return found

    def changes(self, name: str) -> dict[str, Any]:
        """What differs from the start: the new description of each path, None where it is gone."""
        before, after = self._start[name], self.snapshot(name)
        paths = sorted({*before, *after})
        return {path: after.get(path) for path in paths if before.get(path) != after.get(path)}

    def inventory(self, path: Path) -> Path:
        """Write an inventory of the two that both tools read alike, and a known_hosts file beside it."""
        hosts = {}
        known = []
        for name in NAMES:
            end = self.lab.endpoint(name)
            colour = "red" if name == "one" else "blue"
            hosts[name] = {"ansible_host": end.host, "ansible_port": end.port, "colour": colour}
            known.append(f"[{end.host}]:{end.port} {end.host_key_line}\n")
        (path.parent / "known_hosts").write_text("".join(known))
        common = {
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(self.lab.key_file),
            "ansible_python_interpreter": "/usr/bin/python3",
            "shade": "dark",
        }
        groups = {"red": {"hosts": {"one": {}}, "vars": {"shade": "crimson"}}, "blue": {"hosts": {"two": {}}}}
        path.write_text(json.dumps({"all": {"hosts": hosts, "vars": common, "children": groups}}, indent=1))
        return path


def _lend(root: Path) -> None:
    """Let the fresh root have the programs of LENT."""
    for name in LENT:
        real = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
        if not real:
            continue
        place = root / ("usr/sbin" if "/sbin/" in real else "usr/bin") / name
        if not place.is_symlink() and not place.exists():
            place.parent.chmod(0o755)
            place.symlink_to(f"/.lab/host{os.path.realpath(real)}")
            place.parent.chmod(0o555)


def _put(seed: Path, root: Path) -> None:
    for source in sorted(seed.rglob("*")):
        target = root / source.relative_to(seed)
        parent_mode = stat.S_IMODE(target.parent.stat().st_mode)
        target.parent.chmod(0o755)
        if source.is_symlink():
            target.symlink_to(os.readlink(source))
        elif source.is_dir():
            target.mkdir(exist_ok=True)
        else:
            shutil.copyfile(source, target)
            target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
        target.parent.chmod(parent_mode)


def _describe(path: Path) -> dict[str, Any]:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return {"type": "link", "target": os.readlink(path)}
    mode = f"{stat.S_IMODE(status.st_mode):04o}"
    if stat.S_ISDIR(status.st_mode):
        return {"type": "directory", "mode": mode}
    if not stat.S_ISREG(status.st_mode):
        return {"type": "other", "mode": mode}
    if not os.access(path, os.R_OK):
        path.chmod(0o400)
        content = path.read_bytes()
        path.chmod(int(mode, 8))
    else:
        content = path.read_bytes()
    described = {"type": "file", "mode": mode, "links": status.st_nlink}
    try:
        text = content.decode()
        if path.name in ("shadow", "shadow-"):
            # Salt and date are of the moment.
            text = SHADOW.sub(r"\1\2:DAY:", text)
        if len(text) <= 2000:
            return {**described, "text": text}
    except UnicodeDecodeError:
        pass
    return {**described, "sha256": hashlib.sha256(content).hexdigest()}
