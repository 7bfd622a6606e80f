"""Logging in: keys, passwords, jump hosts, and what is said when it does not work."""

import socket
import threading
import time

import asyncssh
import pytest

from orchestrator.devices import connection as connections
from orchestrator.errors import AuthenticationError, ConnectError, UnknownHostKeyError


def test_a_password_logs_in_and_a_wrong_one_is_explained(bench):
    server = bench.server(authorized=None, password="right")
    bench.trust(server)
    assert bench.device(server.port, private_key_file=None, password="right").call("ping").data
    with pytest.raises(AuthenticationError) as caught:
        bench.device(server.port, private_key_file=None, password="wrong").connect()
    assert "ansible_password" in caught.value.remedy
    assert "wrong" not in str(caught.value)


def test_a_configured_key_is_the_only_one_offered(bench):
    server = bench.server()
    bench.trust(server)
    folder = bench.folder / "user" / ".ssh"
    folder.mkdir()
    (folder / "id_ed25519").write_bytes(bench.key.read_bytes())
    stranger = bench.folder / "stranger"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(stranger))
    with pytest.raises(AuthenticationError):
        bench.device(server.port, private_key_file=str(stranger)).connect()
    # Without one, the keys in ~/.ssh are.
    assert bench.device(server.port, private_key_file=None).call("ping").data


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "cannot read the private key"),
        (lambda path: path.write_text("no key"), "cannot log in|cannot connect"),
        (
            lambda path: asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(path), passphrase="x"),
            "passphrase",
        ),
    ],
    ids=["missing", "garbage", "locked"],
)
def test_a_key_that_cannot_be_used_is_named(bench, make, says):
    server = bench.server()
    bench.trust(server)
    path = bench.folder / "id_strange"
    make(path)
    with pytest.raises((AuthenticationError, ConnectError), match=says):
        bench.device(server.port, private_key_file=str(path)).connect()


def test_nothing_to_offer_is_said(bench):
    server = bench.server()
    bench.trust(server)
    with pytest.raises(AuthenticationError):
        bench.device(server.port, private_key_file=None).connect()


def test_the_ssh_config_of_the_user_counts(bench):
    server = bench.server()
    bench.trust(server)
    folder = bench.folder / "user" / ".ssh"
    folder.mkdir()
    (folder / "config").write_text(
        f"Host bench\n  HostName 127.0.0.1\n  Port {server.port}\n  User somebody\n"
        f"  IdentityFile ~/.ssh/not-there\n  IdentityFile {bench.key}\n"
    )
    device = bench.device(None, host="bench", user=None, private_key_file=None)
    assert device.call("ping").data


def test_a_dead_port_is_refused_at_once(bench):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    begun = time.monotonic()
    with pytest.raises(ConnectError) as caught:
        bench.device(port).connect()
    assert time.monotonic() - begun < 2
    assert "refused" in caught.value.why.lower()
    assert str(port) in caught.value.what


def test_a_name_without_an_address_is_named(bench):
    with pytest.raises(ConnectError, match="cannot connect") as caught:
        bench.device(22, host="no-such-host.invalid").connect()
    assert "no-such-host.invalid" in caught.value.why


def test_a_server_that_says_nothing_is_given_up(bench, monkeypatch):
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT_S", 1)
    monkeypatch.setattr(connections, "BANNER_TIMEOUT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        begun = time.monotonic()
        with pytest.raises(ConnectError):
            bench.device(listener.getsockname()[1]).connect()
        assert time.monotonic() - begun < 8


def test_something_else_than_ssh_is_said(bench):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def web_server():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                client.close()

        threading.Thread(target=web_server, daemon=True).start()
        with pytest.raises(ConnectError, match="cannot connect") as caught:
            bench.device(listener.getsockname()[1]).connect()
        assert "no SSH server" in caught.value.why


def test_a_login_that_a_busy_server_drops_is_tried_again(bench):
    server = bench.server()
    proxy = bench.proxy(server.port)
    bench.trust(server, proxy.port)
    proxy.refuse = True
    threading.Timer(0.5, lambda: setattr(proxy, "refuse", False)).start()
    assert bench.device(proxy.port).call("ping").data


def test_devices_behind_a_jump_host_share_one_login_there(bench):
    gateway = bench.server("gateway")
    devices = [bench.server(f"device{n}") for n in range(5)]
    for server in (gateway, *devices):
        bench.trust(server)
    folder = bench.folder / "user" / ".ssh"
    folder.mkdir()
    (folder / "config").write_text(
        f"Host jump\n  HostName 127.0.0.1\n  Port {gateway.port}\n  User me\n  IdentityFile {bench.key}\n"
    )
    reached = [bench.device(server.port, f"d{n}", proxy_jump="jump") for n, server in enumerate(devices)]
    threads = [threading.Thread(target=device.connect) for device in reached]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert all(device.call("ping").data for device in reached)
    assert gateway.logins == 1
    assert [server.logins for server in devices] == [1] * 5


def test_a_jump_host_that_went_silent_is_opened_anew(bench):
    gateway, server = bench.server("gateway"), bench.server()
    proxy = bench.proxy(gateway.port)
    bench.trust(gateway, proxy.port)
    bench.trust(server)
    folder = bench.folder / "user" / ".ssh"
    folder.mkdir()
    (folder / "id_ed25519").write_bytes(bench.key.read_bytes())
    device = bench.device(server.port, proxy_jump=f"me@127.0.0.1:{proxy.port}", keepalive_s=0.3)
    assert device.call("ping").data
    proxy.freeze()
    with pytest.raises(ConnectError, match="lost the session"):
        device.call("ping")
    assert device.call("ping").data
    assert gateway.logins == 2


def test_the_key_of_a_jump_host_is_checked_too(bench):
    gateway, server = bench.server("gateway"), bench.server()
    bench.trust(server)
    with pytest.raises(UnknownHostKeyError) as caught:
        bench.device(server.port, proxy_jump=f"me@127.0.0.1:{gateway.port}").connect()
    assert gateway.host_keys[0].get_fingerprint() in caught.value.why
    assert caught.value.remedy == f"ssh -p {gateway.port} me@127.0.0.1 true", "the jump host is what is to be trusted"
    assert caught.value.device == "nano-01"
    assert gateway.logins == server.logins == 0


def test_a_dead_device_behind_a_jump_host_is_told_from_a_dead_jump_host(bench):
    gateway = bench.server("gateway")
    bench.trust(gateway)
    folder = bench.folder / "user" / ".ssh"
    folder.mkdir()
    (folder / "id_ed25519").write_bytes(bench.key.read_bytes())
    with pytest.raises(ConnectError, match="cannot reach") as caught:
        bench.device(1, proxy_jump=f"me@127.0.0.1:{gateway.port}").connect()
    assert "jump host" in caught.value.why
