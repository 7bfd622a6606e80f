"""Expressions are evaluated with native types, lazily, in a sandbox."""

import pytest

from orchestrator.errors import Location, PlaybookError
from orchestrator.language.expressions import HostVars, condition, is_omitted, render
from orchestrator.values import unsafe

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


# --- data is no template ---------------------------------------------------------------------------------------------

EVIL = "{{ lookup('pipe', 'touch evil') }}"


def test_what_a_device_says_is_never_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variables = {
        "out": unsafe({"stdout": EVIL, "lines": [EVIL]}),
        "shown": "says {{ out.stdout }}",
        "same": "{{ out }}",
    }
    assert render("{{ out.stdout }}", variables) == EVIL
    assert render("{{ shown }}", variables) == f"says {EVIL}"
    assert render("{{ same.lines[0] }}", variables) == EVIL
    assert render({"a": ["{{ out.lines }}"]}, variables) == {"a": [[EVIL]]}
    assert not (tmp_path / "evil").exists()


def test_a_result_is_data_even_when_it_is_put_together_from_pieces(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    built = render("{{ '{' ~ '{ 1 + 1 }' ~ '}' }}", {})
    assert built == "{{ 1 + 1 }}"
    assert render("{{ built }}", {"built": built}) == "{{ 1 + 1 }}"
    assert render(built, {}) == "{{ 1 + 1 }}"


def test_templates_do_not_change_the_variables():
    variables = {"words": ["a"], "nested": {"list": [1]}}
    template = "{% set _ = words.append('b') %}{% set _ = nested.list.append(2) %}{% set _ = nested.update({'x': 1}) %}"
    render(template, variables)
    assert variables == {"words": ["a"], "nested": {"list": [1]}}


def test_what_is_set_inside_a_template_is_not_evaluated_again():
    variables = {"cfg": {"a": 1, "t": "{{ 1 + 1 }}"}, "data": unsafe("{{ 3 }}")}
    assert render("{% set _ = cfg.update({'b': data}) %}{{ cfg.b }} {{ cfg.t }}", variables) == "{{ 3 }} 2"


# --- lazy variables --------------------------------------------------------------------------------------------------


def test_only_what_is_used_is_evaluated():
    variables = {"cfg": {"bad": "{{ nope }}", "good": "{{ 1 }}", "deep": [{"x": "{{ nope }}"}, {"x": 2}]}}
    assert render("{{ cfg.good }}", variables) == 1
    assert render("{{ cfg.deep[1].x }} {{ cfg | length }}", variables) == "2 3"
    assert render("{% for key in cfg %}{{ key }} {% endfor %}", variables) == "bad good deep "
    with pytest.raises(PlaybookError, match="undefined"):
        render("{{ cfg.items() | list }}", variables)


def test_a_loop_over_several_variables_is_told():
    variables = {"a": "{{ b }}", "b": "{{ c.x }}", "c": {"x": "{{ a }}"}}
    with pytest.raises(PlaybookError, match="refers to itself"):
        render("{{ a }}", variables)


def test_the_variables_of_another_host_are_evaluated_against_its_own():
    hosts = {"a": {"n": 1, "url": "http://{{ n }}"}, "b": {"n": 2, "url": "http://{{ n }}"}}
    variables = {**hosts["a"], "hostvars": HostVars(["a", "b"], hosts.__getitem__)}
    assert render("{{ hostvars.b.url }} {{ hostvars['a'].url }} {{ url }}", variables) == "http://2 http://1 http://1"
    assert render("{{ ['a', 'b'] | map('extract', hostvars, 'n') | list }}", variables) == [1, 2]
    assert render("{{ hostvars['c'].url | default('none') }} {{ 'b' in hostvars }}", variables) == "none True"


def test_omit_leaves_out_elements_and_whole_values():
    assert render({"a": "{{ omit }}", "b": ["{{ omit }}", 1]}, {}) == {"b": [1]}
    assert is_omitted(render("{{ x | default(omit) }}", {}))
    assert not is_omitted(render("{{ x | default(omit) }}", {"x": None}))


def test_random_numbers_are_drawn_anew_each_time():
    drawn = {render("{{ 1000000 | random }}", {}) for _ in range(20)}
    assert len(drawn) > 1


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("{{ 1 | jsonquery }}", "no filter 'jsonquery'"),
        ("{{ x | combien }}", "did you mean 'combine'"),
        ("{{ 'x' | password_hash('sha512') }}", "vault"),
        ("{{ x | json_query('a') }}", "selectattr"),
        ("{{ x is defind }}", "did you mean 'defined'"),
        ("{{ lookup('fille', 'x') }}", "did you mean 'file'"),
        ("{{ lookup('password', 'x') }}", "fleet vault"),
        ("{{ lookup('file', 'nope.txt') }}", "no file 'nope.txt'; looked for"),
        ("{{ lookup('pipe', 'echo no >&2; exit 3') }}", "exit code 3: no"),
        ("{{ 'a' | human_to_bytes }}", "not an amount"),
        ("{{ [1] | combine({}) }}", "combine: it combines mappings"),
        ("{{ 'x' is version('1', '~') }}", "is not one of"),
    ],
)
def test_mistakes_with_filters_and_lookups_say_what_helps(template, word):
    with pytest.raises(PlaybookError) as caught:
        render(template, {"x": {}})
    assert word in str(caught.value)


def test_a_condition_that_is_neither_true_nor_false_says_what_it_is():
    with pytest.raises(PlaybookError, match="neither true nor false") as caught:
        condition("name", {"name": "nano"}, Location("play.yml", 4, 7))
    assert "'nano'" in caught.value.why and "bool" in caught.value.remedy and caught.value.location.line == 4
