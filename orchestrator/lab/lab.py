"""The lab as the rest of Fleet sees it: virtual devices by name, up on demand, each behind an SSH endpoint."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigurationError, FleetError

SERVERS = ("embedded", "openssh")
_START_S = 20.0
_BOOT_S = 60.0


@dataclass(frozen=True)
class LabDevice:
    """What a virtual device shall be."""

    profile: str
    """One that ships with Fleet, like `nano-jetpack-4.6.1`, or the path of a .yml file."""
    python: str | None = None
    """Path of the interpreter to use as its /usr/bin/python3; None: one of the profile's version, where installed."""
    faults: tuple[str, ...] = ()
    """What is wrong with it as flashed, each `NAME` or `NAME:VALUE` (see tools/fault_names.py)."""


@dataclass(frozen=True)
class Endpoint:
    """How to reach a virtual device over SSH."""

    host: str
    port: int
    user: str
    key_file: str
    """Private key that may log in."""
    host_key_line: str
    """`ssh-ed25519 AAAA...`, to be put behind `[host]:port` in a known_hosts file."""
    server: str
    """embedded or openssh"""


@dataclass(frozen=True)
class LabStatus:
    """A line of `fleet lab list`."""

    name: str
    state: str
    """off, booting, up or failed"""
    profile: str
    title: str
    python: str
    """Version of its /usr/bin/python3."""
    python_asked: str
    """Version that its JetPack has."""
    endpoint: Endpoint | None
    why: str = ""


def default_directory() -> Path:
    """`.fleet/lab` of the working directory; FLEET_HOME moves `.fleet`."""
    return Path(os.environ.get("FLEET_HOME") or ".fleet").absolute() / "lab"


