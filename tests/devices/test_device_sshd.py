"""The same over OpenSSH, which nobody here wrote: login, session, blobs, jump host, cut links."""

import getpass
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest
from device_servers import Proxy

from orchestrator.devices.connection import connect
from orchestrator.devices.knownhosts import HostKey, lookup_name
from orchestrator.devices.scan import scan, trust
from orchestrator.devices.ssh import SshLink
from orchestrator.errors import AuthenticationError, ConnectError, TransferError, UnknownHostKeyError

SSHD = shutil.which("sshd", path=f"/usr/sbin:/usr/local/sbin:{os.environ.get('PATH', '')}")
pytestmark = [pytest.mark.sshd, pytest.mark.skipif(SSHD is None, reason="no OpenSSH server (openssh-server) here")]

CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_ed25519
HostKey {folder}/host_rsa
PidFile {folder}/pid
AuthorizedKeysFile {folder}/authorized
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
Banner {folder}/banner
MaxStartups 3:50:10
SetEnv HOME={home}
"""


@pytest.fixture
def sshd(bench):
    folder = bench.folder / "sshd"
    folder.mkdir()
    bench.home.mkdir()
    for kind in ("ed25519", "rsa"):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", folder / f"host_{kind}"], check=True)
    (folder / "authorized").write_text((bench.key.parent / (bench.key.name + ".pub")).read_text())
    (folder / "banner").write_text("*** authorised use only ***\n")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder, home=bench.home))
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stderr=log)
    deadline = time.monotonic() + 10
    while server.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.02)
    if server.poll() is not None:
        pytest.skip("sshd does not start here: " + (folder / "log").read_text().strip()[-200:])
    yield port
    server.terminate()
    server.wait(10)


def connected(bench, port, name="nano-01", **changes):
    return bench.device(port, name, user=getpass.getuser(), **changes)


def trusted(bench, sshd, port=None):
    kind, text = (bench.folder / "sshd" / "host_ed25519.pub").read_text().split()[:2]
    bench.known_hosts.trust(lookup_name("127.0.0.1", port or sshd), [HostKey(kind, text)])


def test_a_session_and_a_blob_over_openssh(bench, sshd):
    settings = bench.settings(sshd, user=getpass.getuser())
    with pytest.raises(UnknownHostKeyError):
        connected(bench, sshd).connect()
    found = scan("nano-01", settings, bench.known_hosts)
    assert [key.type for key in found.offered] == ["ssh-ed25519", "ssh-rsa"]
    trust(found, bench.known_hosts)
    device = connected(bench, sshd)
    assert device.call("ping").data
    assert device.agent_pushed
    path = bench.folder / "weights"
    path.write_bytes(os.urandom(20 << 20))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert device.push_blob(path, digest) == 20 << 20
    back = bench.folder / "back"
    assert device.fetch(f"{device.root}/blobs/{digest}", back, digest) == 20 << 20
    assert back.read_bytes() == path.read_bytes()


def test_a_full_disk_is_said(bench, sshd):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    trusted(bench, sshd)
    path = bench.folder / "weights"
    path.write_bytes(bytes(200_000))
    connection = connect("nano-01", bench.settings(sshd, user=getpass.getuser()), bench.known_hosts)
    bench.closers.append(connection.close)
    with pytest.raises(TransferError, match="cannot write /dev/full") as caught:
        SshLink(connection).put(path, "/dev/full")
    assert "free space" in caught.value.remedy


def test_a_stranger_is_refused_by_openssh(bench, sshd):
    trusted(bench, sshd)
    stranger = bench.folder / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
    with pytest.raises(AuthenticationError) as caught:
        connected(bench, sshd, private_key_file=str(stranger)).connect()
    assert str(stranger) in caught.value.why


def test_a_storm_of_logins_gets_through_max_startups(bench, sshd):
    # This server drops every second login from the fourth unauthenticated one on.
    trusted(bench, sshd)
    devices = [connected(bench, sshd, f"d{n}") for n in range(12)]
    threads = [threading.Thread(target=device.connect) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(device.call("ping").data for device in devices)


def test_openssh_as_jump_host(bench, sshd):
    trusted(bench, sshd)
    server = bench.server("behind")
    bench.trust(server)
    folder = bench.folder / "user" / ".ssh"
    folder.mkdir()
    (folder / "config").write_text(
        f"Host jump\n  HostName 127.0.0.1\n  Port {sshd}\n  User {getpass.getuser()}\n  IdentityFile {bench.key}\n"
    )
    assert bench.device(server.port, proxy_jump="jump").call("ping").data
    with pytest.raises(ConnectError) as caught:
        bench.device(1, proxy_jump="jump").connect()
    assert "jump host" in caught.value.why


def test_a_silent_link_to_openssh_is_noticed(bench, sshd):
    proxy = Proxy(sshd)
    bench.closers.append(proxy.close)
    trusted(bench, sshd, proxy.port)
    device = connected(bench, proxy.port, keepalive_s=0.4)
    assert device.call("ping").data
    time.sleep(2)
    assert device.call("ping").data, "an idle link that lives is kept"
    proxy.silent = True
    with pytest.raises(ConnectError) as caught:
        device.call("ping")
    assert "no sign of life" in caught.value.why


def test_an_interpreter_in_the_home_of_the_device(bench, sshd):
    trusted(bench, sshd)
    device = connected(bench, sshd, python_interpreter=f"~/{os.path.basename(sys.executable)}")
    (bench.home / os.path.basename(sys.executable)).symlink_to(sys.executable)
    assert device.call("ping").data, "~ is the home of the device"
