"""Playbooks are read as Ansible's, and mistakes are shown where they stand."""

from pathlib import Path

import pytest

from orchestrator.errors import PlaybookError
from orchestrator.playbook.parse import load_playbook, selected

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "play.yml"
        path.write_text(text)
        return load_playbook(path)

    return load


@pytest.mark.parametrize("path", sorted(PLAYBOOKS.glob("*.yml")), ids=lambda p: p.stem)
def test_every_shipped_playbook_loads(path):
    assert load_playbook(path)


def test_a_play_with_all_that_is_supported(load):
    (play,) = load("""
- name: Look
  hosts: [nano, orin]
  gather_facts: false
  become: true
  vars: {x: 1}
  tags: look
  tasks:
    - name: Say
      debug: {msg: "{{ x }}"}
      when: [x == 1, true]
      register: said
      tags: [say]
    - ansible.builtin.command: uptime
      args: {chdir: /tmp}
      ignore_errors: true
""")
    say, uptime = play.tasks
    assert (play.hosts, play.gather_facts, play.settings.become) == ("nano:orin", False, True)
    assert (say.tags, say.register, len(say.when)) == ({"say", "look"}, "said", 2)
    assert uptime.module.name == "command"
    assert uptime.args == {"cmd": "uptime", "chdir": "/tmp"}
    assert uptime.name == "ansible.builtin.command"


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("- hosts: all\n  taks: []\n", (2, 3), ["unknown keyword of a play 'taks'", "did you mean 'tasks'?"]),
        ("- hosts: all\n  tasks:\n    - debgu: {msg: x}\n", (3, 7), ["'debgu'", "did you mean 'debug'?"]),
        ("- hosts: all\n  tasks:\n    - debug: {mgs: x}\n", (3, 15), ["no argument 'mgs'", "did you mean 'msg'?"]),
        ("- hosts: all\n  tasks:\n    - debug: {}\n      whn: true\n", (4, 7), ["'whn'", "did you mean 'when'?"]),
        ("- hosts: all\n  tasks:\n    - name: nothing\n", (3, 7), ["exactly one module"]),
        ("- hosts: all\n  tasks:\n    - debug: {}\n      fail: {}\n", (3, 7), ["it names debug, fail"]),
        ("- hosts: all\n  tasks:\n    - assert: {}\n", (3, 7), ["assert needs that"]),
        ("- tasks: []\n", (1, 3), ["a play needs hosts"]),
        ("hosts: all\n", (1, 1), ["a list of plays"]),
        ("- hosts: all\n  tasks:\n   - debug: {\n", (4, 1), ["not valid YAML"]),
    ],
)
def test_mistakes_end_at_their_line_and_column_with_the_nearest_word(load, text, where, words):
    with pytest.raises(PlaybookError) as caught:
        load(text)
    error = caught.value
    assert (error.location.line, error.location.column) == where
    for word in words:
        assert word in str(error)


def test_tags_select_as_in_ansible(load):
    (play,) = load("""
- hosts: all
  tasks:
    - {name: a, debug: {}, tags: [x]}
    - {name: b, debug: {}, tags: [y]}
    - {name: c, debug: {}, tags: [always]}
    - {name: d, debug: {}, tags: [never, z]}
    - {name: e, debug: {}}
""")

    def names(only=(), skip=()):
        return "".join(task.name for task in selected(play.tasks, only, skip))

    assert names() == "abce"
    assert names(["x"]) == "ac"
    assert names(skip=["x"]) == "bce"
    assert names(["z"]) == "cd"
    assert names(["tagged"]) == "abc"
    assert names(["all"], ["always"]) == "abe"
