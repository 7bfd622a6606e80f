"""The stream is the agent's alone: whatever others write, every reply is one whole line, in order."""

import json
import re
import subprocess

import pytest
from agent_client import NONCE, PACKAGE

pytestmark = pytest.mark.agent


def test_the_greeting_says_who_speaks(start, python, package):
    agent = start(package)
    greeting = agent.greeting
    version = subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"], stdout=subprocess.PIPE
    )
    assert greeting["python"] == version.stdout.decode().strip()
    assert greeting["protocol"] == 1
    assert greeting["agent"] == "0123456789abcdef"
    assert greeting["pid"] > 1
    assert greeting["root"].endswith("/root")


def test_banners_before_the_greeting_are_told_apart_from_it(start):
    shell = ["sh", "-c", 'echo "Welcome to Ubuntu"; echo "oops" >&2; printf "[sudo] password:"; exec "$@"', "sh"]
    agent = start(argv_before=shell)
    assert agent.noise == ["Welcome to Ubuntu", "[sudo] password:"]
    assert agent.call("ping")["time"] > 0


def test_a_password_that_sudo_did_not_take_is_no_request(start):
    agent = start(before='hunter2\n{"id": 9, "action": "ping"}\n' + NONCE + "x\n\n")
    agent.call("ping")
    assert agent.lines.empty()


@pytest.mark.parametrize("how", ["print", "read"])
def test_actions_cannot_touch_the_stream(start, package, how):
    agent = start(package)
    ids = [agent.submit("unruly", how=how), agent.submit("ping")]
    replies = [json.loads(agent.next_line()) for _ in ids]
    assert [reply["id"] for reply in replies] == ids
    assert all(reply["ok"] for reply in replies)
    if how == "read":
        assert replies[0]["data"] == {"read": ""}


def test_a_mistake_in_an_action_is_an_error_and_no_end(start, package):
    agent = start(package)
    error = agent.refuse("unruly", how="raise")
    assert error["kind"] == "failed"
    assert "KeyError" in error["what"] and "unruly.py:" in error["why"]
    assert "Traceback" not in json.dumps(error)
    assert agent.refuse("unruly", how="nan")["kind"] == "failed"
    assert agent.call("ping")


def test_events_carry_the_id_of_their_request(start, package):
    agent = start(package)
    request = agent.submit("unruly", how="progress")
    agent.wait(request)
    assert agent.events[request] == [{"id": request, "event": "progress", "data": {"fraction": 0.5}}]


def test_requests_sent_without_waiting_are_answered_in_order(start):
    agent = start()
    ids = [agent.submit("ping") for _ in range(200)]
    assert [agent.next_message()["id"] for _ in ids] == ids


@pytest.mark.parametrize(
    "line, said",
    [
        ("this is not JSON", "not JSON"),
        ("[1, 2]", "JSON object"),
        ('"' + "x" * 9_000_000 + '"', "too long"),
        ("[" * 100_000, "not JSON"),
        ('{"id": 1}', "malformed"),
        ('{"id": "1", "action": "ping"}', "malformed"),
        ('{"id": 1, "action": "ping", "become": "yes"}', "malformed"),
        ('{"id": 1, "action": "ping", "surplus": 1}', "malformed"),
        (b"\xff\xfe{}", "not JSON"),
    ],
    ids=["text", "list", "long", "deep", "no action", "text id", "become", "surplus", "bytes"],
)
def test_a_line_that_is_no_request_is_refused_and_the_session_goes_on(start, line, said):
    agent = start()
    agent.write(line if isinstance(line, bytes) else line.encode())
    agent.write("\n")
    reply = agent.next_message()
    assert not reply["ok"]
    assert reply["error"]["kind"] == "refused"
    assert said in reply["error"]["what"]
    assert agent.call("ping")


