"""OpenSSH hosts on loopback for benchmarks: an sshd process each, with its own configuration, host key and home."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
AuthorizedKeysFile {login}.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 200
MaxSessions 200
PrintMotd no
Subsystem sftp internal-sftp
SetEnv HOME={home}
LogLevel ERROR
"""


class SshHosts:
    """`count` hosts under `folder`; a context manager. `ports`, `homes` and `names` go together."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.names = [f"host-{n:02}" for n in range(1, count + 1)]
        self.homes = [folder / name / "home" for name in self.names]
        self.ports = _free_ports(count)
        self.key = folder / "login"
        self.user = getpass.getuser()
        self.known_hosts = folder / "known_hosts"
        self._servers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> SshHosts:
        sshd = shutil.which("sshd", path=f"/usr/sbin:/usr/local/sbin:{os.environ.get('PATH', '')}")
        if sshd is None:
            raise SystemExit("this benchmark needs an OpenSSH server (openssh-server)")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd of root will not start without
        _make_key(self.key)
        lines = []
        for home, port in zip(self.homes, self.ports, strict=True):
            home.mkdir(parents=True)
            _make_key(home.parent / "host_key")
            config = home.parent / "sshd_config"
            config.write_text(CONFIG.format(port=port, folder=home.parent, login=self.key, home=home))
            self._servers.append(subprocess.Popen([sshd, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL))
            kind, text = (home.parent / "host_key.pub").read_text().split()[:2]
            lines.append(f"[127.0.0.1]:{port} {kind} {text}\n")
        self.known_hosts.write_text("".join(lines))
        for name, port in zip(self.names, self.ports, strict=True):
            _await(name, port)
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.terminate()
        for server in self._servers:
            server.wait(10)


def _make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _await(name: str, port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"the sshd of {name} does not answer on port {port}")
