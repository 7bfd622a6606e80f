"""Roles, includes, imports and variables of every place, as Ansible finds and ranks them."""

import pytest

from orchestrator.errors import PlaybookError


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def course(done, host="a"):
    return " ".join(f"{task}:{status}" for task, status in done.tasks[host])


HEAD = "- hosts: all\n  gather_facts: false\n"

ROLES = {
    "roles/base/defaults/main.yml": "who: base default\nonly: base\n",
    "roles/base/vars/main.yml": "base_var: from base\n",
    "roles/base/tasks/main.yml": "- {name: base, debug: {msg: '{{ who }} {{ role_name }}'}, register: base_said}\n",
    "roles/app/meta/main.yml": "dependencies: [base]\n",
    "roles/app/defaults/main.yml": "who: app default\n",
    "roles/app/tasks/main.yml": """
- name: app
  debug: {msg: "{{ who }} {{ only }} {{ base_var }}"}
  register: app_said
  changed_when: true
  notify: app h
- import_tasks: more.yml
""",
    "roles/app/tasks/more.yml": "- {name: more, debug: {msg: '{{ role_path | basename }}'}, register: more_said}\n",
    "roles/app/tasks/other.yml": "- {name: other, debug: {}}\n",
    "roles/app/handlers/main.yml": "- {name: app h, debug: {}}\n",
}


def test_roles_bring_dependencies_defaults_variables_and_handlers(run, tmp_path):
    write(tmp_path, ROLES)
    done = run(
        HEAD
        + """
  roles: [app, {role: base, tags: x}]
  tasks:
    - name: see
      assert:
        that:
          - base_said.msg == 'app default base' or base_said.msg == 'base default base'
          - app_said.msg == 'app default base from base'
          - more_said.msg == 'app'
          - ansible_play_role_names == ['app', 'base']
""",
        hosts=["a"],
    )
    assert course(done) == "base : base:ok app : app:changed app : more:ok see:ok app : app h:ok"


def test_a_role_runs_again_with_other_words(run, tmp_path):
    write(tmp_path, ROLES)
    done = run(HEAD + "  roles: [base, {role: base, who: parameter}, base]\n", hosts=["a"])
    assert course(done) == "base : base:ok base : base:ok"
    assert done.messages["a"]["base : base"] == "parameter base"


def test_include_role_and_its_files(run, tmp_path):
    write(tmp_path, ROLES)
    done = run(
        HEAD
        + """
  tasks:
    - include_role: {name: "{{ r }}", tasks_from: other.yml}
      vars: {r: app}
    - {name: hidden, assert: {that: who is undefined}}
    - include_role: {name: base, public: true}
    - {name: seen, assert: {that: who == 'base default'}}
""",
        hosts=["a"],
    )
    assert course(done) == (
        "include_role:ok base : base:ok app : other:ok hidden:ok include_role:ok base : base:ok seen:ok"
    )


def test_include_tasks_loops_and_its_variables_win(run, tmp_path):
    write(tmp_path, {"part.yml": "- {name: part, debug: {msg: '{{ item }} {{ x }}'}, register: said}\n"})
    done = run(
        HEAD
        + """
  tasks:
    - set_fact: {x: fact}
    - name: parts
      include_tasks: part.yml
      loop: [1, 2]
      vars: {x: include}
    - {name: see, assert: {that: "said.msg == '2 include'"}}
    - {name: none, include_tasks: "{{ missing }}.yml", when: false}
""",
        hosts=["a"],
    )
    assert course(done) == "set_fact:ok parts:ok part:ok part:ok see:ok none:skipped"


def test_import_hands_everything_down_and_include_does_not(run, tmp_path):
    write(tmp_path, {"part.yml": "- {name: part, debug: {}}\n"})
    text = HEAD + "  tasks:\n    - {HOW: part.yml, tags: t, when: yes_no}\n"
    imported = run(text.replace("HOW", "import_tasks"), hosts=["a"], extra={"yes_no": False})
    assert course(imported) == "part:skipped"
    included = run(text.replace("HOW", "include_tasks"), hosts=["a"], extra={"yes_no": True}, tags=("t",))
    assert course(included) == "include_tasks:ok"
    imported = run(text.replace("HOW", "import_tasks"), hosts=["a"], extra={"yes_no": True}, tags=("t",))
    assert course(imported) == "part:ok"


