"""An Ansible YAML inventory loads to the same groups, hosts and variables as `ansible-inventory` gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inventory_golden import CASES, arguments, ask_ansible

from orchestrator.inventory import Inventory, load_inventory

ALL = sorted(path for path in CASES.iterdir() if path.is_dir())


def load(case: Path) -> Inventory:
    given = arguments(case)
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


@pytest.mark.parametrize("name", ["jetson_lab", "playbook_dir", "directory"])
def test_the_recorded_answers_are_those_of_the_ansible_installed_here(name: str) -> None:
    pytest.importorskip("ansible")
    listed, graph = ask_ansible(CASES / name)
    assert listed == json.loads((CASES / name / "expected.json").read_text())
    assert graph + "\n" == (CASES / name / "expected.graph").read_text()
