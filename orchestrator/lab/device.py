"""One virtual device as the daemon holds it: its folder, its address, and whether it runs."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigurationError, FleetError
from orchestrator.lab import enter
from orchestrator.lab.keys import ensure_key
from orchestrator.lab.profile import profile_digest
from orchestrator.lab.pythons import Python, find_python
from orchestrator.lab.repositories import make_repositories
from orchestrator.lab.root import FORMAT, make_root, mounts, remove_root

PREFERRED_PORT = 2222
NAMESPACES_REMEDY = (
    "allow unprivileged user namespaces: sysctl -w kernel.unprivileged_userns_clone=1 (Debian), "
    "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu 23.10+), user.max_user_namespaces above 0; "
    "in a container: --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or --privileged"
)


class Device:
    """A device of the lab; lives in `folder`, which holds device.json, host_key and root/.

    `state` is off, booting, up, or failed (then `error` says why).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.root = folder / "root"
        self.state = "off"
        self.error: dict[str, Any] | None = None
        self.boots = 0
        self.cuts = 0
        self.faults = 0
        self.boot_at: float | None = None
        self.running: enter.Running | None = None
        self.report = b""
        self.spec: dict[str, Any] = {}
        file = folder / "device.json"
        if file.exists():
            self.spec = json.loads(file.read_text(encoding="utf-8"))

    def define(self, profile: Mapping[str, Any], python: str | None, server: str, stamp: list[Any]) -> bool:
        """Say what the device is; makes its root where there is none or that of another board. True if it changed."""
        key = {"format": FORMAT, "digest": profile_digest(profile), "python_asked": python}
        same_board = all(self.spec.get(k) == v for k, v in key.items()) and self.root.exists()
        if same_board and self.spec["server"] == server and self.spec["stamp"] == stamp:
            return False
        self.power_off()
        changed = not same_board or self.spec["server"] != server
        self.spec.update(key, profile=dict(profile), server=server, stamp=stamp)
        if not same_board:
            self.flash()
        self._save()
        return changed

    def flash(self, *, new_host_key: bool = False) -> None:
        """Make the root folder anew; the device must be off."""
        profile = self.spec["profile"]
        python = find_python(str(profile["python"]), self.spec.get("python_asked"))
        self.spec["python"] = python.to_json()
        if new_host_key:
            (self.folder / "host_key").unlink(missing_ok=True)
        host_key = self._host_key()
        user_key = ensure_key(self.folder.parent.parent / "keys" / "id_ed25519", "fleet-lab").strip()
        # Built beside and renamed, so that a half-made root is never taken for a device.
        fresh = self.folder / "root.new"
        remove_root(fresh)
        fresh.mkdir(parents=True)
        make_root(fresh, profile, python, user_key, (self.folder / "host_key").read_text(encoding="ascii"))
        old = self.folder / "root.old"
        remove_root(old)
        if self.root.exists():
            self.root.rename(old)
        fresh.rename(self.root)
        remove_root(old)
        self.spec["host_key_line"] = " ".join(host_key.split()[:2])
        self._save()

    def boot(self, sshd: str | None) -> None:
        """Start the device; `take_report` sees it come up."""
        profile = self.spec["profile"]
        hostname = self._host_name() or str(profile.get("hostname", self.name))
        self.state, self.error, self.boot_at, self.report = "booting", None, None, b""
        listener = self._listen()
        try:
            keep: list[int] = []
            if self.spec["server"] == "openssh":
                from orchestrator.lab.openssh import find_sshd, openssh_server

                listener.close()
                server = openssh_server(self.root, sshd or find_sshd(), self.spec["host"], self.spec["port"])
            else:
                from orchestrator.lab.embedded import embedded_server

                listener.listen(128)
                keep = [listener.fileno()]
                user, password = str(profile.get("user", "nvidia")), str(profile.get("password", "nvidia"))
                server = embedded_server(listener, user, password)
            repositories = make_repositories(self.folder.parent.parent / "repositories")
            lent = mounts(Python(**self.spec["python"]), self.root, repositories)
            self.running = enter.start(str(self.root), lent, hostname, server, keep)
        finally:
            listener.close()

    def take_report(self) -> bool:
        """Read what the starting or running device says. True when its state changed."""
        assert self.running
        data = os.read(self.running.report, 65536)
        if not data:
            self._ended()
            return True
        self.report += data
        *lines, self.report = self.report.split(b"\n")
        changed = False
        for line in lines:
            message = json.loads(line)
            if "init" in message:
                self.running.init = message["init"]
            elif "ready" in message:
                self.state, changed = "up", True
                self.boots += 1
            elif "cut" in message:
                self.cuts, changed = self.cuts + 1, True
            elif "fault" in message:
                self.faults, changed = self.faults + 1, True
            else:
                self.error = _boot_error(self.name, message).to_json()
        return changed

    def _ended(self) -> None:
        assert self.running
        running, self.running = self.running, None
        os.close(running.report)
        os.close(running.command)
        _, status = os.waitpid(running.keeper, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == enter.REBOOT:
            self.state = "booting"
            self.boot_at = time.monotonic() + float(self.spec["profile"].get("boot_s", 0.5))
        elif code == enter.POWEROFF:
            self.state = "off"
        else:
            self.state = "failed"
            self.error = (
                self.error or FleetError("the virtual device's SSH server ended", f"exit code {code}").to_json()
            )

    def send(self, word: str) -> None:
        if self.running:
            try:
                os.write(self.running.command, word.encode() + b"\n")
            except BrokenPipeError:
                pass  # it is ending by itself

    def power_off(self) -> None:
        """Kill every process of the device at once; returns when all are gone."""
        self.boot_at = None
        while self.running:
            if self.running.init:
                try:
                    os.kill(self.running.init, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.take_report()
        self.state = "off"

    def to_json(self) -> dict[str, Any]:
        """This device's part of lab.json."""
        profile = self.spec.get("profile", {})
        return {
            "state": self.state,
            "error": self.error,
            "boots": self.boots,
            "cuts": self.cuts,
            "faults": self.faults,
            "profile": profile.get("name"),
            "title": profile.get("title"),
            "user": profile.get("user", "nvidia"),
            **{
                k: self.spec.get(k)
                for k in ("stamp", "python_asked", "python", "server", "host", "port", "host_key_line")
            },
        }

    def _host_name(self) -> str:
        """What the device was named by whoever worked on it: the kernel is told at boot, as on a board."""
        try:
            return (self.root / "etc/hostname").read_text(encoding="utf-8").strip()[:64]
        except (OSError, ValueError):
            return ""

    def _host_key(self) -> str:
        return ensure_key(self.folder / "host_key", self.name)

    def _listen(self) -> socket.socket:
        """A bound socket on the device's own address; the address is chosen once and kept."""
        if "port" in self.spec:
            return _bind(self.spec["host"], self.spec["port"])
        host = _address(str(self.folder))
        for address, port in ((host, PREFERRED_PORT), (host, 0), ("127.0.0.1", 0)):
            try:
                listener = _bind(address, port)
            except OSError:
                continue
            self.spec["host"], self.spec["port"] = listener.getsockname()[:2]
            self._save()
            return listener
        raise ConfigurationError("no free port on a loopback address", f"tried {host} and 127.0.0.1")

    def _save(self) -> None:
        file = self.folder / "device.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps(self.spec, indent=1, default=str), encoding="utf-8")
        temporary.replace(file)


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _address(seed: str) -> str:
    """A loopback address of its own for each device of each lab on this machine: 127.16.0.1 to 127.239.255.254."""
    digest = hashlib.sha256(seed.encode()).digest()
    return f"127.{16 + digest[0] % 224}.{digest[1]}.{1 + digest[2] % 254}"


def _boot_error(name: str, message: Mapping[str, Any]) -> FleetError:
    if message.get("namespaces"):
        why = message["error"]
        if "[Errno 28]" in why:  # what the kernel says of a count of namespaces, and of disks
            why += " (that is: no more user namespaces; their limit is user.max_user_namespaces)"
        what = "virtual devices need Linux user namespaces, which this machine forbids"
        return ConfigurationError(what, why, NAMESPACES_REMEDY)
    return FleetError(f"the virtual device {name} did not boot", message["error"], f"fleet lab reset {name}")
