"""The options of `fleet play`: what only looks, where a play starts, and what a retry does again."""

import json

import pytest

PLAY = """\
- name: First
  hosts: all
  gather_facts: false
  tags: [outer]
  tasks:
    - name: one thing
      command: "touch {{ folder }}/{{ inventory_hostname }}.thing"
      tags: [thing]
    - name: a change
      command: "echo hello"
      notify: say it
    - name: may fail
      command: "test -e {{ folder }}/{{ inventory_hostname }}.good"
      changed_when: false
  handlers:
    - name: say it
      command: "touch {{ folder }}/{{ inventory_hostname }}.said"
- name: Second
  hosts: two
  gather_facts: false
  tasks:
    - {name: never mind, debug: , tags: [never, rare]}
"""


@pytest.fixture
def play(fleet):
    """Run `fleet play` on PLAY with more arguments."""
    (fleet.folder / "play.yml").write_text(PLAY, encoding="utf-8")
    return lambda *argv: fleet("play", "play.yml", "-e", f"folder={fleet.folder}", *argv)


def test_tasks_are_listed_without_an_inventory(play, monkeypatch):
    monkeypatch.delenv("FLEET_INVENTORY")
    code, out, _ = play("--list-tasks")
    assert code == 0
    assert out.splitlines() == [
        "",
        "playbook: play.yml",
        "",
        "  play #1 (all): First\tTAGS: [outer]",
        "    tasks:",
        "      one thing\tTAGS: [outer, thing]",
        "      a change\tTAGS: [outer]",
        "      may fail\tTAGS: [outer]",
        "",
        "  play #2 (two): Second\tTAGS: []",
        "    tasks:",
    ]


def test_listed_tasks_are_those_that_tags_leave(play):
    out = play("--list-tasks", "--tags", "thing,rare")[1]
    assert "one thing" in out and "never mind" in out and "may fail" not in out


def test_tags_are_listed(play):
    assert "      TASK TAGS: [outer, thing]\n" in play("--list-tags")[1]


def test_hosts_are_listed_by_play(play, fleet):
    code, out, _ = play("--list-hosts")
    assert code == 0
    assert "    hosts (2):\n      one\n      two\n" in out
    assert "    hosts (1):\n      two\n" in out
    assert "hosts (1):\n      one\n" in play("--list-hosts", "-l", "one")[1]
    assert not (fleet.folder / "runs").exists()


def test_a_play_starts_at_a_task(play, fleet):
    for name in ("one", "two"):
        (fleet.folder / f"{name}.good").touch()
    assert play("--start-at-task", "a *")[0] == 0
    assert not (fleet.folder / "one.thing").exists()
    assert (fleet.folder / "one.said").exists()


def test_a_start_that_no_task_has_is_refused(play):
    code, _, err = play("--start-at-task", "a chnge")
    assert code == 1
    assert "did you mean 'a change'?" in err


def test_a_retry_takes_what_failed_and_the_handlers_it_owes(play, fleet):
    (fleet.folder / "one.good").touch()
    assert play()[0] == 2
    assert (fleet.folder / "one.said").exists()
    assert not (fleet.folder / "two.said").exists()

    (fleet.folder / "two.good").touch()
    (fleet.folder / "one.said").unlink()
    # The handler runs although the task that notified it is left out now.
    code, _, err = play("--retry", "--start-at-task", "may fail")
    assert code == 0
    assert "two (failed)" in err and "one" not in err.partition("retrying run")[2]
    assert (fleet.folder / "two.said").exists()
    assert not (fleet.folder / "one.said").exists()
    result = json.loads((fleet.folder / "runs/latest/result.json").read_text(encoding="utf-8"))
    assert list(result["hosts"]) == ["two"]

    code, out, _ = play("--retry")
    assert code == 0 and "nothing to retry" in out


def test_a_run_can_be_named_and_one_that_was_killed_counts(play, fleet):
    run = fleet.folder / "runs" / "20260101-000000-aaaa"
    run.mkdir(parents=True)
    started = {"event": "RunStarted", "command": "fleet play play.yml", "hosts": ["one", "two"]}
    done = {"event": "HostFinished", "host": "one", "status": "ok"}
    (run / "journal.jsonl").write_text(f"{json.dumps(started)}\n{json.dumps(done)}\n{{torn", encoding="utf-8")
    for given in (["--retry", run.name], ["--retry", f"runs/{run.name}"], ["--retry"]):
        code, out, err = play("--list-hosts", *given)
        assert code == 0
        assert "two (interrupted)" in err
        assert "hosts (1):\n      two\n" in out and "      one\n" not in out


@pytest.mark.parametrize("given", [[], ["nope"]])
def test_a_run_that_is_not_there_is_refused(play, given):
    code, _, err = play("--retry", *given)
    assert code == 1
    assert "to retry" in err and "Traceback" not in err
