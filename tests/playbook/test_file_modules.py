"""Modules of commands, files, downloads and sources: their arguments, and a whole play of them."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from device_agent import actions
from orchestrator.errors import PlaybookError
from orchestrator.playbook.modules import checked, find_module
from orchestrator.playbook.modules.families import FAMILIES

REPOSITORY = Path(__file__).resolve().parents[2]
FAMILY = sorted(name for name, family in FAMILIES.items() if family in ("commands", "copying", "files", "net", "scm"))
PLACEHOLDERS = {
    "str": "x",
    "path": "/x",
    "int": 1,
    "float": 1,
    "bool": True,
    "list": ["x"],
    "dict": {"a": "b"},
    "any": "0644",
}
# What only the controller looks at.
HERE = {
    "command": {"executable"},
    "copy": {"content", "decrypt"},
    "unarchive": {"copy", "decrypt"},
    "template": {"output_encoding", "newline_sequence", "trim_blocks", "lstrip_blocks"}
    | {f"{kind}_{end}_string" for kind in ("block", "variable", "comment") for end in ("start", "end")},
}
BROUGHT = ("script", "template")


class Where:
    check = False
    variables = {}

    class task:
        location = None


@pytest.mark.parametrize("name", [name for name in FAMILY if find_module(name).action and name not in BROUGHT])
def test_every_argument_of_a_module_is_one_of_its_action(name):
    module = find_module(name)
    given = {
        key: argument.choices[0] if argument.choices else PLACEHOLDERS[argument.type]
        for key, argument in module.arguments.items()
    }
    given.update({"status_code": [200]} if name == "uri" else {})
    for other in {"command": ["argv"], "copy": ["content"]}.get(name, []):
        given.pop(other)
    sent = {key: value for key, value in module.prepare(Where, checked(module, given)).items() if value is not None}
    assert set(sent) <= set(actions.find(module.action).schema)
    assert set(given) - HERE.get(name, set()) <= set(sent)


@pytest.mark.parametrize("name", [name for name in FAMILY if find_module(name).action])
def test_defaults_are_what_the_action_would_take_anyway(name):
    module = find_module(name)
    for key, argument in actions.find(module.action).schema.items():
        declared = module.arguments.get(key)
        if declared is None or declared.default is None or argument.default is None or key in HERE.get(name, ()):
            continue
        default = list(argument.default) if isinstance(argument.default, tuple) else argument.default
        assert declared.default == default, key


@pytest.mark.parametrize(
    "name, args, said",
    [
        ("command", {}, "cmd or argv"),
        ("command", {"cmd": "a", "argv": ["b"]}, "cmd or argv"),
        ("copy", {"dest": "/x"}, "src or content"),
        ("copy", {"dest": "/x", "src": "a", "content": "b"}, "src or content"),
        ("copy", {"dest": "/x/", "content": "b"}, "file's name"),
        ("copy", {"dest": "/x", "src": "no/such/file"}, "there is no no/such/file"),
        ("template", {"dest": "/x", "src": "no.j2"}, "there is no no.j2"),
        ("script", {"cmd": "no/such.sh a"}, "there is no no/such.sh"),
        ("script", {"cmd": "'open"}, "cannot run"),
        ("uri", {"url": "x", "body_format": "yaml"}, "yaml"),
        ("file", {"path": "/x", "state": "there"}, "there"),
    ],
)
def test_what_makes_no_sense_is_refused_on_the_controller(name, args, said):
    module = find_module(name)
    with pytest.raises(PlaybookError) as caught:
        module.prepare(Where, checked(module, args))
    assert said in f"{caught.value.what} {caught.value.why}"


@pytest.mark.parametrize(
    "name, alias, argument",
    [
        ("file", "dest", "path"),
        ("file", "name", "path"),
        ("lineinfile", "destfile", "path"),
        ("lineinfile", "regex", "regexp"),
        ("lineinfile", "value", "line"),
        ("blockinfile", "content", "block"),
        ("stat", "mime", "get_mime"),
        ("find", "pattern", "patterns"),
        ("slurp", "path", "src"),
        ("uri", "user", "url_username"),
        ("git", "name", "repo"),
    ],
)
def test_names_that_ansible_knows_an_argument_by_are_known(name, alias, argument):
    assert find_module(name).argument(alias) == argument


def test_a_script_s_words_go_to_the_shell_as_they_are_written(tmp_path):
    (tmp_path / "my script.sh").write_text("#!/bin/sh\n")

    class Here(Where):
        variables = {"playbook_dir": str(tmp_path)}

    module = find_module("script")
    sent = module.prepare(Here, checked(module, {"cmd": "'my script.sh' 'a b' $HOME"}))
    assert sent["words"] == "'a b' $HOME" and sent["content_base64"]


PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - file: {path: "{{ out }}/un", state: directory}
    - copy: {src: hello.txt, dest: "{{ out }}/", mode: "0600"}
    - copy: {src: tree, dest: "{{ out }}", mode: preserve}
    - copy: {src: tree/, dest: "{{ out }}/inside"}
    - copy: {src: big.bin, dest: "{{ out }}/big"}
    - copy: {content: "{{ {'a': [1]} }}", dest: "{{ out }}/data.json"}
      register: copied
    - template: {src: page.j2, dest: "{{ out }}/page", mode: "u=rw,go=r"}
    - command: cat {{ out }}/page chdir=/
      register: cat
      changed_when: false
    - assert:
        that: [cat.rc == 0, "cat.stdout_lines == ['on board', 'n1', 'n2']", "copied.checksum is defined"]
      when: not ansible_check_mode
    - script: s.sh 'x y'
      register: said
      changed_when: false
    - fetch: {src: "{{ out }}/big", dest: got}
      when: not ansible_check_mode
    - unarchive: {src: big.tar.gz, dest: "{{ out }}/un"}
      when: not ansible_check_mode
    - shell: exit 3
      register: failed
      ignore_errors: true
    - assert: {that: ["said.stdout == 'script x y'", failed.rc == 3, "failed.msg == 'non-zero return code'"]}
      when: not ansible_check_mode
"""


