"""Waiting for ports and files, detached tasks, and restarts."""

import socket
import threading
import time

import pytest
from system_device import SystemDevice

pytestmark = pytest.mark.agent


@pytest.fixture
def port():
    """A port that answers with a greeting, on an address of its own."""
    server = socket.socket()
    server.bind(("127.41.0.7", 0))
    server.listen(8)
    server.settimeout(0.1)
    ended = threading.Event()

    def answer():
        while not ended.is_set():
            try:
                connection, _ = server.accept()
                connection.sendall(b"SSH-2.0-Open")
                time.sleep(0.05)
                connection.sendall(b"SSH_9.2\r\n")
                connection.close()
            except OSError:
                continue  # nobody came, or who came went away at once

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    ended.set()
    thread.join()
    server.close()


HOST = {"host": "127.41.0.7", "sleep": 0.1}


def test_a_port_is_waited_for_with_what_it_says(start, port):
    agent = start()
    assert agent.call("wait_for", port=port, **HOST)["elapsed"] < 5
    said = agent.call("wait_for", port=port, search_regex=r"Open(?P<name>SSH)_(\d+)", timeout=10, **HOST)
    assert said["match_groups"] == ["SSH", "9"] and said["match_groupdict"] == {"name": "SSH"}
    error = agent.refuse("wait_for", port=port, state="stopped", timeout=0, **HOST)
    assert f"127.41.0.7:{port} to stop" in error["what"] and error["data"]["elapsed"] == 0
    assert agent.refuse("wait_for", port=port, search_regex="telnet", timeout=0, connect_timeout=0.3, **HOST)
    free = socket.socket()
    free.bind(("127.41.0.7", 0))
    closed = free.getsockname()[1]
    free.close()
    agent.call("wait_for", port=closed, state="stopped", timeout=5, **HOST)
    agent.call("wait_for", port=closed, state="drained", timeout=5, **HOST)
    error = agent.refuse("wait_for", port=closed, timeout=1, msg="camera is not up", **HOST)
    assert error["what"] == "camera is not up"


def test_a_port_in_use_is_not_drained(start):
    server = socket.create_server(("127.41.0.7", 0))
    client = socket.create_connection(server.getsockname())
    agent, port = start(), server.getsockname()[1]
    assert "drain" in agent.refuse("wait_for", port=port, state="drained", timeout=0, **HOST)["what"]
    agent.call(
        "wait_for", port=port, state="drained", timeout=0, exclude_hosts=["127.0.0.1"], host="127.41.0.8", sleep=0.1
    )
    client.close()
    server.close()


def test_a_file_is_waited_for_with_what_it_says(start, tmp_path):
    agent, path = start(), tmp_path / "log"
    request = agent.submit("wait_for", path=str(path), search_regex=r"ready in (\d+) s", sleep=0.1, timeout=20)
    time.sleep(0.3)
    path.write_text("starting\n")
    time.sleep(0.3)
    path.write_text("starting\nready in 12 s\n")
    reply = agent.wait(request)
    assert reply["data"]["match_groups"] == ["12"] and not reply["changed"]
    assert "absent" in agent.refuse("wait_for", path=str(path), state="absent", timeout=0)["what"]
    path.unlink()
    agent.call("wait_for", path=str(path), state="absent", timeout=5)
    started = time.monotonic()
    agent.call("wait_for", timeout=1)
    assert 1 <= time.monotonic() - started < 8


@pytest.mark.parametrize(
    "args, argument",
    [
        ({"port": 22, "path": "/x"}, "path"),
        ({"path": "/x", "state": "drained"}, "state"),
        ({"state": "drained"}, "port"),
        ({"port": 0}, "port"),
        ({"path": "/x", "search_regex": "("}, "search_regex"),
        ({"port": 22, "exclude_hosts": ["a"]}, "exclude_hosts"),
    ],
)
def test_what_cannot_be_waited_for_is_refused(start, args, argument):
    error = start().refuse("wait_for", **args)
    assert error["kind"] == "refused" and error["data"]["argument"] == argument


def test_nothing_is_waited_for_in_check_mode(start):
    reply = start().ask("wait_for", check=True, path="/no/such/file")
    assert reply["data"]["skipped"] and not reply["changed"]


