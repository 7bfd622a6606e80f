"""Commands, shells, file transfers and logins behave as on a board, under both servers."""

from __future__ import annotations

import hashlib
import os
import threading
import time

import paramiko
import pytest

from orchestrator.lab.keys import ensure_key


@pytest.mark.parametrize(
    ("command", "code", "out", "err"),
    [
        ("echo hello", 0, "hello\n", ""),
        ("echo bad >&2; exit 7", 7, "", "bad\n"),
        ("cat", 0, "from stdin", ""),
        ("cd /; pwd; echo $HOME $USER $SHELL", 0, "/\n/home/nvidia nvidia /bin/bash\n", ""),
        ("no-such-command 2>/dev/null", 127, "", ""),
        ("pwd", 0, "/home/nvidia\n", ""),
        ("sh -c 'printf %s \"$0\"' 'ä ö'", 0, "ä ö", ""),
    ],
)
def test_a_command_gives_its_output_and_its_exit_code(nano, command, code, out, err):
    assert nano.run(command, b"from stdin") == (code, out, err)


def test_a_killed_command_is_reported_as_killed(nano):
    code, _, _ = nano.run("kill -9 $$")
    assert code in (-1, 137), "SSH reports a signal, which paramiko gives as -1"


def test_much_output_and_much_input_arrive_whole(nano):
    sent, out, _ = nano.connect().exec_command("sha256sum; head -c 8000000 /dev/zero | tr '\\0' x", timeout=60)
    data = os.urandom(3_000_000)
    sent.write(data)
    sent.channel.shutdown_write()
    line, rest = out.read().split(b"\n", 1)
    assert line.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert rest == b"x" * 8_000_000


def test_the_base_system_of_an_ubuntu_is_there(nano):
    wanted = "sh bash grep sed awk tar gzip xz env timeout flock getent id sort sha256sum find xargs df ps nohup setsid"
    missing = nano.run(f"for c in {wanted}; do command -v $c >/dev/null || echo $c; done")[1]
    assert missing == ""
    assert nano.ok("echo b a | xargs -n1 | sort | awk '{print $1}' | tr '\\n' ' '") == "a b"
    assert nano.ok("tar cz /etc/hostname 2>/dev/null | tar tz") == "etc/hostname"
    assert nano.ok("getent passwd nvidia").startswith("nvidia:x:1000:1000:")


def test_ps_shows_the_devices_processes_and_no_others(nano):
    table = nano.ok("sleep 61.5 & ps axo user,args; kill %1")
    assert "sleep 61.5" in table
    assert nano.ok("sleep 62.5 & pgrep -c sleep; kill %1") == "1"
    assert len(table.splitlines()) < 15, table


def test_an_interactive_shell_has_a_terminal(nano):
    channel = nano.connect().invoke_shell(term="xterm", width=99, height=33)
    channel.settimeout(10)
    channel.send(b"stty size; tty >/dev/null && echo is-a-tty; exit 3\n")
    output = b""
    while chunk := channel.recv(4096):
        output += chunk
    assert b"33 99" in output
    assert b"\nis-a-tty" in output
    assert channel.recv_exit_status() == 3


def test_the_password_lets_in_and_a_wrong_one_does_not(nano):
    client = nano.connect(key_filename=None, password="nvidia")
    client.close()
    with pytest.raises(paramiko.AuthenticationException):
        nano.connect(key_filename=None, password="wrong")


def test_other_users_and_other_keys_are_refused(nano, tmp_path):
    with pytest.raises(paramiko.AuthenticationException):
        nano.connect(username="root")
    with pytest.raises(paramiko.AuthenticationException):
        nano.connect(username="root", key_filename=None, password="nvidia")
    ensure_key(tmp_path / "key", "stranger")
    with pytest.raises(paramiko.AuthenticationException):
        nano.connect(key_filename=str(tmp_path / "key"))


def test_a_key_added_on_the_device_lets_in(nano, tmp_path):
    nano.ok(f"echo '{ensure_key(tmp_path / 'key', 'friend')}' >> .ssh/authorized_keys")
    nano.connect(key_filename=str(tmp_path / "key")).close()


def test_sftp_moves_files_both_ways(nano, tmp_path):
    data = os.urandom(2_500_000)
    local = tmp_path / "blob"
    local.write_bytes(data)
    with nano.connect().open_sftp() as sftp:
        sftp.put(str(local), "incoming.part")
        sftp.posix_rename("incoming.part", "incoming")
        assert nano.ok("sha256sum incoming").split()[0] == hashlib.sha256(data).hexdigest()
        sftp.get("/home/nvidia/incoming", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == data
        assert sftp.normalize(".") == "/home/nvidia"
        with pytest.raises(FileNotFoundError):
            sftp.stat("/no/such/file")


def test_fabric_runs_and_transfers(nano, tmp_path):
    fabric = pytest.importorskip("fabric")
    endpoint = nano.endpoint
    settings = {"key_filename": endpoint.key_file, "allow_agent": False, "look_for_keys": False}
    (tmp_path / "note").write_text("by fabric\n")
    with fabric.Connection(endpoint.host, endpoint.user, endpoint.port, connect_kwargs=settings) as connection:
        assert connection.run("echo $((6*7))", hide=True, in_stream=False).stdout == "42\n"
        connection.put(str(tmp_path / "note"), "note")
        assert connection.run("cat note", hide=True, in_stream=False).stdout == "by fabric\n"


def test_many_sessions_at_once(nano):
    """Ten connections with six channels each, all open at the same time."""
    clients = [nano.connect() for _ in range(10)]
    results: list[int] = []

    def work(client: paramiko.SSHClient, number: int) -> None:
        channel = client.get_transport().open_session(timeout=20)
        channel.exec_command(f"read line; exit $((line + {number}))")
        time.sleep(0.2)
        channel.sendall(b"1\n")
        results.append(channel.recv_exit_status() - number)

    threads = [threading.Thread(target=work, args=(client, n)) for client in clients for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for client in clients:
        client.close()
    assert results == [1] * 60


def test_a_detached_process_outlives_its_connection(nano):
    client = nano.connect()
    client.exec_command("setsid nohup sh -c 'sleep 0.5; echo done > outlived' >/dev/null 2>&1 < /dev/null &")[1].read()
    client.close()
    deadline = time.monotonic() + 10
    while nano.run("cat outlived")[1] != "done\n":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_command_sees_the_end_of_input_when_its_connection_is_cut(nano):
    client = nano.connect()
    client.exec_command("cat > /dev/null; echo ended > noticed")
    time.sleep(0.2)
    nano.hang_up()
    nano.lab.cut_connections(nano.name)
    deadline = time.monotonic() + 10
    while nano.run("cat noticed")[1] != "ended\n":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not client.get_transport().is_active()
