"""A job outlives the session that started it, is never doubled, and always tells how it ended."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.agent

SLOW = "echo begun; touch begun; while [ ! -e go ]; do sleep 0.05; done; echo finished"


@pytest.fixture
def root(tmp_path):
    yield tmp_path / "root"
    for state in (tmp_path / "root/jobs").glob("*/state.json"):
        # Whatever a test left running waits for this file.
        (state.parent / "go").touch()


@pytest.fixture
def agent(start, package, root):
    return start(package, root=root)


def until(condition, timeout_s=15.0):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def begin(agent, script=SLOW, name="j", **spec):
    return agent.call("job_start", id=name, kind="build", spec={"script": script, **spec})


def supervisor_of(root, name="j"):
    import json

    return json.loads((root / "jobs" / name / "state.json").read_text())["pid"]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def lines_of(agent, request):
    return [event["data"]["line"] for event in agent.events.get(request, []) if "line" in event["data"]]


def test_a_job_tells_its_events_and_its_result(agent, root):
    assert begin(agent, "echo one; echo two >&2; printf three") == {
        "id": "j",
        "attached": False,
        "state": "running",
        "archived": None,
    }
    request = agent.submit("job_follow", id="j")
    data = agent.wait(request)["data"]
    assert data["state"] == "done" and data["error"] is None
    assert data["result"]["tail"] == ["one", "two", "three"]
    assert data["result"]["blob"] == str(root / "blobs/ab")
    assert lines_of(agent, request) == ["one", "two", "three"]
    assert agent.events[request][0]["data"]["phase"] == "building"
    assert data["offset"] == (root / "jobs/j/events.jsonl").stat().st_size
    assert (root / "jobs/j/output.log").read_text().endswith("one\ntwo\nthree")
    assert agent.call("logs", lines=2)["lines"] == ["two", "three"]


def test_following_resumes_at_an_offset(agent):
    begin(agent, "for n in 1 2 3 4; do echo $n; done")
    first = agent.submit("job_follow", id="j")
    agent.wait(first)
    offsets = {event["data"].get("line"): event["data"]["offset"] for event in agent.events[first]}
    again = agent.submit("job_follow", id="j", offset=offsets["2"])
    agent.wait(again)
    assert lines_of(agent, again) == ["3", "4"]


def test_other_requests_go_on_while_a_job_is_followed(agent, root):
    begin(agent)
    request = agent.submit("job_follow", id="j")
    for _ in range(3):
        assert agent.call("ping")
    assert [job["state"] for job in agent.call("job_list")["jobs"]] == ["running"]
    (root / "jobs/j/go").touch()
    assert agent.wait(request)["data"]["state"] == "done"


@pytest.mark.parametrize("how", ["kill", "end of input"])
def test_a_job_survives_the_session(start, package, agent, root, how):
    begin(agent)
    until((root / "jobs/j/begun").exists)
    agent.submit("job_follow", id="j")
    if how == "kill":
        os.kill(agent.process.pid, signal.SIGKILL)
        agent.process.wait()
    else:
        agent.close()
    other = start(package, root=root)
    attached = begin(other, "echo this must never run; touch doubled")
    assert attached == {"id": "j", "attached": True, "state": "running", "archived": None}
    (root / "jobs/j/go").touch()
    request = other.submit("job_follow", id="j")
    assert other.wait(request)["data"]["state"] == "done"
    assert lines_of(other, request) == ["begun", "finished"]
    assert begin(other, "touch doubled")["state"] == "done"
    assert not (root / "jobs/j/doubled").exists()


def test_sessions_that_start_the_same_job_at_once_get_one(start, package, root):
    agents = [start(package, root=root) for _ in range(4)]
    script = "echo x >> ../../count; " + SLOW
    replies = []
    threads = [threading.Thread(target=lambda a=a: replies.append(begin(a, script))) for a in agents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(reply["attached"] for reply in replies) == [False, True, True, True]
    until((root / "jobs/j/begun").exists)
    (root / "jobs/j/go").touch()
    assert agents[0].call("job_follow", id="j")["state"] == "done"
    assert (root / "count").read_text() == "x\n"


def test_a_failed_job_says_why_and_is_put_aside_for_the_next(agent, root):
    begin(agent, "echo the reason; exit 3")
    data = agent.call("job_follow", id="j")
    assert data["state"] == "failed" and data["result"] is None
    assert {name: data["error"][name] for name in ("kind", "rc", "signal", "tail")} == {
        "kind": "tool",
        "rc": 3,
        "signal": None,
        "tail": ["the reason"],
    }
    assert begin(agent, "exit 4")["archived"] == "j.1"
    assert agent.call("job_follow", id="j")["error"]["rc"] == 4
    assert begin(agent, "true")["archived"] == "j.2"
    assert agent.call("job_follow", id="j")["state"] == "done"
    assert sorted(job["id"] for job in agent.call("job_list")["jobs"]) == ["j", "j.1", "j.2"]
    assert agent.call("logs", job="j.1")["lines"][-1] == "the reason"


def test_a_tool_that_the_kernel_kills_is_told_by_its_signal(agent):
    begin(agent, "kill -9 $$")
    error = agent.call("job_follow", id="j")["error"]
    assert (error["rc"], error["signal"]) == (137, 9)


@pytest.mark.parametrize("limit, silent", [("timeout_s", False), ("silence_s", True)])
def test_a_tool_that_hangs_is_stopped_with_all_that_it_started(agent, root, limit, silent):
    begin(agent, "echo begun; sleep 300 & echo $! > child; wait", **{limit: 0.6})
    error = agent.call("job_follow", id="j")["error"]
    assert error["kind"] == "timeout" and error["silent"] is silent and error["tail"] == ["begun"]
    child = int((root / "jobs/j/child").read_text())
    until(lambda: not is_running(child))


def test_cancel_stops_the_tool_and_is_no_failure(agent, root):
    begin(agent, "trap '' TERM; echo $$ > tool; touch begun; while true; do sleep 0.1; done")
    until((root / "jobs/j/begun").exists)
    tool = int((root / "jobs/j/tool").read_text())
    assert agent.call("job_cancel", check=True, id="j") == {"state": "cancelled"}
    assert is_running(tool)
    reply = agent.ask("job_cancel", id="j")
    assert reply["changed"] and reply["data"] == {"state": "cancelled"}
    until(lambda: not is_running(tool))
    data = agent.call("job_follow", id="j")
    assert data["state"] == "cancelled" and data["error"]["kind"] == "cancelled"
    assert not agent.ask("job_cancel", id="j")["changed"]
    assert begin(agent, "true")["archived"] == "j.1"


def test_a_supervisor_that_is_killed_leaves_a_lost_job_and_no_tool(agent, root):
    begin(agent, "echo $$ > tool; touch begun; exec sleep 300")
    until((root / "jobs/j/begun").exists)
    tool = int((root / "jobs/j/tool").read_text())
    request = agent.submit("job_follow", id="j")
    os.kill(supervisor_of(root), signal.SIGKILL)
    data = agent.wait(request)["data"]
    assert data["state"] == "lost" and data["error"]["kind"] == "lost"
    until(lambda: not is_running(tool))
    assert [job["state"] for job in agent.call("job_list")["jobs"]] == ["lost"]
    assert begin(agent, "true")["archived"] == "j.1"
    assert agent.call("job_follow", id="j")["state"] == "done"


def test_a_supervisor_that_does_not_listen_is_killed_by_cancel(agent, root):
    begin(agent)
    until((root / "jobs/j/begun").exists)
    os.kill(supervisor_of(root), signal.SIGSTOP)
    assert agent.call("job_cancel", id="j") == {"state": "cancelled"}


def test_a_power_cut_in_the_middle_of_an_event_is_survived(agent, root):
    begin(agent, "echo whole")
    agent.call("job_follow", id="j")
    with open(root / "jobs/j/events.jsonl", "a") as stream:
        stream.write('{"line": "ha')
    request = agent.submit("job_follow", id="j")
    assert agent.wait(request)["data"]["state"] == "done"
    assert lines_of(agent, request) == ["whole"]


def test_a_mistake_of_the_engine_is_a_failed_job_with_a_log(agent, root):
    begin(agent, "true", **{"break": True})
    error = agent.call("job_follow", id="j")["error"]
    assert error["kind"] == "internal" and "ZeroDivisionError" in error["what"]
    # The job's end is written first, then what is for whoever looks into the log.
    until(lambda: "Traceback" in (root / "jobs/j/supervisor.log").read_text())


def test_output_without_end_or_in_any_encoding_is_taken(agent, root):
    begin(agent, "printf '\\377\\376 caf\\351\\r\\n'; head -c 200000 /dev/zero | tr '\\0' x")
    data = agent.call("job_follow", id="j")
    assert data["state"] == "done"
    assert data["result"]["tail"][0] == "\ufffd\ufffd caf\ufffd"
    assert sum(len(line) for line in data["result"]["tail"][1:]) == 200000


def test_check_mode_starts_and_removes_nothing(agent, root):
    assert agent.ask("job_start", check=True, id="j", kind="build", spec={"script": "true"})["changed"]
    assert not root.exists()
    begin(agent, "true")
    agent.call("job_follow", id="j")
    assert not agent.ask("job_start", check=True, id="j", kind="build", spec={})["changed"]
    assert agent.ask("job_remove", check=True, id="j")["changed"]
    assert (root / "jobs/j").exists()


def test_a_living_job_is_not_removed(agent, root):
    begin(agent)
    assert agent.refuse("job_remove", id="j")["kind"] == "busy"
    (root / "jobs/j/go").touch()
    agent.call("job_follow", id="j")
    assert agent.ask("job_remove", id="j")["changed"]
    assert not agent.ask("job_remove", id="j")["changed"]
    assert agent.call("job_list") == {"jobs": []}


def test_the_session_ends_although_its_job_lives(agent, root):
    """A job that held the channel's pipes open would keep the SSH session, and the controller, waiting."""
    begin(agent)
    started = time.monotonic()
    agent.close()
    while agent.lines.get(timeout=5) is not None:
        pass
    assert time.monotonic() - started < 5
    assert is_running(supervisor_of(root))
