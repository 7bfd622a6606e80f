"""Clients of a virtual Nano, and looks at this machine's processes, for the tests of this folder."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import ConfigurationError
from orchestrator.lab.lab import Endpoint, Lab, LabDevice

paramiko = pytest.importorskip("paramiko")
pytest.importorskip("asyncssh")

NANO = "nano-jetpack-4.6.1"


def bring_up(lab: Lab, names: dict[str, str], server: str) -> dict[str, Endpoint]:
    try:
        return lab.up({name: LabDevice(profile) for name, profile in names.items()}, server)
    except ConfigurationError as problem:
        if "namespaces" in problem.what:
            pytest.skip(f"{problem.what}: {problem.why}")
        raise


class Nano:
    """The device under test, and the shortest way to ask it something."""

    name = "nano"

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._client: paramiko.SSHClient | None = None

    @property
    def endpoint(self) -> Endpoint:
        return self.lab.endpoint(self.name)

    @property
    def root(self) -> Path:
        """The device's root as the host sees it."""
        return self.lab.directory / "devices" / self.name / "root"

    def connect(self, **options: object) -> paramiko.SSHClient:
        """A client that accepts the endpoint's host key and no other."""
        endpoint = self.endpoint
        client = paramiko.SSHClient()
        kind, key = endpoint.host_key_line.split()
        host = f"[{endpoint.host}]:{endpoint.port}"
        client.get_host_keys().add(host, kind, paramiko.PKey.from_type_string(kind, _decode(key)))
        settings = {"username": endpoint.user, "key_filename": endpoint.key_file, "timeout": 10, **options}
        client.connect(endpoint.host, endpoint.port, allow_agent=False, look_for_keys=False, **settings)
        return client

    def run(self, command: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command of the login user."""
        if self._client is None or not self._client.get_transport().is_active():
            self._client = self.connect()
        return run(self._client, command, stdin)

    def hang_up(self) -> None:
        """For tests that cut connections: the next command makes a new one."""
        if self._client:
            self._client.close()
            self._client = None

    def ok(self, command: str) -> str:
        code, out, err = self.run(command)
        assert code == 0, f"{command}: {code}\n{out}{err}"
        return out.strip()


def run(client: paramiko.SSHClient, command: str, stdin: bytes = b"") -> tuple[int, str, str]:
    sent, out, err = client.exec_command(command, timeout=30)
    with contextlib.suppress(OSError):  # the command may have ended without reading
        sent.write(stdin)
        sent.flush()
        sent.channel.shutdown_write()
    output = out.read().decode()
    return out.channel.recv_exit_status(), output, err.read().decode()


def _decode(key: str) -> bytes:
    import base64

    return base64.b64decode(key)


def accepts(endpoint: Endpoint) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((endpoint.host, endpoint.port)) == 0


def alive(pid: str) -> bool:
    """Whether a process runs (one that ended and was not collected does not)."""
    try:
        return Path("/proc", pid, "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def processes_under(directory: Path) -> list[str]:
    """Process ids of this machine's processes that belong to a lab: its daemon, and all that descends from it."""
    parents, found = {}, set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path("/proc", name, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parents[name] = Path("/proc", name, "stat").read_text().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
        if str(directory) in line and "orchestrator.lab.server" in line:
            found.add(name)
    while True:
        more = {name for name, parent in parents.items() if parent in found} - found
        if not more:
            return sorted(found)
        found |= more


def eventually(condition: Callable[[], bool], timeout_s: float = 10) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
