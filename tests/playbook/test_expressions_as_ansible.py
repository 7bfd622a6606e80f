"""Expressions give what Ansible gives: filters, tests, lookups, native types, undefined values."""

from __future__ import annotations

import json

import pytest
from expressions_golden import ENVIRONMENT, FOLDER, GOLDEN, ask_ansible, conditions, portable, tables, variables

from orchestrator.errors import PlaybookError
from orchestrator.language.expressions import condition, render

EXPECTED = json.loads(GOLDEN.read_text())
CASES = [
    pytest.param(template, answer, id=f"{table}-{number}")
    for table, templates in tables().items()
    for number, (template, answer) in enumerate(zip(templates, EXPECTED.get(table, []), strict=True))
]


@pytest.mark.parametrize(("template", "answer"), CASES)
def test_an_expression_gives_what_it_gives_in_ansible(template, answer, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    known = {**variables(), "ansible_search_path": [str(FOLDER)]}
    if "error" in answer:
        with pytest.raises(PlaybookError):
            render(template, known)
    else:
        assert portable(render(template, known)) == answer["value"]


@pytest.mark.parametrize(("text", "answer"), list(zip(conditions(), EXPECTED["conditions"], strict=True)))
def test_a_condition_has_the_truth_it_has_in_ansible(text, answer):
    if "error" in answer:
        with pytest.raises(PlaybookError):
            condition(text, variables())
    else:
        assert condition(text, variables()) is answer["value"]


def test_the_recorded_answers_are_those_of_the_ansible_installed_here():
    pytest.importorskip("ansible")
    assert ask_ansible() == EXPECTED