def test_apply_hands_down(run, tmp_path):
    write(tmp_path, {"part.yml": "- {name: part, debug: {}}\n"})
    text = "  tasks:\n    - {include_tasks: {file: part.yml, apply: {tags: t, when: false}}, tags: t}\n"
    assert course(run(HEAD + text, hosts=["a"], tags=("t",))) == "include_tasks:ok part:skipped"


def test_a_file_may_include_itself_with_an_end(run, tmp_path):
    # A variable that refers to itself has no value, in Ansible too: the count goes through set_fact.
    write(
        tmp_path,
        {
            "down.yml": "- {name: 'n', debug: {}}\n- {name: less, set_fact: {n: '{{ n | int - 1 }}'}}\n"
            "- {name: again, include_tasks: down.yml, when: n | int > 0}\n"
        },
    )
    done = run(HEAD + "  tasks: [{name: s, set_fact: {n: 2}}, {name: i, include_tasks: down.yml}]\n", hosts=["a"])
    assert course(done) == "s:ok i:ok n:ok less:ok again:ok n:ok less:ok again:skipped"


def test_playbooks_import_playbooks(run, tmp_path):
    write(
        tmp_path,
        {"sub/inner.yml": HEAD + "  tasks: [{name: in, debug: {msg: '{{ x }} {{ playbook_dir | basename }}'}}]\n"},
    )
    done = run(
        "- {import_playbook: sub/inner.yml, vars: {x: outer}, when: go}\n" + HEAD, hosts=["a"], extra={"go": True}
    )
    assert done.messages["a"]["in"] == "outer sub"


PLACES = [
    ("role default", {"roles/r/defaults/main.yml": "x: role default\n"}),
    ("inventory group", {}),
    ("group_vars", {"group_vars/all.yml": "x: group_vars\n"}),
    ("host_vars", {"host_vars/a.yml": "x: host_vars\n"}),
    ("play vars", {}),
    ("vars_files", {"vars/file.yml": "x: vars_files\n"}),
    ("role vars", {"roles/r/vars/main.yml": "x: role vars\n"}),
    ("block vars", {}),
    ("task vars", {}),
    ("include_vars", {"vars/included.yml": "x: include_vars\n"}),
    ("set_fact", {}),
    ("role params", {}),
    ("include params", {}),
    ("extra vars", {}),
]


@pytest.mark.parametrize("top", range(len(PLACES)), ids=[name for name, _ in PLACES])
def test_precedence_is_ansibles(run, tmp_path, top):
    """With the variable in every place up to `top`, that place wins."""
    here = {name for name, _ in PLACES[: top + 1]}
    for _, files in PLACES[: top + 1]:
        write(tmp_path, files)
    see = "- {name: see, debug: {msg: '{{ x }}'}%s}" % (", vars: {x: task vars}" if "task vars" in here else "")
    block_vars = "  vars: {x: block vars}\n" if "block vars" in here else ""
    include_vars = "  vars: {x: include params}\n" if "include params" in here else ""
    before = "- include_vars: included.yml\n" if "include_vars" in here else ""
    before += "- set_fact: {x: set_fact}\n" if "set_fact" in here else ""
    inner = f"- block:\n    {see}\n{block_vars}"
    write(
        tmp_path,
        {
            "roles/r/tasks/main.yml": f"{before}- include_tasks: inner.yml\n{include_vars}",
            "roles/r/tasks/inner.yml": inner,
        },
    )
    play = "- hosts: all\n  gather_facts: false\n"
    play += "  vars: {x: play vars}\n" if "play vars" in here else ""
    play += "  vars_files: [file.yml]\n" if "vars_files" in here else ""
    play += "  roles: [{role: r%s}]\n" % (", x: role params" if "role params" in here else "")
    inventory = "all: {hosts: {a: }, vars: {%s}}\n" % ("x: inventory group" if "inventory group" in here else "")
    extra = {"x": "extra vars"} if "extra vars" in here else None
    done = run(play, inventory=inventory, extra=extra)
    assert done.messages["a"]["r : see"] == PLACES[top][0]


