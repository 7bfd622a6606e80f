"""Mistakes in an inventory end in one error that shows the user's own line."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InventoryError
from orchestrator.inventory import load_inventory
from orchestrator.inventory.ranges import expand, split_port

# name of the file, its text, what, why, remedy, line, column
MISTAKES = {
    "unknown_key": (
        "a.yml",
        "all:\n  host:\n    h1:\n",
        "unknown key 'host' in group 'all'",
        "known here",
        "'hosts'",
        2,
        3,
    ),
    "unknown_key_below": ("a.yml", "all:\n  children:\n    lab:\n      var: {a: 1}\n", "'var'", "", "'vars'", 4, 7),
    "group_beside_hosts": ("a.yml", "all:\n  hosts:\n  jetsons:\n", "'jetsons'", "", "under 'children:'", 3, 3),
    "hosts_as_list": (
        "a.yml",
        "all:\n  hosts:\n    - h1\n",
        "'hosts' of group 'all' must be a mapping",
        "list",
        "without a dash",
        2,
        3,
    ),
    "group_as_list": ("a.yml", "lab: [h1]\n", "group 'lab' must be a mapping", "found a list", "", 1, 1),
    "host_as_text": (
        "a.yml",
        "lab:\n  hosts:\n    h1: 10.0.0.1\n",
        "host 'h1' must be a mapping",
        "found a string",
        "",
        3,
        5,
    ),
    "vars_as_text": (
        "a.yml",
        "lab:\n  vars: x\n",
        "'vars' of group 'lab' must be a mapping",
        "found a string",
        "",
        2,
        3,
    ),
    "number_as_host": ("a.yml", "lab:\n  hosts:\n    12:\n", "a host's name must be a string", "int", "quote it", 3, 5),
    "number_as_group": ("a.yml", "12:\n  hosts:\n", "a group's name must be a string", "int", "quote it", 1, 1),
    "number_as_variable": (
        "a.yml",
        "lab:\n  vars:\n    1: 2\n",
        "a variable's name must be a string",
        "int",
        "quote",
        3,
        5,
    ),
    "loop": (
        "a.yml",
        "a: {children: {b: }}\nb: {children: {c: }}\nc: {children: {a: }}\n",
        "'a' cannot be a child of 'c'",
        "itself below",
        "",
        3,
        16,
    ),
    "self_loop": ("a.yml", "a:\n  children:\n    a:\n", "'a' cannot be a child of 'a'", "", "", 3, 5),
    "all_as_child": (
        "a.yml",
        "all: {children: {a: }}\na: {children: {all: }}\n",
        "'all' cannot be a child of 'a'",
        "",
        "",
        2,
        16,
    ),
    "ungrouped_as_child": (
        "a.yml",
        "a: {children: {ungrouped: }}\n",
        "'ungrouped' cannot be a child of 'a'",
        "no other",
        "",
        1,
        16,
    ),
    "child_of_ungrouped": (
        "a.yml",
        "ungrouped:\n  children:\n    a:\n",
        "'a' cannot be a child of 'ungrouped'",
        "no other",
        "",
        3,
        5,
    ),
    "range_backwards": ("a.yml", "lab:\n  hosts:\n    n[5:1]:\n", "host range 'n[5:1]'", "ends before", "", 3, 5),
    "range_open": ("a.yml", "lab:\n  hosts:\n    n[1:]:\n", "host range 'n[1:]'", "no end", "", 3, 5),
    "priority": ("a.yml", "lab:\n  vars:\n    ansible_group_priority: high\n", "whole number", "'high'", "", 3, 5),
    "bad_yaml": ("a.yml", "all:\n  hosts:\n    h1: {a: 1\n  vars:\n", "not valid YAML", "", "", 4, 7),
    "tab": ("a.yml", "all:\n\thosts:\n", "not valid YAML", "", "", 2, 1),
    "twice": ("a.yml", "all:\n  hosts:\n    h1:\n    h2:\n    h1:\n", "'h1' stands twice", "line 3", "", 5, 5),
    "vault_file": (
        "a.yml",
        "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
        "encrypted",
        "no vault password",
        "--ask-vault-pass",
        1,
        1,
    ),
    "plugin": ("a.yml", "plugin: amazon.aws.aws_ec2\nregions: []\n", "plugins are not supported", "", "--yaml", 1, 1),
    "empty": ("a.yml", "# nothing\n", "is empty", "", "", 0, 0),
    "list": ("a.yml", "- h1\n- h2\n", "must be a mapping of groups", "list", "", 1, 1),
    "ini_no_such_group": ("hosts", "nano-01\n\n[jetsons:vars]\na=1\n", "'jetsons' is nowhere declared", "", "", 3, 1),
    "ini_no_such_child": ("a.ini", "[a:children]\nlab\n[labs]\nh1\n", "'lab' is nowhere", "names it", "'labs'", 2, 1),
    "ini_no_such_section": ("a.ini", "[a:child]\nlab\n", "':child'", "children", "'children'", 1, 1),
    "ini_blank_in_section": ("a.ini", "  [a b]\n", "not a section", "without blanks", "", 1, 3),
    "ini_loop": ("a.ini", "[a]\n[b]\n[a:children]\nb\n[b:children]\na\n", "'a' cannot be", "itself", "", 6, 1),
    "ini_no_assignment": ("a.ini", "[a]\nh1 user\n", "'user' is not a variable", "name=value", "", 2, 1),
    "ini_no_variable": ("a.ini", "[a]\n[a:vars]\nuser\n", "not a variable", "name=value", "", 3, 1),
    "ini_open_quote": ("a.ini", "[a]\nh1 x='1\n", "not a host", "quotation", "", 2, 1),
    "ini_colon": ("a.ini", "h1:\n", "ends in a colon", "", "", 1, 1),
    "ini_range": ("a.ini", "h[5:1]\n", "host range 'h[5:1]'", "", "", 1, 1),
    "ini_priority": ("a.ini", "[a]\n[a:vars]\nansible_group_priority=x\n", "whole number", "'x'", "", 3, 1),
    "ini_yaml_inside": ("a.ini", "---\nall:\n", "not a host", "---", "", 1, 1),
    "toml": ("lab.toml", "[a]\n", "neither a YAML nor an INI inventory", "TOML", "lab.yml", 0, 0),
    "json": ("a.json", '{"all": {"hosts": {"h1": }\n', "not valid YAML", "", "", 2, 1),
}


@pytest.mark.parametrize("case", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_shown_where_it_stands(tmp_path: Path, case: tuple) -> None:
    name, text, what, why, remedy, line, column = case
    (tmp_path / name).write_text(text)
    with pytest.raises(InventoryError) as caught:
        load_inventory(name, cwd=tmp_path)
    error = caught.value
    assert what in error.what
    assert why in error.why
    assert remedy in error.remedy
    assert str(tmp_path / name) in str(error)
    if line:
        assert error.location is not None
        assert (error.location.line, error.location.column) == (line, column)


@pytest.mark.parametrize("folder", ["group_vars/lab.yml", "host_vars/h1.yml", "play/group_vars/all.yml"])
@pytest.mark.parametrize(
    ("text", "what"), [("a: [1\n", "not valid YAML"), ("- a\n", "must be a mapping"), ("$ANSIBLE_VAULT;1.1\n", "Vault")]
)
def test_a_mistake_in_a_variables_file_names_the_file(tmp_path: Path, folder: str, text: str, what: str) -> None:
    (tmp_path / "hosts.yml").write_text("lab: {hosts: {h1: }}\n")
    (tmp_path / folder).parent.mkdir(parents=True)
    (tmp_path / folder).write_text(text)
    with pytest.raises(InventoryError) as caught:
        load_inventory("hosts.yml", playbook_dir="play", cwd=tmp_path)
    assert what in caught.value.what
    assert str(tmp_path / folder) in str(caught.value)


def test_a_missing_inventory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match=r"no inventory at nowhere\.yml") as caught:
        load_inventory("nowhere.yml", cwd=tmp_path)
    assert "-i nowhere.yml," in caught.value.remedy
    with pytest.raises(InventoryError, match="no inventory given"):
        load_inventory([], cwd=tmp_path)


def test_a_script_is_refused(tmp_path: Path) -> None:
    script = tmp_path / "hosts"
    script.write_text("#!/bin/sh\necho '{}'\n")
    script.chmod(0o755)
    with pytest.raises(InventoryError, match="inventory script"):
        load_inventory(script)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_bytes(b"all:\n  hosts: {\xff: }\n")
    with pytest.raises(InventoryError, match="cannot read") as caught:
        load_inventory("a.yml", cwd=tmp_path)
    assert "UTF-8" in caught.value.why


@pytest.mark.parametrize(
    "name",
    ["n[1]", "n[1:2:3:4]", "n[a:5]", "n[01:2]", "n[1:3:0]", "n[", "n]", "n[1:2", "n[aa:bb]", "n[1:2:x]", "n[-1:2]"],
)
def test_a_range_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\[|bracket"):
        expand(name)


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("h", "h", None),
        ("h:22", "h", 22),
        ("h[1:3]", "h[1:3]", None),
        ("h[1:3]:22", "h[1:3]", 22),
        ("10.0.0.1:22", "10.0.0.1", 22),
        ("::1", "::1", None),
        ("fe80::1:22", "fe80::1:22", None),
        ("[fe80::1]:22", "fe80::1", 22),
        (":22", ":22", None),
    ],
)
def test_ports_are_told_from_colons(text: str, name: str, port: int | None) -> None:
    assert split_port(text) == (name, port)


def test_a_directory_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "a.yml").write_text("lab: {hosts: {h1: }}\n")
    (tmp_path / "group_vars").mkdir()
    monkeypatch.setattr(Path, "iterdir", refuse)
    for source in (tmp_path, tmp_path / "a.yml"):
        with pytest.raises(InventoryError, match="cannot read") as caught:
            load_inventory(source)
        assert caught.value.why == "Permission denied"


def test_a_link_to_nowhere_in_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "gone.yml").symlink_to(tmp_path / "nowhere.yml")
    with pytest.raises(InventoryError, match=r"cannot read .*gone\.yml"):
        load_inventory(tmp_path)