@pytest.fixture
def project(tmp_path):
    files = tmp_path / "files"
    (files / "tree/sub").mkdir(parents=True)
    (tmp_path / "templates").mkdir()
    (files / "hello.txt").write_text("hello\n")
    (files / "tree/sub/tool").write_text("#!/bin/sh\n")
    (files / "tree/sub/tool").chmod(0o755)
    (files / "big.bin").write_bytes(os.urandom(300_000))
    (files / "s.sh").write_text("#!/bin/sh\necho script $1\n")
    with tarfile.open(files / "big.tar.gz", "w:gz") as archive:
        archive.add(files / "big.bin", "big.bin")
    text = "on {{ inventory_hostname }}\n{% for i in [1, 2] %}\nn{{ i }}\n{% endfor %}\n"
    (tmp_path / "templates/page.j2").write_text(text)
    (tmp_path / "play.yml").write_text(PLAY)
    board = {"ansible_connection": "local", "fleet_root": str(tmp_path / "root"), "out": str(tmp_path / "out")}
    board["ansible_python_interpreter"] = sys.executable
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"board": board}}}))
    return tmp_path


def play(project, *options):
    command = [
        sys.executable,
        "-m",
        "orchestrator",
        "play",
        "play.yml",
        "-i",
        "hosts.yml",
        "--json",
        "told.json",
        *options,
    ]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((project / "told.json").read_text())["hosts"]["board"]["tasks"]


def test_a_play_of_files_and_commands_from_end_to_end(project):
    foretold = play(project, "--check")
    assert not (project / "out").exists() and not (project / "root").exists()
    assert foretold["changed"] == 7 and foretold["failed"] == 0
    tasks = play(project)
    assert (tasks["changed"], tasks["failed"]) == (9, 0)
    out = project / "out"
    assert (out / "hello.txt").stat().st_mode & 0o777 == 0o600
    assert (out / "tree/sub/tool").stat().st_mode & 0o777 == 0o755
    assert (out / "inside/sub/tool").read_text() == "#!/bin/sh\n"
    assert json.loads((out / "data.json").read_text()) == {"a": [1]}
    big = (project / "files/big.bin").read_bytes()
    assert (out / "big").read_bytes() == big and (out / "un/big.bin").read_bytes() == big
    assert (project / "got/board" / str(out / "big").lstrip("/")).read_bytes() == big
    again = play(project)
    assert (again["changed"], again["failed"]) == (0, 0)