WRONG = [
    ("pong", {}, "unknown", "ping"),
    ("ping", {"x": 1}, "refused", "'x'"),
    ("facts", {"quik": True}, "refused", "did you mean 'quick'"),
    ("facts", {"quick": "yes"}, "refused", "true or false"),
    ("blob_missing", {}, "refused", "'digests' is missing"),
    ("blob_missing", {"digests": ["../../etc/passwd"]}, "refused", "sha256"),
    ("blob_prepare", {"digest": "0" * 64, "size_bytes": -1}, "refused", "at least 0"),
    ("blob_prepare", {"digest": "0" * 64, "size_bytes": True}, "refused", "whole number"),
    ("blob_write", {"digest": "0" * 64, "content": "%%%"}, "refused", "base64"),
    ("nvpmodel", {"mode": 3}, "refused", "text"),
    ("jetson_clocks", {"state": "min"}, "refused", "keep, max"),
    ("fan", {"speed": "11"}, "refused", "keep, max"),
    ("job_start", {"id": "../x", "kind": "build", "spec": {}}, "refused", "'id'"),
    ("job_start", {"id": "x", "kind": "brew", "spec": {}}, "refused", "build, command, measure, run"),
    ("job_start", {"id": "x", "kind": "build", "spec": []}, "refused", "an object"),
    ("job_follow", {"id": "nobody"}, "refused", "no job nobody"),
    ("job_cancel", {"id": "nobody"}, "refused", "no job nobody"),
    ("engines", {"keys": ["a/b"]}, "refused", "engine key"),
    ("passport_write", {"key": "k", "passport": 1}, "refused", "an object"),
    ("release_activate", {"model": "m", "engines": [], "release": "r"}, "refused", "at least 1"),
    ("release_activate", {"model": "m", "engines": [{"key": "k"}], "release": "r"}, "refused", "'file'"),
    (
        "release_activate",
        {"model": "m", "engines": [{"key": "k", "file": "../f"}], "release": "r"},
        "refused",
        "'file'",
    ),
    ("release_activate", {"model": ".m", "engines": [], "release": "r"}, "refused", "'model'"),
    ("command", {}, "refused", "argv"),
    ("command", {"argv": ["true"], "cmd": "true"}, "refused", "argv"),
    ("command", {"argv": ["true"], "timeout_s": 0}, "refused", "greater than 0"),
    ("command", {"argv": ["true"], "chdir": "/no/such/folder"}, "refused", "/no/such/folder"),
    ("service", {"name": "-x; reboot"}, "refused", "unit's name"),
    ("logs", {"lines": 0}, "refused", "at least 1"),
    ("file_read", {"path": "/etc/passwd"}, "refused", "outside"),
    ("file_read", {"path": "../../etc/passwd"}, "refused", "outside"),
]


def test_wrong_arguments_are_refused_by_name_before_anything_is_touched(start, tmp_path):
    agent = start()
    for action, args, kind, said in WRONG:
        error = agent.refuse(action, **args)
        assert error["kind"] == kind, (action, args, error)
        assert said in " ".join([error["what"], error["why"], error["remedy"]]), (action, args, error)
    assert not (tmp_path / "root").exists()


def test_the_agent_ends_with_its_input_after_answering_what_was_sent(start):
    agent = start()
    ids = [agent.submit("ping") for _ in range(5)]
    assert agent.close() == 0
    assert [agent.next_message()["id"] for _ in ids] == ids


def test_a_session_that_never_says_the_nonce_ends(python):
    process = subprocess.run(
        [python, str(PACKAGE), "serve", "--nonce", NONCE], input=b"hello\n", stdout=subprocess.PIPE, timeout=30
    )
    assert process.returncode == 1
    assert process.stdout == b""


def test_version_names_the_digest(python, package):
    output = subprocess.run([python, str(package), "version"], stdout=subprocess.PIPE, timeout=30).stdout.decode()
    assert output == "0123456789abcdef protocol 1\n"


def test_the_auto_root_is_the_system_s_if_it_can_be_written(start, tmp_path):
    prefix = tmp_path / "device"
    (prefix / "var/lib/fleet").mkdir(parents=True)
    assert start(root="auto", prefix=prefix).greeting["root"] == str(prefix / "var/lib/fleet")
    (prefix / "var/lib/fleet").rmdir()
    assert start(root="auto", prefix=prefix).greeting["root"] == str(tmp_path / "home/.local/share/fleet")


def test_the_greeting_loads_little(python):
    """A slow board pays this at every connection: no module may be loaded that the greeting does not need."""
    run = [python, "-v", str(PACKAGE), "serve", "--nonce", NONCE]
    loaded = subprocess.run(run, input=(NONCE + "\n").encode(), capture_output=True, timeout=30)
    modules = set(re.findall(r"(?m)^import '([\w.]+)'", loaded.stderr.decode()))
    assert "device_agent.serve" in modules
    heavy = {
        "argparse",
        "asyncio",
        "ctypes",
        "email",
        "hashlib",
        "http",
        "platform",
        "secrets",
        "ssl",
        "tempfile",
        "xml",
    }
    assert not modules & (heavy | {"device_agent.facts", "device_agent.elevation", "device_agent.actions.jobs"})