def follow(agent, job):
    request = agent.submit("job_follow", id=job)
    return agent.wait(request)["data"], [event["data"] for event in agent.events.get(request, [])]


def test_a_detached_action_goes_on_alone_and_is_asked_for_later(start, tmp_path):
    go = tmp_path / "go"
    agent = start()
    spec = {"action": "wait_for", "args": {"path": str(go), "sleep": 0.1, "timeout": 30}}
    agent.call("job_start", id="async-1", kind="action", spec=spec)
    now = agent.call("async_status", jid="async-1")
    assert now["started"] and not now["finished"] and now["ansible_job_id"] == "async-1"
    agent.close()
    later = start()
    go.write_text("")
    follow(later, "async-1")
    done = later.ask("async_status", jid="async-1")
    assert done["data"]["finished"] and done["data"]["path"] == str(go) and not done["changed"]
    assert later.call("async_status", jid="async-1", mode="cleanup")["erased"]
    assert "could not find job" in later.refuse("async_status", jid="async-1")["what"]


def test_a_detached_action_that_fails_says_what_it_would_have_said(start):
    agent = start()
    spec = {"action": "wait_for", "args": {"path": "/no/such", "timeout": 0, "msg": "no camera"}}
    agent.call("job_start", id="async-2", kind="action", spec=spec)
    data, _ = follow(agent, "async-2")
    assert data["state"] == "failed" and data["error"]["what"] == "no camera"
    error = agent.refuse("async_status", jid="async-2")
    assert error["what"] == "no camera" and error["data"]["finished"] and error["data"]["elapsed"] == 0
    agent.call("job_start", id="async-3", kind="action", spec={"action": "wait_four", "args": {}})
    data, _ = follow(agent, "async-3")
    assert "no action 'wait_four'" in data["error"]["what"]


def test_a_long_command_tells_its_lines_and_keeps_its_log(start, tmp_path):
    agent = start()
    spec = {
        "shell": 'echo one; echo "$WHO" >&2; pwd; exit 3',
        "env": {"WHO": "two"},
        "chdir": str(tmp_path),
        "phase": "building",
    }
    agent.call("job_start", id="make", kind="command", spec=spec)
    data, events = follow(agent, "make")
    lines = [event["line"] for event in events if event.get("phase") == "building"]
    assert lines[1:] == ["one", "two", str(tmp_path)]
    assert data["state"] == "done" and data["result"]["rc"] == 3 and data["result"]["tail"] == lines[1:]
    with open(data["result"]["log"]) as log:
        assert "one\ntwo\n" in log.read()
    status = agent.ask("async_status", jid="make")
    assert status["changed"] and status["data"]["rc"] == 3


@pytest.mark.parametrize(
    "spec, said",
    [
        ({}, "'argv' or 'shell'"),
        ({"shell": "x", "argv": ["x"]}, "either"),
        ({"shell": "x", "cwd": "/"}, "unknown: cwd"),
    ],
)
def test_a_long_command_that_makes_no_sense_fails_at_once(start, spec, said):
    agent = start()
    agent.call("job_start", id="bad", kind="command", spec=spec)
    assert said in follow(agent, "bad")[0]["error"]["why"]


def test_a_restart_follows_the_reply(start_as_root, tmp_path):
    device = SystemDevice(tmp_path / "device")
    device.write("/proc/sys/kernel/random/boot_id", "b007-1d\n")
    device.write("/sbin/reboot", f"#!/bin/sh\ntouch {device.folder}/restarted\n")
    device.path("/sbin/reboot").chmod(0o755)
    agent = start_as_root(prefix=device.folder)
    assert agent.ask("reboot", check=True)["changed"] and not device.path("/restarted").exists()
    assert agent.call("reboot") == {"boot_id": "b007-1d", "rebooting": True}
    end = time.monotonic() + 15
    while not device.path("/restarted").exists() and time.monotonic() < end:
        time.sleep(0.1)
    assert device.path("/restarted").exists()


def test_only_root_may_restart(start_as_user):
    error = start_as_user().refuse("reboot")
    assert "only root" in error["what"] and "become" in error["remedy"]
