"""Template files become the text that Ansible makes of them."""

from __future__ import annotations

import pytest

from orchestrator.errors import PlaybookError
from orchestrator.inventory import vault
from orchestrator.language.templating import TemplateOptions, render_file

VARIABLES = {"n": 4, "alias": "{{ n }}", "words": ["a", "b"], "name": "nano"}

# Text of the file, options, what it becomes. The results are those of Ansible 2.19's template module.
CASES = {
    "plain": ("no template\n", {}, "no template\n"),
    "no newline at the end": ("x {{ n }}", {}, "x 4"),
    "several newlines at the end": ("{{ n }}\n\n\n", {}, "4\n\n\n"),
    "empty": ("", {}, ""),
    "nothing left": ("{% if false %}x{% endif %}", {}, ""),
    "only a comment": ("{# x #}\n", {}, ""),
    "lazy": ("{{ alias }}{{ none }}\n", {}, "4"),
    "blocks are trimmed": ("{% for w in words %}\n- {{ w }}\n{% endfor %}\nend\n", {}, "- a\n- b\nend\n"),
    "blocks are not trimmed": ("{% if n %}\nx\n{% endif %}\n", {"trim_blocks": False}, "\nx\n"),
    "blanks before blocks": ("  {% if n %}\nx\n  {% endif %}\n", {}, "  x\n  \n"),
    "no blanks before blocks": ("  {% if n %}\nx\n  {% endif %}\n", {"lstrip_blocks": True}, "x\n"),
    "newlines of Windows": ("a\n{{ n }}\n", {"newline_sequence": "\\r\\n"}, "a\r\n4\r\n"),
    "delimiters": ("[[ n ]] {{ n }}", {"variable_start_string": "[[", "variable_end_string": "]]"}, "4 {{ n }}"),
    "escapes": ("{{ 'a\\tb' }} {{ 'x' | regex_replace('(x)', '\\\\1y') }}\n", {}, "a\tb xy\n"),
    "header": ("#jinja2: lstrip_blocks: True, trim_blocks: False\n  {% if n %}x{% endif %}\n\n", {}, "x\n\n"),
    "managed": ("# {{ ansible_managed }}\n", {}, "# Ansible managed\n"),
    "where": ("{{ template_path }} {{ template_destpath }} {{ template_fullpath | basename }}", {}, "f.j2 /etc/x f.j2"),
    "include": ("{% include 'part.j2' %}!\n", {}, "part of nano!\n"),
    "import": ("{% import 'macros.j2' as m %}{{ m.twice('ab') }}\n", {}, "abab\n"),
    "extends": ("{% extends 'base.j2' %}{% block body %}{{ name }}{% endblock %}\n", {}, "<nano>\n"),
    "types": ("{{ true }} {{ words }} {{ {'a': none} }} {{ 1.0 }}", {}, "True ['a', 'b'] {'a': None} 1.0"),
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "part.j2").write_text("part of {{ name }}\n")
    (tmp_path / "templates" / "macros.j2").write_text("{% macro twice(x) %}{{ x }}{{ x }}{% endmacro %}\n")
    (tmp_path / "templates" / "base.j2").write_text("<{% block body %}{% endblock %}>\n")
    return tmp_path


@pytest.mark.parametrize(("text", "options", "result"), CASES.values(), ids=CASES)
def test_a_file_becomes_the_text_that_ansible_makes(folder, text, options, result):
    path = folder / "templates" / "f.j2"
    path.write_bytes(text.encode())
    known = {**VARIABLES, "playbook_dir": str(folder)}
    assert render_file(path, known, TemplateOptions(**options), source="f.j2", destination="/etc/x") == result


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("where", "managed")])
def test_the_results_are_those_of_the_ansible_installed_here(folder, name):
    template = pytest.importorskip("ansible.template")
    from ansible.parsing.dataloader import DataLoader

    text, options, result = CASES[name]
    options = {"trim_blocks": True, **options}
    if "newline_sequence" in options:
        options["newline_sequence"] = "\r\n"
    loader = DataLoader()
    loader.set_basedir(str(folder))
    known = {key: template.trust_as_template(v) if isinstance(v, str) else v for key, v in VARIABLES.items()}
    templar = template.Templar(loader, known).copy_with_new_env(searchpath=[str(folder / "templates")])
    found = templar.template(template.trust_as_template(text), escape_backslashes=False, overrides=options)
    assert ("" if found is None else str(found)) == result


MISTAKES = {
    "undefined": ("a\n\n{{ nope.x }}\n", 3, "'nope' is undefined"),
    "after a header": ("#jinja2: trim_blocks: True\na\n{{ nope }}\n", 3, "'nope' is undefined"),
    "syntax": ("a\n{% if %}\n", 2, "Expected an expression"),
    "unclosed": ("{% if n %}\nx\n", 2, "endif"),
    "type": ("a\n{{ 1 + 'x' }}\n", 2, "TypeError"),
    "filter": ("{{ n }}\n{{ n | upperr }}\n", 2, "no filter 'upperr'"),
    "include": ("\n{% include 'nope.j2' %}\n", 2, "templates"),
    "header": ("#jinja2: trim_block: True\n", 1, "trim_blocks"),
    "header's value": ("#jinja2: trim_blocks: yes\n", 1, "Python constant"),
}


@pytest.mark.parametrize(("text", "line", "why"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_shown_at_its_line(folder, text, line, why):
    path = folder / "f.j2"
    path.write_text(text)
    with pytest.raises(PlaybookError) as caught:
        render_file(path, {**VARIABLES, "playbook_dir": str(folder)})
    assert caught.value.location.file == str(path)
    assert caught.value.location.line == line
    assert why in caught.value.why
    assert caught.value.location.text == text.splitlines()[line - 1]


def test_a_mistake_in_an_included_file_is_shown_there(folder):
    (folder / "templates" / "part.j2").write_text("fine\n{{ nope }}\n")
    (folder / "f.j2").write_text("\n\n\n{% include 'part.j2' %}\n")
    with pytest.raises(PlaybookError) as caught:
        render_file(folder / "f.j2", {"playbook_dir": str(folder)})
    assert (caught.value.location.file, caught.value.location.line) == (str(folder / "templates" / "part.j2"), 2)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(PlaybookError, match="cannot read"):
        render_file(tmp_path / "nope.j2", {})


def test_an_encrypted_template_is_decrypted(tmp_path):
    password = vault.Password("default", b"pw")
    (tmp_path / "f.j2").write_text(vault.encrypt(b"key {{ n }}\n", password))
    vault.use([password])
    try:
        assert render_file(tmp_path / "f.j2", VARIABLES) == "key 4\n"
    finally:
        vault.use([])


def test_the_users_own_ansible_managed_wins(tmp_path):
    (tmp_path / "f.j2").write_text("{{ ansible_managed }}")
    assert render_file(tmp_path / "f.j2", {"ansible_managed": "by {{ n }}", "n": 1}) == "by 1"
