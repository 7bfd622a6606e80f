from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest
from device_servers import Proxy, SshServer
from device_settings import host_settings

from orchestrator.devices.device import Device
from orchestrator.devices.knownhosts import KnownHosts
from orchestrator.inventory.settings import HostSettings


@dataclass
class Bench:
    """A folder to play in: a user's home on the controller, a login key, servers and devices that are closed after."""

    folder: Path
    key: Path
    known_hosts: KnownHosts
    closers: list

    @property
    def home(self) -> Path:
        return self.folder / "device"

    def server(self, name="device", **options) -> SshServer:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        options.setdefault("authorized", f"{self.key}.pub")
        server = SshServer(home, **options)
        self.closers.append(server.close)
        return server

    def proxy(self, port, **options) -> Proxy:
        proxy = Proxy(port, **options)
        self.closers.append(proxy.close)
        return proxy

    def trust(self, server, port=None) -> None:
        with self.known_hosts.path.open("a") as file:
            for index in range(len(server.host_keys)):
                kind, text = server.key_line(index).split()[:2]
                file.write(f"[127.0.0.1]:{port or server.port} {kind} {text}\n")

    def settings(self, port, **changes) -> HostSettings:
        values = {"port": port, "private_key_file": str(self.key), "root": str(self.folder / "root"), **changes}
        return host_settings(**values)

    def device(self, port, name="nano-01", archive=None, keepalive_s=15.0, **changes) -> Device:
        settings = self.settings(port, **changes)
        device = Device(name, settings, known_hosts=self.known_hosts, archive=archive, keepalive_s=keepalive_s)
        self.closers.append(device.close)
        return device


@pytest.fixture(scope="session")
def login_key(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "id_ed25519"
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(path))
    key.write_public_key(f"{path}.pub")
    path.chmod(0o600)
    return path


@pytest.fixture
def bench(tmp_path, login_key, monkeypatch):
    from orchestrator.devices.connection import close_gateways

    user_home = tmp_path / "user"
    user_home.mkdir()
    monkeypatch.setenv("HOME", str(user_home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    (tmp_path / "fleet").mkdir()
    bench = Bench(tmp_path, login_key, KnownHosts(tmp_path / "fleet" / "known_hosts"), [])
    yield bench
    for close in reversed(bench.closers):
        close()
    close_gateways()
