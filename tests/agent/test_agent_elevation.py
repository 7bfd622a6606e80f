"""Elevation happens once, asks sudo as little as possible, and shows the password to nobody else."""

import json
import os
import sys
import time
from pathlib import Path

import pytest
from fake_device import FakeDevice

pytestmark = pytest.mark.agent

PASSWORD = 'hunter2 "\\ €'


@pytest.fixture
def device(tmp_path):
    made = FakeDevice(tmp_path / "device", "xavier_nx")
    sudo = Path(__file__).parent / "fake_sudo.py"
    made.write("/usr/bin/sudo", f'#!/bin/sh\nexec {sys.executable} -S {sudo} {made.folder} "$@"\n')
    made.path("/usr/bin/sudo").chmod(0o755)
    policy(made, "password")
    return made


def policy(device, name, **more):
    device.write("/fake/sudo.json", json.dumps({"policy": name, "password": PASSWORD, **more}))


def sudo_calls(device):
    log = device.path("/fake/sudo.log")
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_actions_run_as_their_task_says(start_as_user, device):
    agent = start_as_user(prefix=device.folder)
    assert agent.greeting["uid"] == 1000
    assert agent.call("elevate", password=PASSWORD) == {"uid": 0}
    assert agent.call("command", argv=["id", "-u"])["stdout"] == "1000"
    assert agent.call("command", become=True, argv=["id", "-u"])["stdout"] == "0"
    assert agent.call("nvpmodel", become=True, mode="fastest")["mode"] == "MODE_20W_6CORE"
    assert agent.call("command", argv=["id", "-u"])["stdout"] == "1000"
    assert len(sudo_calls(device)) == 1


def test_without_become_nothing_is_done_as_root(start_as_user, device):
    agent = start_as_user(prefix=device.folder)
    error = agent.refuse("nvpmodel", mode="fastest")
    assert error["kind"] == "refused" and "become" in error["remedy"]
    assert sudo_calls(device) == []


def test_the_password_is_in_no_argv_and_no_environment(start_as_user, device):
    agent = start_as_user(prefix=device.folder)
    agent.call("elevate", password=PASSWORD)
    twin = agent.call("shell", become=True, cmd="cat /proc/$PPID/cmdline /proc/$PPID/environ | tr '\\0' '\\n'; env")
    for text in (json.dumps(sudo_calls(device)), twin["stdout"], "".join(agent.errors)):
        assert "hunter2" not in text
    assert "serve" in twin["stdout"]


def test_a_sudo_that_does_not_ask_gets_no_password(start_as_user, device):
    """It would stand in the twin's input; the twin answers the next request, not a line that was meant for sudo."""
    policy(device, "free")
    agent = start_as_user(prefix=device.folder)
    agent.call("elevate", password=PASSWORD)
    assert agent.call("command", become=True, argv=["id", "-u"])["stdout"] == "0"


def test_become_without_elevate_tries_a_sudo_that_does_not_ask(start_as_user, device):
    agent = start_as_user(prefix=device.folder)
    error = agent.refuse("ping", become=True)
    assert error["data"]["reason"] == "password needed" and "ansible_become_password" in error["remedy"]
    policy(device, "free")
    assert agent.call("ping", become=True)
    assert sudo_calls(device)[0]["argv"][0] == "-n"


def test_a_prompt_in_other_words_is_answered_too(start_as_user, device):
    policy(device, "password", prompt="[sudo] Password for nvidia: ")
    agent = start_as_user(prefix=device.folder)
    started = time.monotonic()
    assert agent.refuse("elevate", password="wrong")["data"]["reason"] == "wrong password"
    assert time.monotonic() - started < 20
    assert agent.call("elevate", password=PASSWORD) == {"uid": 0}


@pytest.mark.parametrize(
    "name, password, reason",
    [
        ("password", "wrong", "wrong password"),
        ("password", None, "password needed"),
        ("denied", PASSWORD, "not allowed"),
        ("broken", PASSWORD, "no sudo"),
    ],
)
def test_what_sudo_wants_is_told(start_as_user, device, name, password, reason):
    policy(device, name)
    agent = start_as_user(prefix=device.folder)
    error = agent.refuse("elevate", password=password)
    assert error["kind"] == "refused" and error["data"]["reason"] == reason and error["remedy"]
    assert agent.call("ping")
    policy(device, "free")
    assert agent.call("elevate") == {"uid": 0}


def test_a_device_without_sudo_says_so(start_as_user, device):
    device.path("/usr/bin/sudo").unlink()
    assert start_as_user(prefix=device.folder).refuse("elevate")["data"]["reason"] == "no sudo"


def test_a_twin_that_dies_is_told_and_replaced(start_as_user, device):
    policy(device, "free")
    agent = start_as_user(prefix=device.folder)
    agent.call("elevate")
    error = agent.refuse("shell", become=True, cmd="kill -9 $PPID; sleep 1")
    assert "root agent was lost" in error["what"]
    assert agent.call("command", become=True, argv=["id", "-u"])["stdout"] == "0"


def test_the_twin_ends_with_the_session(start_as_user, device):
    policy(device, "free")
    agent = start_as_user(prefix=device.folder)
    pid = int(agent.call("shell", become=True, cmd="echo $PPID")["stdout"])
    agent.close()
    assert not os.path.exists(f"/proc/{pid}") or "Z" in Path(f"/proc/{pid}/stat").read_text()


def test_events_and_refusals_come_through_the_twin(start_as_user, device, package):
    policy(device, "free")
    agent = start_as_user(prefix=device.folder, package=package)
    request = agent.submit("unruly", become=True, how="progress")
    agent.wait(request)
    assert agent.events[request][0]["data"] == {"fraction": 0.5}
    assert agent.refuse("facts", become=True, quick=3)["kind"] == "refused"
    assert "KeyError" in agent.refuse("unruly", become=True, how="raise")["what"]
    assert agent.call("unruly", become=True, how="print") == {"how": "print"}


def test_the_root_is_prepared_once_and_used_from_then_on(start_as_user, device, tmp_path):
    policy(device, "free")
    agent = start_as_user(prefix=device.folder, root="auto")
    home = str(tmp_path / "home/.local/share/fleet")
    wanted = str(device.path("/var/lib/fleet"))
    assert agent.greeting["root"] == home
    predicted = agent.ask("root_prepare", check=True, become=True)
    assert predicted["changed"] and not os.path.exists(wanted) and agent.call("facts", quick=True)["root"] == home
    reply = agent.ask("root_prepare", become=True)
    assert reply["changed"] and reply["data"] == {"root": wanted} and reply["diff"] == {"before": home, "after": wanted}
    assert os.stat(wanted).st_mode & 0o777 == 0o755
    assert agent.call("facts", quick=True)["root"] == wanted
    assert agent.call("facts", become=True, quick=True)["root"] == wanted
    assert agent.call("job_list") == {"jobs": []}
    assert not agent.ask("root_prepare", become=True)["changed"]
    assert start_as_user(prefix=device.folder, root="auto").greeting["root"] == wanted


def test_a_root_that_cannot_be_prepared_leaves_the_old_one(start_as_user, device):
    agent = start_as_user(prefix=device.folder, root="auto")
    assert agent.refuse("root_prepare", become=True)["data"]["reason"] == "password needed"
    assert agent.call("facts", quick=True)["root"] == agent.greeting["root"]
