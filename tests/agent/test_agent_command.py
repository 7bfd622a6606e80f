"""Commands of the user's, and the clock."""

import time

import pytest

pytestmark = pytest.mark.agent


def test_a_command_s_end_is_reported_and_not_judged(start):
    agent = start()
    assert agent.call("command", shell="echo out; echo err >&2; exit 4") == {
        "rc": 4,
        "stdout": "out\n",
        "stderr": "err\n",
    }
    assert agent.call("command", argv=["printf", "%s|", "a b", "$HOME"])["stdout"] == "a b|$HOME|"
    assert agent.call("command", shell="kill -9 $$")["rc"] == 137
    assert "could not be started" in agent.refuse("command", argv=["/no/such/program"])["what"]
    assert agent.call("command", shell="cat")["stdout"] == ""


def test_a_command_runs_where_it_is_asked_to_and_in_the_c_locale(start, tmp_path):
    agent = start(env={"LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"})
    assert agent.call("command", argv=["pwd"])["stdout"].strip() == str(tmp_path / "home")
    assert agent.call("command", argv=["pwd"], chdir=str(tmp_path))["stdout"].strip() == str(tmp_path)
    shown = agent.call("command", shell='echo "$LC_ALL,$LANGUAGE"; ls /nonexistent')
    assert shown["stdout"] == "C,\n" and "No such file or directory" in shown["stderr"]


def test_a_command_that_hangs_is_killed_with_its_children(start):
    agent = start()
    started = time.monotonic()
    error = agent.refuse("command", shell="echo begun; sleep 60 & wait", timeout_s=0.5)
    assert "not finished after 0.5 s" in error["what"] and error["data"]["stdout"] == "begun\n"
    assert time.monotonic() - started < 10


def test_a_child_that_keeps_the_output_open_does_not_hang_the_agent(start):
    agent = start()
    started = time.monotonic()
    agent.refuse("command", shell="setsid sleep 20 & wait", timeout_s=0.5)
    assert time.monotonic() - started < 10
    assert agent.call("ping")


def test_check_mode_runs_no_command(start, tmp_path):
    reply = start().ask("command", check=True, argv=["touch", str(tmp_path / "touched")])
    assert reply["changed"] and not (tmp_path / "touched").exists()


def test_the_clock_is_told_in_seconds_since_the_epoch(start):
    assert abs(start().call("ping")["time"] - time.time()) < 60
