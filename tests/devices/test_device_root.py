"""Becoming root: the password's only way is the protocol, and sudo's refusals are explained."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from fake_agent import fake_archive

from orchestrator.errors import ActionError, ConnectError

# A sudo that lectures, asks twice, and keeps what everybody could see of it: its arguments and environment.
SUDO = """#!/bin/sh
echo "We trust you have received the usual lecture" >&2
[ "$1" = -n ] && { echo "sudo: a password is required" >&2; exit 1; }
tr "\\0" " " </proc/$$/cmdline >>"$HOME/seen"; tr "\\0" " " </proc/$$/environ >>"$HOME/seen"
prompt="$3"
printf "%s" "$prompt" >&2
read -r word
[ "$word" = open-sesame ] || { echo "Sorry, try again." >&2; printf "%s" "$prompt" >&2; read -r word
    echo "sudo: 2 incorrect password attempts" >&2; exit 1; }
echo "noise on standard output"
while [ "$1" != -- ]; do shift; done; shift
exec "$@"
"""


def test_elevation_happens_once_and_before_the_action(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive(), become_password="right")
    assert device.call("echo", {"n": 1}, become=True).data["args"] == {"n": 1}
    assert device.submit("echo", {"n": 2}, become=True).result(5).data["args"] == {"n": 2}


def test_a_wrong_password_is_explained_and_not_shown(bench):
    server = bench.server()
    bench.trust(server)
    device = bench.device(server.port, archive=fake_archive(), become_password="wr0ng")
    for _ in range(2):
        with pytest.raises(ActionError, match="sudo refused the password") as caught:
            device.call("echo", become=True)
        assert "ansible_become_password" in caught.value.remedy
        assert "--ask-become-pass" in caught.value.remedy
        assert "wr0ng" not in str(caught.value)
    assert device.call("echo").data, "what needs no root goes on"


def test_a_new_session_elevates_anew(bench):
    server = bench.server()
    proxy = bench.proxy(server.port)
    bench.trust(server, proxy.port)
    device = bench.device(proxy.port, archive=fake_archive(), become_password="right")
    assert device.call("echo", become=True).data
    asleep = device.submit("sleep", {"s": 30}, become=True)
    proxy.cut()
    with pytest.raises(ConnectError):
        asleep.result(10)
    assert device.call("echo", become=True).data


@pytest.fixture
def login_user(bench):
    """A server whose commands run as an ordinary user, with a noisy sudo of its own."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv to run the agent as another user")
    # Not below tmp_path, whose parents only root may enter.
    tools = Path(tempfile.mkdtemp(prefix="fleet-test-sudo-"))
    tools.chmod(0o755)
    (tools / "sudo").write_text(SUDO)
    (tools / "sudo").chmod(0o755)
    home = tools / "home"
    home.mkdir()
    home.chmod(0o777)
    server = bench.server(wrap="setpriv --reuid=65534 --clear-groups", path=str(tools))
    server.home = home
    bench.trust(server)
    yield server
    shutil.rmtree(tools)


@pytest.mark.parametrize("password", ["open-sesame", "wr0ng", None], ids=["known", "wrong", "unknown"])
def test_the_real_agent_behind_a_noisy_sudo(bench, login_user, password):
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    root = str(login_user.home / "root")
    device = bench.device(login_user.port, become_password=password, python_interpreter=python, root=root)
    assert device.greeting["uid"] == 65534
    if password == "open-sesame":
        assert device.call("command", {"argv": ["echo", "hello"]}, become=True).data["stdout"].strip() == "hello"
        seen = (login_user.home / "seen").read_text()
        assert "device_agent" in seen
        assert password not in seen
    else:
        with pytest.raises(ActionError) as caught:
            device.call("command", {"argv": ["true"]}, become=True)
        assert "password" in caught.value.what
        assert "ansible_become_password" in caught.value.remedy
