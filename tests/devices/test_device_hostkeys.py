"""Host keys: unknown ones are refused, changed ones always, and what `fleet trust` does about it."""

import subprocess
import threading

import asyncssh
import pytest

from orchestrator.devices.knownhosts import HostKey, KnownHosts, lookup_name
from orchestrator.devices.scan import scan, trust
from orchestrator.errors import ChangedHostKeyError, ConnectError, UnknownHostKeyError, UsageError


def a_key(kind="ssh-ed25519"):
    kind, text = asyncssh.generate_private_key(kind).export_public_key().decode().split()[:2]
    return HostKey(kind, text)


def test_an_unknown_key_is_refused_with_its_fingerprint(bench):
    server = bench.server()
    with pytest.raises(UnknownHostKeyError) as caught:
        bench.device(server.port).connect()
    fingerprint = server.host_keys[0].get_fingerprint()
    assert fingerprint in caught.value.why
    assert caught.value.remedy == "fleet trust nano-01"
    assert caught.value.device == "nano-01"
    assert server.logins == 0, "nothing was offered to a stranger"


def test_accept_new_remembers_and_then_refuses_a_change(bench):
    server = bench.server()
    first = bench.device(server.port, host_key_checking="accept-new", host_key_alias="board-7")
    assert first.call("ping").data
    assert bench.known_hosts.path.read_text().startswith("board-7 ssh-ed25519 ")
    impostor = bench.server()
    with pytest.raises(ChangedHostKeyError) as caught:
        bench.device(impostor.port, host_key_checking="accept-new", host_key_alias="board-7").connect()
    assert caught.value.remedy == "fleet trust --replace nano-01"
    assert impostor.host_keys[0].get_fingerprint() in caught.value.why
    assert impostor.logins == 0


def test_accept_new_of_many_at_once_loses_no_line(bench):
    servers = [bench.server() for _ in range(6)]
    devices = [bench.device(server.port, f"d{n}", host_key_checking="accept-new") for n, server in enumerate(servers)]
    threads = [threading.Thread(target=device.connect) for device in devices]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(bench.known_hosts.path.read_text().splitlines()) == 6


def test_boards_behind_one_address_are_told_apart_by_alias(bench):
    one, two = bench.server(), bench.server()
    for name, server in (("left", one), ("right", two)):
        kind, text = server.key_line().split()[:2]
        bench.known_hosts.trust(name, [HostKey(kind, text)])
    assert bench.device(one.port, host_key_alias="left").call("ping").data
    with pytest.raises(ChangedHostKeyError):
        bench.device(one.port, host_key_alias="right").connect()


def test_the_users_known_hosts_count_and_are_not_written(bench):
    server = bench.server()
    kind, text = server.key_line().split()[:2]
    folder = bench.folder / "user" / ".ssh"
    folder.mkdir()
    users = folder / "known_hosts"
    users.write_text(f"[127.0.0.1]:{server.port} {kind} {text}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", users], check=True, capture_output=True)
    assert users.read_text().startswith("|1|"), "hashed"
    before = users.read_text()
    known = KnownHosts(bench.known_hosts.path, [users])
    bench.known_hosts = known
    assert bench.device(server.port).call("ping").data
    # After a reflash our own file overrides the user's, which stays as it is.
    name = lookup_name("127.0.0.1", server.port)
    new = a_key()
    with pytest.raises(ChangedHostKeyError):
        known.trust(name, [new])
    assert known.trust(name, [new], replace=True).added == (new,)
    assert known.lookup(name).keys == (new,)
    assert users.read_text() == before


