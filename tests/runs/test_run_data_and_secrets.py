"""In a whole run, what devices say is never evaluated, and what a vault holds never shows."""

import json

import pytest

from orchestrator import values
from orchestrator.inventory import vault

EVIL = "{{ lookup('pipe', 'touch evil') }}"

PLAY = """
- hosts: all
  vars:
    shown: "it says {{ out.stdout }}"
    alias: "{{ out }}"
  tasks:
    - {command: show, register: out}
    - {debug: {msg: "{{ out.stdout }}"}}
    - {debug: {var: out.stdout}}
    - {debug: {msg: "{{ shown }} {{ alias.stdout }} {{ hostvars[inventory_hostname].out.stdout }}"}}
    - {set_fact: {kept: "{{ out.stdout }}"}}
    - {debug: {msg: "{{ kept }} {{ ansible_facts.hostname }}"}}
    - {debug: {msg: "{{ item }}"}, loop: "{{ out.stdout_lines }}"}
    - {command: {argv: ["echo", "{{ kept }}"]}}
"""


@pytest.fixture(autouse=True)
def no_secrets_are_left(monkeypatch):
    monkeypatch.setattr(values, "_revealed", set())
    yield
    vault.use([])


def test_what_a_device_says_is_never_run_on_the_controller(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = {"command": {"rc": 0, "stdout": EVIL, "stdout_lines": [EVIL], "stderr": ""}}
    done = run(PLAY, hosts=("a",), answers={"*": said})
    assert {status for _, status in done.tasks["a"]} == {"ok", "changed"}
    assert not (tmp_path / "evil").exists()
    command, args = done.devices["a"].actions[-1]
    assert command == "command" and EVIL in json.dumps(args)


def test_facts_of_a_device_are_data_too(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("orchestrator.playbook.context.resolve", lambda raw: {**raw, "hostname": EVIL})
    done = run("- hosts: all\n  tasks:\n    - debug: {msg: '{{ ansible_facts.hostname }}'}\n", hosts=("a",))
    assert done.messages["a"]["debug"] == EVIL
    assert not (tmp_path / "evil").exists()


def test_a_vaulted_value_reaches_the_device_and_no_report(run, tmp_path):
    password = vault.Password("default", b"pw")
    vault.use([password])
    body = "".join(f"        {line}\n" for line in vault.encrypt(b"hunter22", password).splitlines())
    inventory = f"all:\n  hosts:\n    a:\n  vars:\n    pw: !vault |\n{body}"
    play = """
- hosts: all
  tasks:
    - {command: "login {{ pw }}", register: out}
    - {debug: {msg: "the password is {{ pw }}"}}
    - {debug: {var: pw}}
    - {fail: {msg: "wrong: {{ out.stdout }}"}}
"""
    said = {"command": lambda args: {"rc": 0, "stdout": json.dumps(args), "stderr": ""}}
    done = run(play, hosts=("a",), inventory=inventory, answers={"*": said})
    assert "hunter22" in json.dumps(done.devices["a"].actions)
    assert done.messages["a"]["debug"] in ("the password is ***", "pw: ***")
    assert "***" in done.journal.read_text() and "hunter22" not in done.journal.read_text()
    assert "hunter22" not in str(done.seen)
