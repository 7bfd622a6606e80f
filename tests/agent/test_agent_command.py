"""Commands of the user's, units of systemd, and the clock."""

import base64
import re
import time

import pytest

pytestmark = pytest.mark.agent


def test_a_command_s_end_is_reported_and_not_judged(start):
    data = start().call("shell", cmd="echo out; echo err >&2; exit 4")
    assert data["failed"] is True and data["msg"] == "non-zero return code"
    assert (data["rc"], data["stdout"], data["stderr"]) == (4, "out", "err")
    assert (data["stdout_lines"], data["stderr_lines"]) == (["out"], ["err"])
    assert data["cmd"] == "echo out; echo err >&2; exit 4"


def test_a_command_has_no_shell_and_no_input_of_ours(start):
    agent = start()
    data = agent.call("command", cmd="printf '%s|' 'a b' $HOME/x '*'")
    assert data["cmd"] == ["printf", "%s|", "a b", "$HOME/x", "*"] and "failed" not in data
    assert data["stdout"].startswith("a b|/") and data["stdout"].endswith("/x|*|")
    assert agent.call("command", argv=["printf", "%s|", "$HOME"], expand_argument_vars=False)["stdout"] == "$HOME|"
    assert agent.call("shell", cmd="cat")["stdout"] == ""
    assert agent.call("shell", cmd="kill -9 $$")["rc"] == -9
    lost = agent.call("command", argv=["/no/such/program"])
    assert lost["failed"] and lost["rc"] == 2 and "No such file" in lost["msg"]


def test_times_are_told_as_ansible_tells_them(start):
    data = start().call("command", cmd="sleep 0.2")
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}"
    assert re.match(stamp + r"\Z", data["start"]) and re.match(stamp + r"\Z", data["end"])
    assert re.match(r"0:00:00\.\d{6}\Z", data["delta"]) and data["delta"] >= "0:00:00.2"


def test_a_command_runs_where_it_is_asked_to_and_in_the_c_locale(start, tmp_path):
    agent = start(env={"LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"})
    assert agent.call("command", argv=["pwd"])["stdout"] == str(tmp_path / "home")
    assert agent.call("command", argv=["pwd"], chdir=str(tmp_path))["stdout"] == str(tmp_path)
    shown = agent.call("shell", cmd='echo "$LC_ALL,$LANGUAGE"; ls /nonexistent')
    assert shown["stdout"] == "C," and "No such file or directory" in shown["stderr"]
    assert "no folder" in agent.refuse("command", argv=["pwd"], chdir="/no/such/folder")["what"]


def test_a_shell_of_the_user_s_choice(start):
    assert start().call("shell", cmd="echo $0", executable="/bin/bash")["stdout"] == "/bin/bash"


@pytest.mark.parametrize(
    ("options", "read"),
    [({}, "a line\n"), ({"stdin_add_newline": False}, "a line")],
)
def test_standard_input(start, options, read):
    data = start().call("command", cmd="cat", stdin="a line", strip_empty_ends=False, **options)
    assert data["stdout"] == read


def test_creates_and_removes(start, tmp_path):
    agent = start()
    (tmp_path / "there.txt").touch()
    touch = {"cmd": "touch new.txt", "chdir": str(tmp_path)}
    reply = agent.ask("shell", creates=str(tmp_path / "*.txt"), **touch)
    assert not reply["changed"] and reply["data"]["rc"] == 0 and "failed" not in reply["data"]
    assert reply["data"]["msg"] == "Did not run command since '{}' exists".format(tmp_path / "*.txt")
    assert reply["data"]["stdout"] == "skipped, since {} exists".format(tmp_path / "*.txt")
    reply = agent.ask("shell", removes="missing.txt", **touch)
    assert not reply["changed"] and "does not exist" in reply["data"]["msg"]
    assert agent.ask("shell", check=True, creates="missing.txt", **touch)["changed"]
    assert not (tmp_path / "new.txt").exists()
    assert agent.ask("shell", creates="missing.txt", removes="there.txt", **touch)["changed"]
    assert (tmp_path / "new.txt").exists()


def test_a_command_that_hangs_is_killed_with_its_children(start):
    agent = start()
    started = time.monotonic()
    error = agent.refuse("shell", cmd="echo begun; sleep 60 & wait", timeout_s=0.5)
    assert "not finished after 0.5 s" in error["what"] and error["data"]["stdout"] == "begun"
    assert time.monotonic() - started < 10


def test_a_child_that_keeps_the_output_open_does_not_hang_the_agent(start):
    agent = start()
    started = time.monotonic()
    agent.refuse("shell", cmd="setsid sleep 20 & wait", timeout_s=0.5)
    assert time.monotonic() - started < 10
    assert agent.call("ping")


def test_check_mode_runs_no_command_and_says_so(start, tmp_path):
    agent = start()
    reply = agent.ask("command", check=True, argv=["touch", str(tmp_path / "touched")])
    assert not reply["changed"] and reply["data"]["skipped"] is True
    assert reply["data"]["msg"] == "Command would have run if not in check mode"
    content = base64.b64encode(b"#!/bin/sh\ntouch touched").decode()
    reply = agent.ask("script", check=True, content_base64=content, chdir=str(tmp_path))
    assert reply["data"]["skipped"] and not reply["changed"]
    assert not (tmp_path / "touched").exists()


def test_a_script_comes_along_and_leaves_nothing(start, tmp_path):
    agent = start(env={"TMPDIR": str(tmp_path)})
    content = base64.b64encode(b'#!/bin/bash\necho "$# $1 $PWD"; exit $2\n').decode()
    reply = agent.ask("script", content_base64=content, words="'a b' 3", chdir="/")
    assert reply["changed"] and reply["data"]["rc"] == 3 and reply["data"]["failed"]
    assert reply["data"]["stdout"] == "2 a b /" and reply["data"]["msg"] == "non-zero return code"
    plain = base64.b64encode(b"import sys; print(sys.argv[1])").decode()
    assert agent.call("script", content_base64=plain, executable="python3", words="x")["stdout_lines"] == ["x"]
    assert [path.name for path in tmp_path.iterdir() if "fleet-script" in path.name] == []


def test_a_script_that_created_its_file_is_skipped(start, tmp_path):
    content = base64.b64encode(b"#!/bin/sh\ntouch made\n").decode()
    reply = start().ask("script", content_base64=content, creates=str(tmp_path))
    assert reply["data"] == {"skipped": True, "msg": f"{tmp_path} exists, matching creates option"}


@pytest.mark.parametrize(
    ("args", "part"),
    [
        ({}, "argv"),
        ({"argv": ["true"], "cmd": "true"}, "argv"),
        ({"cmd": "echo 'open"}, "split"),
        ({"cmd": " "}, "run"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused(start, args, part):
    error = start().refuse("command", **args)
    assert error["kind"] == "refused" and part in error["what"]


def test_the_clock_is_told_in_seconds_since_the_epoch(start):
    assert abs(start().call("ping")["time"] - time.time()) < 60