class Lab:
    """The virtual devices of one directory, served by one daemon, which is started when it is needed.

    Errors of every method: ConfigurationError where the machine cannot run virtual devices (no namespaces, no
    asyncssh, no sshd) or a name or profile is unknown; FleetError where a device does not boot.
    """

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = Path(directory or default_directory()).absolute()
        self.key_file = self.directory / "keys" / "id_ed25519"

    def up(self, devices: Mapping[str, LabDevice], server: str = "embedded") -> dict[str, Endpoint]:
        """Have these devices run and accept connections; at once where they already do.

        A device whose profile or Python changed is flashed anew; one that runs under the other server is restarted.
        """
        if server not in SERVERS:
            raise ConfigurationError(f"unknown server '{server}'", f"known: {', '.join(SERVERS)}")
        for name in devices:
            if not name.isascii() or not name or name.startswith(".") or "/" in name or len(name) > 200:
                why = "it becomes a folder's name and a host's: ASCII, without slashes, not hidden"
                raise ConfigurationError(f"'{name}' cannot name a virtual device", why, "give the host another name")
        if not devices:
            return {}
        if not self._all_up(devices, server):
            self._bring_up(devices, server)
        return {name: self.endpoint(name) for name in devices}

    def _all_up(self, devices: Mapping[str, LabDevice], server: str) -> bool:
        known = self._read()
        for name, device in devices.items():
            found = known.get(name)
            if not found or found["state"] != "up" or found["server"] != server:
                return False
            if found["python_asked"] != device.python or found["stamp"] != _stamp(device):
                return False
        return self._daemon_lives()

    def _bring_up(self, devices: Mapping[str, LabDevice], server: str) -> None:
        from orchestrator.lab.system import supported_machine

        if not supported_machine():
            raise ConfigurationError(
                "virtual devices need Linux on x86-64 or arm64",
                f"this is {sys.platform}: it has no user namespaces",
                "run fleet in a Linux virtual machine or container, or use real devices",
            )
        wanted = {name: {"profile": _profile(d), "python": d.python, "stamp": _stamp(d)} for name, d in devices.items()}
        self._request({"action": "up", "devices": wanted, "server": server})
        self._await_up(devices)

    def endpoint(self, name: str) -> Endpoint:
        """The endpoint of a device that was up once; does not start it."""
        found = self._read().get(name)
        if not found or not found["port"]:
            raise ConfigurationError(f"the lab has no device '{name}'", "", "fleet lab up")
        return self._endpoint(found)

    def _endpoint(self, found: Mapping[str, Any]) -> Endpoint:
        key = str(self.key_file)
        return Endpoint(found["host"], found["port"], found["user"], key, found["host_key_line"], found["server"])

    def down(self, names: Iterable[str] | None = None) -> None:
        """Switch devices off (None: all, and the daemon ends). What is in their folders stays."""
        if not self._daemon_lives():
            return
        wanted = list(names) if names is not None else []
        if names is not None and not wanted:
            return
        self._request({"action": "down", "names": wanted})
        if all(found["state"] in ("off", "failed") for found in self._read().values()):
            self._await_end()

    def remove(self) -> None:
        """Switch everything off and delete the directory (plain `rm` may not: folders of root are protected)."""
        from orchestrator.lab.server import forget

        self.down()
        forget(self.directory)

    def _await_end(self) -> None:
        """Wait until the daemon, which holds its lock for life, has ended."""
        deadline = time.monotonic() + _START_S
        with open(self.directory / "daemon.lock", "rb") as lock:
            while time.monotonic() < deadline:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                except BlockingIOError:
                    time.sleep(0.005)

    def reset(self, name: str, *, new_host_key: bool = False) -> None:
        """As just flashed: an empty device with the profile's packages and settings; up again if it was up.

        Args:
            new_host_key: as a real flash would make one. By default the key stays, so that no client needs to care.
        """
        was_on = self._daemon_lives() and self._read().get(name, {}).get("state") in ("up", "booting")
        self._request({"action": "reset", "name": name, "new_host_key": new_host_key})
        if was_on:
            self._await_up([name])

    def reboot(self, name: str) -> None:
        """An orderly reboot: processes are asked to end, all are killed, a new boot id. Returns when it is up again."""
        self._again({"action": "reboot", "name": name})

    def power_cut(self, name: str, off_s: float = 0.0) -> None:
        """Kill every process of the device at once and leave it off for `off_s`. Returns when it is up again."""
        self._again({"action": "power_cut", "name": name, "off_s": off_s}, off_s)

    def _again(self, request: dict[str, Any], extra_s: float = 0.0) -> None:
        name = request["name"]
        boots = self._read().get(name, {}).get("boots", 0)
        self._request(request)
        self._await_up([name], boots, extra_s)

    def cut_connections(self, name: str) -> None:
        """Drop every connection to the device, as a lost link would; what runs on it goes on. Returns when done."""
        before = self._read().get(name, {}).get("cuts", 0)
        self._request({"action": "cut_connections", "name": name})
        deadline = time.monotonic() + _START_S
        while self._read()[name]["cuts"] == before and time.monotonic() < deadline:
            time.sleep(0.005)

    def fault(self, name: str, fault: str, value: str = "") -> None:
        """Break a running device in a known way, or mend it where `value` is `off`. Returns when that is done.

        Args:
            fault: one of tools/fault_names.py, which says what `value` means; a reset ends every fault.
        """
        _known_fault(fault)
        before = self._read().get(name, {}).get("faults", 0)
        self._request({"action": "fault", "name": name, "fault": fault, "value": value})
        deadline = time.monotonic() + _START_S
        while self._read()[name].get("faults", 0) == before:
            if time.monotonic() > deadline:
                raise FleetError(
                    f"{name} did not take the fault {fault}", "", "fleet lab reset", log=str(self.boot_log())
                )
            time.sleep(0.005)

    def list(self) -> list[LabStatus]:
        """All devices of this lab, by name."""
        lives = self._daemon_lives()
        result = []
        for name, found in sorted(self._read().items()):
            python = found["python"] or {}
            state = found["state"] if lives or found["state"] == "failed" else "off"
            endpoint = self._endpoint(found) if found["port"] else None
            error = found["error"] or {}
            why = " ".join(part for part in (error.get("what"), error.get("why")) if part)
            version, asked = python.get("version", ""), python.get("asked", "")
            title, profile = found["title"] or "", found["profile"] or ""
            result.append(LabStatus(name, state, profile, title, version, asked, endpoint, why))
        return result

    def boot_log(self) -> Path:
        """What the daemon and the SSH servers wrote."""
        return self.directory / "server.log"

    def _read(self) -> dict[str, Any]:
        try:
            devices: dict[str, Any] = json.loads((self.directory / "lab.json").read_bytes())["devices"]
            return devices
        except FileNotFoundError:
            return {}

    def _await_up(self, names: Collection[str], boots: int = -1, extra_s: float = 0.0) -> None:
        deadline = time.monotonic() + _BOOT_S + extra_s
        while True:
            known = self._read()
            for name in names:
                if known[name]["state"] == "failed":
                    raise self._error(known[name]["error"] or {})
            if all(known[name]["state"] == "up" and known[name]["boots"] > boots for name in names):
                return
            if not self._daemon_lives() or time.monotonic() > deadline:
                late = [name for name in names if known[name]["state"] != "up"]
                raise FleetError(
                    f"virtual devices did not boot: {', '.join(late)}", "", "fleet lab down", log=str(self.boot_log())
                )
            time.sleep(0.005)

    def _error(self, error: Mapping[str, Any]) -> FleetError:
        return ConfigurationError(error.get("what") or "the lab failed", error.get("why", ""), error.get("remedy", ""))

    def _daemon_lives(self) -> bool:
        client = self._connect()
        if client is None:
            return False
        client.close()
        return True

    def _connect(self) -> socket.socket | None:
        """A connection to the daemon, or None where there is none."""
        try:
            folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Through the folder's descriptor: a socket's path may have about 100 bytes only.
            client.connect(f"/proc/self/fd/{folder}/control.sock")
            return client
        except OSError:
            client.close()
            return None
        finally:
            os.close(folder)

    def _request(self, request: dict[str, Any]) -> None:
        """Ask the daemon, which is started if need be; returns when it has taken the request."""
        for attempt in (1, 2):
            client = self._connect() or self._start()
            with client, client.makefile("rw", encoding="utf-8") as stream:
                client.settimeout(_BOOT_S)
                try:
                    stream.write(json.dumps(request, default=str) + "\n")
                    stream.flush()
                    line = stream.readline()
                except OSError:
                    line = ""
            # A daemon that was about to end for want of work gives no answer: the next one will.
            if line or attempt == 2:
                break
        if not line:
            raise FleetError("the lab's daemon gave no answer", "", "fleet lab down", log=str(self.boot_log()))
        error = json.loads(line).get("error")
        if error:
            raise self._error(error)

    def _start(self) -> socket.socket:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._starting():
            client = self._connect()
            if client:
                return client
            environment = dict(os.environ)
            package = str(Path(__file__).resolve().parents[2])
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package, environment.get("PYTHONPATH")]))
            with open(self.boot_log(), "ab") as log:
                daemon = subprocess.Popen(
                    [sys.executable, "-m", "orchestrator.lab.server", str(self.directory)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=environment,
                    start_new_session=True,
                )
            deadline = time.monotonic() + _START_S
            while time.monotonic() < deadline:
                client = self._connect()
                if client:
                    return client
                if daemon.poll() is not None and daemon.returncode != 0:
                    break
                time.sleep(0.005)
        raise FleetError("the lab's daemon did not start", "", "see its log", log=str(self.boot_log()))

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """Two commands at once start one daemon."""
        with open(self.directory / "start.lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _profile(device: LabDevice) -> dict[str, Any]:
    from orchestrator.lab.profile import load_profile

    for fault in device.faults:
        _known_fault(fault)
    profile = load_profile(device.profile)
    return {**profile, "faults": list(device.faults)} if device.faults else profile


def _known_fault(text: str) -> None:
    from orchestrator.documents import nearest
    from orchestrator.lab.tools import fault_names

    try:
        fault_names.parse(text)
    except ValueError as problem:
        known = ", ".join(fault_names.FAULTS)
        remedy = nearest(str(problem), list(fault_names.FAULTS)) or "fleet lab fault --help"
        raise ConfigurationError(f"virtual devices have no fault '{problem}'", f"known: {known}", remedy) from None


def _stamp(device: LabDevice) -> list[Any]:
    """Changes when the profile's file does, or the faults."""
    from orchestrator.lab.profile import profile_stamp

    return [*profile_stamp(device.profile), *device.faults]
