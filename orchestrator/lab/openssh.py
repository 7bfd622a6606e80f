"""Serves a virtual device by the machine's own OpenSSH server, which runs inside the device as the login user."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import ConfigurationError
from orchestrator.lab.enter import Server

_CONFIG = """\
ListenAddress {host}:{port}
HostKey /.lab/ssh/host_key
AuthorizedKeysFile .ssh/authorized_keys
PidFile none
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
X11Forwarding no
AcceptEnv LANG LC_*
MaxStartups 200
MaxSessions 200
MaxAuthTries 20
Subsystem sftp internal-sftp
LogLevel ERROR
"""


def find_sshd() -> str:
    """Path of sshd.

    Raises:
        ConfigurationError: it is not installed.
    """
    found = shutil.which("sshd", path=f"/usr/sbin:/usr/local/sbin:/sbin:{os.environ.get('PATH', '')}")
    if not found or not os.path.realpath(found).startswith(("/usr/", "/sbin/")):
        raise ConfigurationError(
            "virtual devices cannot be served by OpenSSH",
            "sshd is not installed on this machine" if not found else f"{found} lies outside /usr",
            "install the package openssh-server, or use the embedded server: fleet lab up --server embedded",
        )
    return os.path.realpath(found)


def openssh_server(root: Path, sshd: str, host: str, port: int) -> Server:
    """A server for enter.start: sshd with a configuration of its own in the device's /.lab/ssh."""
    folder = root / ".lab/ssh"
    folder.chmod(0o755)
    config = folder / "sshd_config"
    config.unlink(missing_ok=True)
    config.write_text(_CONFIG.format(host=host, port=port), encoding="ascii")
    folder.chmod(0o555)
    program = f"/.lab/host{sshd}"

    def run(_ready: Callable[[], None]) -> None:
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        os.execve(program, [program, "-D", "-e", "-f", "/.lab/ssh/sshd_config"], environment)

    return Server(run, _cut, probe=(host, port))


def _cut(server: int) -> None:
    """Kill the processes that hold the connections; the listener stays."""
    for name in os.listdir("/.lab/proc"):
        if not name.isdigit() or int(name) in (1, server):
            continue
        try:
            with open(f"/.lab/proc/{name}/comm", encoding="ascii", errors="replace") as stream:
                command = stream.read()
            if command.startswith("sshd"):
                os.kill(int(name), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
