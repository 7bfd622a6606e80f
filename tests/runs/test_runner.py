"""A run takes every device through its plays, none stopping another, and journals what happened."""

import json
import threading
from pathlib import Path

import pytest
from fake_run import FakeDevice

from orchestrator.errors import ActionError, ConnectError, PlaybookError
from orchestrator.events import TaskFinished

PLAY = """
- hosts: all
  tasks:
    - {name: first, ping: {}}
    - {name: second, debug: {msg: "{{ inventory_hostname }} {{ ansible_facts.hostname }}"}}
"""


def test_every_device_goes_through_all_tasks(run):
    done = run(PLAY)
    assert {name: end.status for name, end in done.ends.items()} == {"a": "ok", "b": "ok"}
    assert done.tasks["a"] == [("first", "ok"), ("second", "ok")]
    messages = [e.message for e in done.seen if isinstance(e, TaskFinished) and e.task == "second"]
    assert sorted(messages) == ["a a", "b b"]


def test_a_failed_device_stops_and_the_others_go_on(run):
    done = run(PLAY, answers={"a": {"ping": ActionError("no", "because", "do this")}})
    assert (done.ends["a"].status, done.ends["b"].status) == ("failed", "ok")
    assert done.ends["a"].error == {"what": "no", "why": "because", "remedy": "do this", "log": None}
    assert done.tasks["a"] == [("first", "failed")]


def test_unreachable_is_not_failed(run):
    done = run(PLAY, answers={"a": ConnectError("no route")})
    assert (done.ends["a"].status, done.ends["b"].status) == ("unreachable", "ok")


def test_a_defect_of_ours_names_its_log_and_spares_the_others(run):
    done = run(PLAY, answers={"a": {"ping": RuntimeError("boom")}})
    assert done.ends["a"].status == "failed"
    assert "RuntimeError: boom" in done.ends["a"].error["why"]
    assert "Traceback" in Path(done.ends["a"].error["log"]).read_text()
    assert done.ends["b"].status == "ok"


def test_when_register_ignore_and_no_log(run):
    done = run(
        """
- hosts: all
  gather_facts: false
  tasks:
    - {name: not here, debug: {}, when: inventory_hostname == 'b'}
    - {name: fails, fail: {msg: secret}, ignore_errors: true, no_log: true, register: it}
    - {name: saw, assert: {that: ["it is defined", "it.failed", "not it.changed"]}}
    - {name: keep, set_fact: {x: 5}}
    - {name: use, assert: {that: x == 5}}
""",
        hosts=["a"],
    )
    assert [status for _, status in done.tasks["a"]] == ["skipped", "ignored", "ok", "ok", "ok"]
    assert "secret" not in done.journal.read_text()


def test_an_undefined_variable_is_a_mistake_of_the_user_with_its_place(run):
    done = run("- hosts: all\n  gather_facts: false\n  tasks:\n    - debug: {msg: '{{ nope }}'}\n", hosts=["a"])
    assert done.ends["a"].status == "failed"
    assert "play.yml:4:" in done.ends["a"].error["what"]
    assert done.runner.misconfigured


def test_hosts_of_no_play_are_skipped(run):
    done = run("- hosts: a\n  tasks: [{debug: {}}]\n")
    assert (done.ends["a"].status, done.ends["b"].status) == ("ok", "skipped")


def test_wrong_argument_values_are_refused_before_the_module_runs(run):
    play = "- hosts: all\n  vars: {wanted: highest}\n  tasks:\n    - jetson_clocks: {state: '{{ wanted }}'}\n"
    done = run(play, hosts=["a"])
    assert "state cannot be 'highest'" in done.ends["a"].error["what"]
    assert done.devices["a"].actions == [("setup", {})]


def test_devices_run_at_once_up_to_forks(run, monkeypatch):
    barrier = threading.Barrier(3, timeout=20)
    monkeypatch.setattr(
        FakeDevice, "facts", lambda self: barrier.wait() is not None and {"virtual": True, "hostname": ""}
    )
    done = run(PLAY, hosts=["a", "b", "c"], forks=3)
    assert {end.status for end in done.ends.values()} == {"ok"}


def test_the_journal_has_every_task_and_end(run):
    done = run(PLAY)
    lines = [json.loads(line) for line in done.journal.read_text().splitlines()]
    assert sum(line["event"] == "TaskFinished" for line in lines) == 6
    assert sum(line["event"] == "HostFinished" for line in lines) == 2


def test_a_playbook_without_the_module_is_refused_before_connecting(run):
    with pytest.raises(PlaybookError):
        run("- hosts: all\n  tasks: [{nope: {}}]\n")
