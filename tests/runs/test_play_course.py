"""The course of a play on one host: conditions, loops, blocks, handlers, roles, includes, as Ansible goes it."""

import pytest

from orchestrator.errors import ActionError, ConnectError
from orchestrator.events import HandlersDue
from orchestrator.runs.journal import owed_handlers

HEAD = "- hosts: all\n  gather_facts: false\n"


def course(done, host="a"):
    return " ".join(f"{task}:{status}" for task, status in done.tasks[host])


CASES = {
    "loop registers a result per item": (
        """
  tasks:
    - {name: each, debug: {msg: "{{ item }}"}, loop: [x, y], register: it, loop_control: {index_var: i}}
    - name: see
      assert:
        that:
          - it.results | map(attribute='msg') | list == ['x', 'y']
          - it.results[1].item == 'y' and it.results[1].i == 1 and it.results[1].ansible_loop_var == 'item'
          - it.msg == 'All items completed' and not it.changed and it is not failed
""",
        "each:ok see:ok",
    ),
    "an item whose condition does not hold is skipped, all of them skip the task": (
        """
  tasks:
    - {name: some, debug: {}, loop: [1, 2], when: item == 2, register: some}
    - {name: none, debug: {}, loop: [1, 2], when: item == 3, register: no_item}
    - {name: empty, debug: {}, loop: [], register: empty}
    - name: see
      assert:
        that:
          - some.results[0] is skipped and some.results[1] is not skipped
          - no_item is skipped and no_item.msg == 'All items skipped'
          - empty is skipped and empty.results == []
""",
        "some:ok none:skipped empty:skipped see:ok",
    ),
    "a failed item does not stop the others": (
        """
  tasks:
    - {name: each, fail: {msg: "{{ item }}"}, loop: [x, y], register: it, ignore_errors: true}
    - {name: see, assert: {that: [it is failed, it.results | length == 2, "it.msg == 'One or more items failed'"]}}
""",
        "each:ignored see:ok",
    ),
    "old loops": (
        """
  vars: {d: {k: v}}
  tasks:
    - {name: items, debug: {msg: "{{ item }}"}, with_items: [[1, 2], 3], register: a}
    - {name: dict, debug: {msg: "{{ item.key }}{{ item.value }}"}, with_dict: "{{ d }}", register: b}
    - {name: see, assert: {that: [a.results | length == 3, "b.results[0].msg == 'kv'"]}}
""",
        "items:ok dict:ok see:ok",
    ),
    "extended loops, other names and nested variables": (
        """
  tasks:
    - name: each
      debug: {msg: "{{ thing }} {{ ansible_loop.index }}/{{ ansible_loop.length }} {{ ansible_loop.last }}"}
      loop: [x, y]
      loop_control: {loop_var: thing, extended: true, label: "{{ thing }}"}
      register: it
    - {name: see, assert: {that: ["it.results[1].msg == 'y 2/2 True'", "it.results[1].thing == 'y'"]}}
""",
        "each:ok see:ok",
    ),
    "break_when ends a loop": (
        """
  tasks:
    - {name: each, debug: {msg: "{{ item }}"}, loop: [1, 2, 3], loop_control: {break_when: item == 2}, register: it}
    - {name: see, assert: {that: it.results | length == 2}}
""",
        "each:ok see:ok",
    ),
    "a loop over what is not there is spared by a condition that does not hold": (
        "\n  tasks:\n    - {name: each, debug: {}, loop: '{{ nothing }}', when: false}\n",
        "each:skipped",
    ),
    "failed_when and changed_when decide": (
        """
  tasks:
    - {name: bad, debug: {msg: hello}, register: it, failed_when: "'hell' in it.msg", ignore_errors: true}
    - {name: good, fail: {}, failed_when: false}
    - {name: changed, debug: {}, changed_when: true}
    - {name: see, assert: {that: [it is failed, it.failed_when_result]}}
""",
        "bad:ignored good:ok changed:changed see:ok",
    ),
    "rescue and always": (
        """
  tasks:
    - block:
        - {name: fails, fail: {msg: oh}}
        - {name: not reached, debug: {}}
      rescue:
        - {name: saw, assert: {that: ["ansible_failed_task.name == 'fails'", "ansible_failed_result.msg == 'oh'"]}}
      always:
        - {name: always, debug: {}}
    - {name: after, debug: {}}
""",
        "fails:failed saw:ok always:ok after:ok",
    ),
    "always runs where nothing rescues, and the host has failed": (
        """
  tasks:
    - block:
        - {name: fails, fail: {}}
      always:
        - {name: always, debug: {}}
    - {name: not reached, debug: {}}
""",
        "fails:failed always:ok",
    ),
    "a failure in a rescue is not rescued again, and blocks nest": (
        """
  tasks:
    - block:
        - block:
            - {name: one, fail: {}}
          rescue:
            - {name: two, fail: {}}
          always:
            - {name: three, debug: {}}
      rescue:
        - {name: four, debug: {}}
""",
        "one:failed two:failed three:ok four:ok",
    ),
    "blocks hand their keywords down": (
        """
  vars: {x: play}
  tasks:
    - block:
        - {name: sees, assert: {that: "x == 'block'"}}
        - {name: own, assert: {that: "x == 'task'"}, vars: {x: task}}
        - {name: both, debug: {}, when: true}
      when: go | default(true)
      vars: {x: block}
    - block:
        - {name: out, debug: {}, when: true}
      when: false
""",
        "sees:ok own:ok both:ok out:skipped",
    ),
    "handlers run once, in their own order, when something changed": (
        """
  tasks:
    - {name: second, debug: {}, changed_when: true, notify: [two, topic]}
    - {name: again, debug: {}, changed_when: true, notify: two}
    - {name: unchanged, debug: {}, notify: three}
  handlers:
    - {name: one, debug: {}, listen: topic}
    - {name: two, debug: {}}
    - {name: three, debug: {}}
""",
        "second:changed again:changed unchanged:ok one:ok two:ok",
    ),
    "handlers are flushed where it is said, and after each section": (
        """
  pre_tasks:
    - {name: pre, debug: {}, changed_when: true, notify: h}
  tasks:
    - {name: task, debug: {}, changed_when: true, notify: h}
    - meta: flush_handlers
    - {name: last, debug: {}}
  post_tasks:
    - {name: post, debug: {}}
  handlers:
    - {name: h, debug: {}}
""",
        "pre:changed h:ok task:changed h:ok last:ok post:ok",
    ),
    "a handler may notify another": (
        """
  tasks:
    - {name: task, debug: {}, changed_when: true, notify: one}
  handlers:
    - {name: one, debug: {}, changed_when: true, notify: two}
    - {name: two, debug: {}}
""",
        "task:changed one:changed two:ok",
    ),
    "the last handler of a name wins": (
        """
  tasks:
    - {name: task, debug: {}, changed_when: true, notify: h}
  handlers:
    - {name: h, fail: {}}
    - {name: h, debug: {}}
""",
        "task:changed h:ok",
    ),
    "an unknown handler fails the task": (
        "\n  tasks:\n    - {name: t, debug: {}, changed_when: true, notify: hh}\n  handlers: [{name: h, debug: {}}]\n",
        "t:failed",
    ),
    "end_host ends it": (
        "\n  tasks:\n    - {name: t, debug: {}}\n    - meta: end_host\n      when: true\n    - {name: u, debug: {}}\n",
        "t:ok",
    ),
    "meta has conditions": (
        "\n  tasks:\n    - meta: end_play\n      when: false\n    - {name: u, debug: {}}\n",
        "u:ok",
    ),
    "module_defaults fill in what tasks leave out": (
        """
  module_defaults: {debug: {msg: default}}
  tasks:
    - {name: one, debug: {}, register: a}
    - {name: two, debug: {msg: own}, register: b}
    - {name: see, assert: {that: ["a.msg == 'default'", "b.msg == 'own'"]}}
""",
        "one:ok two:ok see:ok",
    ),
    "registers of skipped and failed tasks": (
        """
  tasks:
    - {name: s, debug: {}, when: false, register: s}
    - {name: f, fail: {msg: m}, register: f, ignore_errors: true}
    - {name: see, assert: {that: [s is skipped, "s.false_condition == 'False'", f.failed, "f.msg == 'm'"]}}
""",
        "s:skipped f:ignored see:ok",
    ),
    "no_log hides and registers all the same": (
        """
  tasks:
    - {name: s, debug: {msg: secret}, no_log: true, register: s}
    - {name: see, assert: {that: "s.msg == 'secret'"}}
""",
        "s:ok see:ok",
    ),
    "local_action and delegation": (
        """
  tasks:
    - {name: one, local_action: debug msg=hello, register: a}
    - {name: two, debug: {msg: "{{ inventory_hostname }}"}, delegate_to: localhost, register: b}
    - {name: see, assert: {that: ["a.msg == 'hello'", "b.msg == 'a'"]}}
""",
        "one:ok two:ok see:ok",
    ),
    "set_fact stays for the next play": (
        """
  tasks:
    - {name: set, set_fact: {x: 5}}
- hosts: all
  gather_facts: false
  tasks:
    - {name: see, assert: {that: x == 5}}
""",
        "set:ok see:ok",
    ),
    "a variable may be a template of another": (
        """
  vars: {x: "{{ y }}!", y: "{{ z }}"}
  tasks:
    - {name: see, assert: {that: "x == 'deep!'"}, vars: {z: deep}}
""",
        "see:ok",
    ),
    "omit leaves an argument out": (
        "\n  tasks:\n    - {name: d, debug: {msg: '{{ nope | default(omit) }}'}, register: r}\n"
        "    - {name: see, assert: {that: \"r.msg == 'Hello world!'\"}}\n",
        "d:ok see:ok",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_course_of_a_play(run, case):
    text, expected = CASES[case]
    assert course(run(HEAD + text, hosts=["a"])) == expected


def test_until_tries_again_and_counts(run):
    answers = iter([{"rc": 1, "failed": True}, {"rc": 1, "failed": True}, {"rc": 0, "stdout": "up"}])
    done = run(
        HEAD
        + """
  tasks:
    - {name: wait, command: probe, register: it, until: it is succeeded, retries: 5, delay: 0}
    - {name: see, assert: {that: [it.attempts == 3, "it.stdout == 'up'"]}}
""",
        hosts=["a"],
        answers={"a": {"command": lambda args: next(answers)}},
    )
    assert course(done) == "wait:changed see:ok"


def test_until_gives_up_after_its_retries(run):
    play = HEAD + "  tasks:\n    - {name: wait, command: x, register: it, until: it.rc == 0, retries: 2, delay: 0}\n"
    done = run(play, hosts=["a"], answers={"a": {"command": {"rc": 1, "failed": True, "msg": "no"}}})
    assert course(done) == "wait:failed"
    assert len(done.devices["a"].actions) == 3


def test_a_failed_host_owes_its_handlers_and_the_next_run_pays(run):
    play = (
        HEAD
        + """
  tasks:
    - {name: change, debug: {}, changed_when: true, notify: restart}
    - {name: fails, fail: {}, when: broken}
  handlers:
    - {name: restart, debug: {}}
"""
    )
    first = run(play, hosts=["a"], extra={"broken": True})
    assert course(first) == "change:changed fails:failed"
    owed = owed_handlers(first.journal)
    assert owed == {"a": ["restart"]}
    second = run(
        play.replace("changed_when: true", "changed_when: false"), hosts=["a"], extra={"broken": False}, owed=owed
    )
    assert course(second) == "change:ok fails:skipped restart:ok"
    assert owed_handlers(second.journal) == {}
    assert [e.handlers for e in second.seen if isinstance(e, HandlersDue)][-1] == ()


def test_force_handlers_pays_at_once(run):
    done = run(
        HEAD
        + """
  force_handlers: true
  tasks:
    - {name: change, debug: {}, changed_when: true, notify: restart}
    - {name: fails, fail: {}}
  handlers:
    - {name: restart, debug: {}}
""",
        hosts=["a"],
    )
    assert course(done) == "change:changed fails:failed restart:ok"
    assert done.ends["a"].status == "failed"


def test_ignore_unreachable_goes_on(run):
    replies = iter([ConnectError("gone"), {"ping": "pong"}])
    done = run(
        HEAD
        + """
  tasks:
    - {name: lost, ping: {}, ignore_unreachable: true, register: it}
    - {name: see, assert: {that: it.unreachable}}
    - {name: back, ping: {}}
""",
        hosts=["a"],
        answers={"a": {"ping": lambda args: next(replies)}},
    )
    assert course(done) == "lost:unreachable see:ok back:ok"
    assert done.ends["a"].status == "ok"


def test_what_the_command_line_says_wins(run):
    done = run(
        HEAD + "  vars: {x: play}\n  tasks:\n    - {name: s, assert: {that: x == 7}}\n", hosts=["a"], extra={"x": 7}
    )
    assert course(done) == "s:ok"


TAGGED = (
    HEAD
    + """
  tasks:
    - {name: a, debug: {}, tags: one}
    - block:
        - {name: b, debug: {}}
        - {name: c, debug: {}, tags: [never]}
      tags: two
    - {name: d, debug: {}, tags: always}
    - {name: e, debug: {}, changed_when: true, notify: h, tags: one}
  handlers:
    - {name: h, debug: {}, tags: one}
"""
)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, "a b d e h"),
        ({"tags": ("one",)}, "a d e h"),
        ({"tags": ("two",)}, "b c d"),
        ({"skip_tags": ("one",)}, "b d"),
        ({"start_at": "d"}, "d e h"),
        ({"start_at": "b"}, "b d e h"),
    ],
)
def test_tags_and_start_at_task(run, options, names):
    done = run(TAGGED, hosts=["a"], **options)
    assert " ".join(task for task, _ in done.tasks["a"]) == names


def test_a_refused_action_is_a_failed_task_with_its_words(run):
    play = HEAD + "  tasks:\n    - {name: c, command: x}\n"
    done = run(play, hosts=["a"], answers={"a": {"command": ActionError("no", "because", "do this")}})
    assert done.ends["a"].error["what"] == "no" and done.ends["a"].error["remedy"] == "do this"
