"""Expressions are evaluated with native types, lazily, in a sandbox."""

import pytest

from orchestrator.errors import Location, PlaybookError
from orchestrator.playbook.expressions import condition, render

VARIABLES = {"n": 4, "alias": "{{ n }}", "words": ["{{ alias }}", "b"], "facts": {"mode": None}, "yes": "yes"}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("{{ n }}", 4),
        ("{{ alias }}", 4),
        ("n is {{ alias }}", "n is 4"),
        ("{{ words }}", [4, "b"]),
        ({"k": ["{{ n + 1 }}"]}, {"k": [5]}),
        ("{{ missing | default('x') }}", "x"),
        ("{{ yes | bool }}", True),
        (7, 7),
    ],
)
def test_templates_give_native_values(template, value):
    assert render(template, VARIABLES) == value


@pytest.mark.parametrize(
    ("expression", "truth"),
    [
        ("n == 4", True),
        ("alias > 4", False),
        ("facts.mode is not none", False),
        ("missing is defined", False),
        (True, True),
    ],
)
def test_conditions(expression, truth):
    assert condition(expression, VARIABLES) is truth


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("{{ missing }}", "'missing' is undefined"),
        ("{{ n + }}", "not an expression"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{{ n / 0 }}", "division by zero"),
        ("{{ loop1 }}", "refers to itself"),
    ],
)
def test_mistakes_name_the_expression_and_its_place(template, word):
    location = Location("play.yml", 3, 7)
    with pytest.raises(PlaybookError, match=r"play\.yml:3:7") as caught:
        render(template, {**VARIABLES, "loop1": "{{ loop1 }}"}, location)
    assert word in str(caught.value)
