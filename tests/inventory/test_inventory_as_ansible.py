"""An inventory, YAML or INI, with vaults, has the groups, hosts and variables that `ansible-inventory` gives it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inventory_golden import CASES, arguments, ask_ansible

from orchestrator.inventory import Inventory, load_inventory, vault

ALL = sorted(path for path in CASES.iterdir() if path.is_dir())


@pytest.fixture(autouse=True)
def no_passwords_are_left():
    yield
    vault.use([])


def load(case: Path) -> Inventory:
    given = arguments(case)
    identities = [identity.partition("@") for identity in given.get("vault", [])]
    vault.use([vault.password_from(str(case / file), label, ask=str) for label, _, file in identities])
    return load_inventory(given["sources"], playbook_dir=given.get("playbook_dir"), cwd=case)


def as_json(inventory: Inventory) -> dict:
    return json.loads(json.dumps(inventory.to_list()))


def test_there_are_enough_cases() -> None:
    assert len(ALL) >= 30


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_list_is_that_of_ansible(case: Path) -> None:
    assert as_json(load(case)) == json.loads((case / "expected.json").read_text())


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_graph_is_that_of_ansible(case: Path) -> None:
    assert load(case).graph() + "\n" == (case / "expected.graph").read_text()


@pytest.mark.parametrize("name", ["jetson_lab", "playbook_dir", "directory", "ini_typing", "vault_files"])
def test_the_recorded_answers_are_those_of_the_ansible_installed_here(name: str) -> None:
    pytest.importorskip("ansible")
    listed, graph = ask_ansible(CASES / name)
    assert listed == json.loads((CASES / name / "expected.json").read_text())
    assert graph + "\n" == (CASES / name / "expected.graph").read_text()