def test_a_server_with_several_keys_shows_the_one_we_know(bench):
    keys = [asyncssh.generate_private_key(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")]
    for index in range(3):
        server = bench.server(host_keys=keys)
        kind, text = server.key_line(index).split()[:2]
        bench.known_hosts.trust(lookup_name("127.0.0.1", server.port), [HostKey(kind, text)])
        assert bench.device(server.port).call("ping").data, kind


def test_trust_scans_adds_and_replaces(bench):
    keys = [asyncssh.generate_private_key(kind) for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")]
    server = bench.server(host_keys=keys)
    settings = bench.settings(server.port, host_key_alias="board")
    found = scan("nano-01", settings, bench.known_hosts)
    assert [key.fingerprint for key in found.offered] == [key.get_fingerprint() for key in keys]
    assert server.logins == 0
    assert not found.changed
    assert trust(found, bench.known_hosts).added == found.offered
    assert trust(found, bench.known_hosts).unchanged == found.offered
    assert len(bench.known_hosts.path.read_text().splitlines()) == 3
    flashed = bench.server()
    found = scan("nano-01", bench.settings(flashed.port, host_key_alias="board"), bench.known_hosts)
    assert found.changed
    with pytest.raises(ChangedHostKeyError) as caught:
        trust(found, bench.known_hosts)
    assert caught.value.remedy == "fleet trust --replace nano-01"
    done = trust(found, bench.known_hosts, replace=True)
    assert len(done.removed) == 3
    assert done.added == found.offered
    assert bench.device(flashed.port, host_key_alias="board").call("ping").data


def test_a_scan_of_a_dead_port_says_so(bench):
    with pytest.raises(ConnectError, match="cannot connect"):
        scan("nano-01", bench.settings(1), bench.known_hosts)


@pytest.mark.parametrize("connection", ["lab", "local"])
def test_there_is_nothing_to_trust_without_a_host_key_to_check(bench, connection):
    with pytest.raises(UsageError, match="needs no trust"):
        scan("here", bench.settings(None, connection=connection), bench.known_hosts)


@pytest.mark.parametrize(
    ("line", "name", "known"),
    [
        ("board {key}", "board", True),
        ("board {key} a comment", "board", True),
        ("BOARD {key}", "board", True),
        ("other,board {key}", "board", True),
        ("boa* {key}", "board", True),
        ("b?ard {key}", "board", True),
        ("*,!board {key}", "board", False),
        ("[board]:2222 {key}", "[board]:2222", True),
        ("[board]:2222 {key}", "board", False),
        ("boardx {key}", "board", False),
        ("# board {key}", "board", False),
        ("board ssh-ed25519 not*base64", "board", False),
        ("board", "board", False),
        ("@cert-authority board {key}", "board", False),
        ("@revoked board {key}", "board", False),
        ("board {key}\n@revoked * {key}", "board", False),
    ],
)
def test_lines_of_known_hosts_mean_what_openssh_says(tmp_path, line, name, known):
    key = a_key()
    file = tmp_path / "known_hosts"
    file.write_text(line.format(key=f"{key.type} {key.base64}") + "\n")
    assert (key in KnownHosts(file, ()).lookup(name).keys) is known


def test_replacing_keeps_other_hosts_of_a_shared_line(tmp_path):
    file = tmp_path / "known_hosts"
    old, new, foreign = a_key(), a_key(), a_key()
    file.write_text(
        f"# mine\nleft,right,ri* {old.type} {old.base64}\nunreadable line\nelse {foreign.type} {foreign.base64}"
    )
    known = KnownHosts(file, ())
    done = known.trust("right", [new], replace=True)
    assert (done.added, done.removed) == ((new,), (old,))
    assert known.lookup("right").keys == (new,)
    assert known.lookup("left").keys == (old,)
    assert known.lookup("rigging").keys == (old,)
    assert known.lookup("else").keys == (foreign,)
    assert "# mine" in file.read_text()
    assert "unreadable line" in file.read_text()


def test_a_key_is_appended_to_a_file_without_a_last_newline(tmp_path):
    file = tmp_path / "known_hosts"
    first, second = a_key(), a_key()
    file.write_text(f"one {first.type} {first.base64}")
    known = KnownHosts(file, ())
    known.trust("two", [second])
    assert known.lookup("one").keys == (first,)
    assert known.lookup("two").keys == (second,)
