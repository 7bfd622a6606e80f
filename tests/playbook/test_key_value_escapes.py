"""Escapes in `name=value` arguments are read as Ansible reads them."""

import pytest

from orchestrator.playbook.keyvalue import parse_key_values, split_free_form

LINES = [
    r"msg='a\nb'",
    r'msg="{{ x.split("\n") }}"',
    r"msg='tab\there' other=\x41\u00fc",
    r"msg='back\\slash' path=C:\dir",
    r'msg="say \"x\""',
    r"regexp='^\s+\d' line=\101",
]


@pytest.mark.parametrize("line", LINES)
def test_values_are_those_of_ansible(line):
    splitter = pytest.importorskip("ansible.parsing.splitter")
    assert parse_key_values(line) == dict(splitter.parse_kv(line))


def test_a_command_line_keeps_its_backslashes_and_its_arguments_do_not():
    assert split_free_form(r"printf 'a\nb' chdir='/x\ty'", ["chdir"]) == (r"printf 'a\nb'", {"chdir": "/x\ty"})