def test_magic_variables(run, tmp_path):
    done = run(
        """
- hosts: some
  gather_facts: false
  name: the play
  vars: {own: "{{ inventory_hostname }}!"}
  tasks:
    - name: see
      assert:
        that:
          - inventory_hostname == 'a.b' and inventory_hostname_short == 'a'
          - groups.some == ['a.b', 'c'] and group_names == ['some']
          - hostvars['c'].own is undefined
          - hostvars['c'].only_c == 1
          - ansible_play_hosts == ['a.b', 'c'] and ansible_play_batch == ansible_play_hosts
          - ansible_play_name == 'the play' and playbook_dir is directory
          - not ansible_check_mode and not ansible_diff_mode and ansible_verbosity == 0 and ansible_forks == 20
          - ansible_run_tags == ['all'] and ansible_skip_tags == []
          - vars['own'] == 'a.b!'
          - ansible_version.major == 2
      when: inventory_hostname == 'a.b'
""",
        inventory="some: {hosts: {a.b: , c: {only_c: 1}}}\n",
    )
    assert done.ends["a.b"].error is None
    assert course(done, "a.b") == "see:ok"


def test_facts_have_both_names(run):
    done = run(
        """
- hosts: all
  tasks:
    - name: see
      assert:
        that: [ansible_facts.distribution == 'Ubuntu', ansible_distribution == 'Ubuntu', ansible_facts.virtual]
    - meta: clear_facts
    - {name: gone, assert: {that: ansible_facts.distribution is undefined}}
""",
        hosts=["a"],
        answers={"a": {"setup": {"ansible_facts": {"ansible_distribution": "Ubuntu"}}}},
    )
    assert course(done) == "see:ok gone:ok"


MISTAKES = [
    ("- hosts: all\n  roles: [nope]\n", (2, 11), "no role 'nope'"),
    ("- hosts: all\n  tasks:\n    - import_tasks: nope.yml\n", (3, 7), "no file of tasks 'nope.yml'"),
    ("- hosts: all\n  tasks:\n    - include_tasks: nope.yml\n", (3, 7), "no file of tasks 'nope.yml'"),
    ("- hosts: all\n  vars_files: [nope.yml]\n", (2, 16), "no file of variables"),
    ("- import_playbook: nope.yml\n", (1, 3), "no playbook 'nope.yml'"),
    ("- hosts: all\n  strategy: debug\n", (2, 3), "strategy cannot be 'debug'"),
    ("- hosts: all\n  serial: [1, many]\n", (2, 3), "serial cannot be 'many'"),
    ("- hosts: all\n  vars_prompt: []\n", (2, 3), "not supported"),
    ("- hosts: all\n  tasks:\n    - mount: {}\n", (3, 7), "it comes later"),
    ("- hosts: all\n  tasks:\n    - community.general.modprobe: {}\n", (3, 7), "it comes later"),
    ("- hosts: all\n  tasks:\n    - {debug: {}, throttle: 1}\n", (3, 19), "not supported"),
    ("- hosts: all\n  tasks:\n    - {debug: {}, with_sequence: x}\n", (3, 19), "loop over range"),
    (
        "- hosts: all\n  tasks:\n    - {debug: {}, loop: [1], loop_control: {lable: x}}\n",
        (3, 45),
        "did you mean 'label'?",
    ),
    ("- hosts: all\n  tasks:\n    - {debug: {}, register: 'a b'}\n", (3, 19), "cannot be the name of a variable"),
    ("- hosts: all\n  tasks:\n    - {debug: {}, become_method: su}\n", (3, 19), "become_method cannot be 'su'"),
    ("- hosts: all\n  tasks:\n    - meta: end_all\n", (3, 7), "meta cannot be 'end_all'"),
    ("- hosts: all\n  tasks:\n    - {block: [], until: x}\n", (3, 19), "keyword of a block"),
    ("- hosts: all\n  tasks:\n    - {include_role: {name: x}, notify: y}\n", (3, 33), "keyword of include_role"),
    ("- hosts: all\n  tasks:\n    - debug: {verbosity: loud}\n", (3, 15), "verbosity cannot be 'loud'"),
    ("- hosts: all\n  tasks:\n    - debug: msg hello\n", (3, 7), "is not name=value"),
    ("- hosts: all\n  module_defaults: {debug: {mgs: x}}\n", (2, 29), "no argument 'mgs'"),
    ("- hosts: all\n  tasks:\n    - {debug: {}, delegate_facts: true}\n", (3, 19), "not supported"),
]


@pytest.mark.parametrize(("text", "where", "words"), MISTAKES, ids=[words for _, _, words in MISTAKES])
def test_mistakes_are_refused_before_anything_runs(run, text, where, words):
    with pytest.raises(PlaybookError) as caught:
        run(text, hosts=["a"])
    location = caught.value.location
    assert words in str(caught.value)
    assert (location.line, location.column) == where
