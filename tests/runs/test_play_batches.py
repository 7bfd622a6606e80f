"""Tasks travel together where nothing needs an earlier answer, and mean the same as one by one."""

import pytest

from orchestrator.errors import ActionError, ConnectError
from orchestrator.playbook.parse import load_playbook
from orchestrator.runs.dependencies import needs

HEAD = "- hosts: all\n  gather_facts: false\n"


def course(done, host="a"):
    return " ".join(f"{task}:{status}" for task, status in done.tasks[host])


def requests(done):
    return done.devices["a"].requests


def test_neighbours_travel_together(run):
    play = HEAD + "  tasks:\n" + "".join(f"    - {{name: t{i}, command: c{i}, register: r{i}}}\n" for i in range(8))
    done = run(play, hosts=["a"])
    assert requests(done) == ["batch"]
    assert len(done.tasks["a"]) == 8


def test_a_task_that_needs_an_answer_waits_for_it(run):
    done = run(
        HEAD
        + """
  vars: {indirect: "{{ first.stdout }}"}
  tasks:
    - {name: one, command: x, register: first}
    - {name: two, command: y}
    - {name: three, command: "{{ indirect }}"}
    - {name: four, command: z, when: first is changed}
""",
        hosts=["a"],
        answers={"a": {"command": {"stdout": "said", "rc": 0}}},
    )
    assert requests(done) == ["batch", "batch"]
    assert "said" in str(done.devices["a"].actions[2])
    assert course(done) == "one:changed two:changed three:changed four:changed"


def test_nothing_is_done_after_a_failure(run):
    play = HEAD + "  tasks: [{name: a, command: x}, {name: b, command: y}, {name: c, command: z}]\n"
    answers = iter([{"rc": 0}, {"rc": 1, "failed": True, "msg": "no"}, {"rc": 0}])
    done = run(play, hosts=["a"], answers={"a": {"command": lambda args: next(answers)}})
    assert course(done) == "a:changed b:failed"
    assert len(done.devices["a"].actions) == 2


def test_an_ignored_failure_does_not_stop_the_batch(run):
    play = HEAD + (
        "  tasks: [{name: a, command: x, ignore_errors: true}, {name: b, command: x, failed_when: false},"
        " {name: c, command: z}]\n"
    )
    answers = iter([{"rc": 1, "failed": True}, ActionError("no"), {"rc": 0}])
    done = run(play, hosts=["a"], answers={"a": {"command": lambda args: next(answers)}})
    assert course(done) == "a:ignored b:ok c:changed"
    assert requests(done) == ["batch"]


def test_items_of_a_loop_all_run_before_a_failure_among_them_counts(run):
    play = HEAD + "  tasks: [{name: a, command: '{{ item }}', loop: [x, y, z]}, {name: b, command: y}]\n"
    answers = iter([{"rc": 0}, {"rc": 1, "failed": True}, {"rc": 0}])
    done = run(play, hosts=["a"], answers={"a": {"command": lambda args: next(answers)}})
    assert course(done) == "a:failed" and len(done.devices["a"].actions) == 3


def test_failed_when_is_judged_before_anything_else_is_sent(run):
    play = HEAD + "  tasks: [{name: a, command: x, register: r, failed_when: r.rc == 0}, {name: b, command: y}]\n"
    done = run(play, hosts=["a"], answers={"a": {"command": {"rc": 0}}})
    assert course(done) == "a:failed" and len(done.devices["a"].actions) == 1


def test_skipped_tasks_keep_their_place_and_cost_nothing(run):
    play = HEAD + "  tasks: [{name: a, command: x}, {name: b, command: y, when: false}, {name: c, command: z}]\n"
    done = run(play, hosts=["a"])
    assert course(done) == "a:changed b:skipped c:changed"
    assert requests(done) == ["batch"]


def test_handlers_end_a_batch_only_where_one_may_be_due(run):
    tasks = "  pre_tasks: [{name: a, command: x%s}]\n  tasks: [{name: b, command: y}]\n"
    tasks += "  handlers: [{name: h, command: z}]\n"
    assert requests(run(HEAD + tasks % "", hosts=["a"])) == ["batch"]
    done = run(HEAD + tasks % ", notify: h", hosts=["a"])
    assert course(done) == "a:changed h:changed b:changed"


def test_a_lost_link_is_the_running_tasks(run):
    play = HEAD + "  tasks: [{name: a, command: x}, {name: b, command: y}, {name: c, command: z}]\n"
    answers = iter([{"rc": 0}, ConnectError("lost")])
    done = run(play, hosts=["a"], answers={"a": {"command": lambda args: next(answers)}})
    assert course(done) == "a:changed b:unreachable"
    assert done.ends["a"].status == "unreachable"


def test_a_rescue_sees_a_failure_within_a_batch(run):
    play = (
        HEAD
        + """
  tasks:
    - block: [{name: a, command: x}, {name: b, command: y}, {name: c, command: z}]
      rescue: [{name: r, debug: {}}]
"""
    )
    answers = iter([{"rc": 0}, {"rc": 1, "failed": True}])
    done = run(play, hosts=["a"], answers={"a": {"command": lambda args: next(answers)}})
    assert course(done) == "a:changed b:failed r:ok"


NEEDS = [
    ("command: 'echo {{ x.stdout }}'", True),
    ("command: 'echo {{ y }}'", True),
    ("command: 'echo {{ z }}'", False),
    ("{command: a, when: x is changed}", True),
    ("{command: a, when: other}", False),
    ("{command: a, loop: '{{ x.lines }}'}", True),
    ("{command: a, vars: {v: '{{ y }}'}}", True),
    ("{command: a, environment: {E: '{{ x }}'}}", True),
    ("{command: a, become: '{{ x.ok }}'}", True),
    ("{command: \"{{ vars['x'].stdout }}\"}", True),
    ("{command: \"{{ lookup('vars', 'x') }}\"}", True),
    ("{command: a, changed_when: x is changed}", False),
    ("{command: '{% set x = 1 %}{{ x }}'}", False),
]


@pytest.mark.parametrize(("task", "expected"), NEEDS, ids=[task for task, _ in NEEDS])
def test_what_a_task_needs(tmp_path, task, expected):
    (tmp_path / "play.yml").write_text(f"- hosts: all\n  tasks:\n    - {task}\n")
    (found,) = load_playbook(tmp_path / "play.yml")[0].tasks
    assert needs(found, {"y": "{{ x }}", "z": "{{ w }}", "w": 1, "other": True}, {"x"}) is expected
