"""Several actions in one request: order, failures, groups, and what a step asks around its action."""

import os
import time

import pytest


def shell(line, **around):
    return {"action": "shell", "args": {"cmd": line, "chdir": "/"}, **around}


def replies(agent, *batch):
    """The replies to all steps that ran, in order."""
    request = agent.submit("batch", steps=list(batch))
    final = agent.wait(request)
    assert final["ok"], final
    found = [event["data"] for event in agent.events.get(request, []) if event["event"] == "step"]
    assert [event["index"] for event in found] == list(range(final["data"]["done"]))
    return [event["reply"] for event in found]


def test_steps_run_in_order_and_each_is_answered(start, tmp_path):
    path = tmp_path / "log"
    found = replies(start(), *(shell(f"echo {i} >> {path}; cat {path} | wc -l") for i in range(3)))
    assert [reply["data"]["stdout"].strip() for reply in found] == ["1", "2", "3"]


def test_the_first_failure_ends_it(start):
    found = replies(start(), shell("true"), shell("exit 3"), shell("true"))
    assert [reply["data"]["rc"] for reply in found] == [0, 3]


def test_a_refusal_ends_it_too(start):
    found = replies(start(), {"action": "nope"}, shell("true"))
    assert [reply["ok"] for reply in found] == [False]


def test_an_ignored_failure_does_not(start):
    found = replies(start(), shell("exit 3", ignore=True), {"action": "nope", "ignore": True}, shell("true"))
    assert [reply["ok"] for reply in found] == [True, False, True]


def test_a_group_runs_to_its_end(start):
    found = replies(start(), shell("exit 3", group=1), shell("true", group=1), shell("true", group=2))
    assert [reply["data"]["rc"] for reply in found] == [3, 0]


def test_the_environment_is_one_steps_alone(start):
    found = replies(start(), shell("echo $FLEET_X", environment={"FLEET_X": "here"}), shell("echo =$FLEET_X"))
    assert [reply["data"]["stdout"].strip() for reply in found] == ["here", "="]


def test_the_time_of_a_step_ends_it_and_what_it_started(start, tmp_path):
    path = tmp_path / "late"
    began = time.monotonic()
    agent = start()
    found = replies(agent, shell(f"sleep 3; touch {path}", timeout_s=0.5), shell("true"))
    assert time.monotonic() - began < 3
    assert len(found) == 1 and "not finished after 0.5 s" in found[0]["error"]["what"]
    assert agent.call("ping")["time"]
    time.sleep(3)
    assert not path.exists()


def test_a_batch_in_a_batch_is_refused(start):
    error = start().refuse("batch", steps=[{"action": "batch", "args": {"steps": []}}])
    assert error["kind"] == "refused"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_step_as_another_user(start):
    found = replies(
        start(),
        shell("id -un", become=True, user="root"),
        shell("id -un; echo $HOME", become=True, user="nobody"),
        {"action": "ping", "become": True, "user": "no-such-user"},
    )
    assert found[0]["data"]["stdout"].strip() == "root"
    assert found[1]["data"]["stdout"].split()[0] == "nobody"
    assert "no user no-such-user" in found[2]["error"]["what"]
