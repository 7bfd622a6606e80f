"""The inventories that come with Fleet are right, and leave each other alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inventory_golden import ask_ansible

from orchestrator.inventory import load_inventory
from orchestrator.inventory.settings import settings

FOLDER = Path(__file__).parents[2] / "inventory"
EXAMPLE = load_inventory(FOLDER / "example.yml")


def test_every_variable_of_the_example_is_one_that_fleet_knows() -> None:
    known = {name: settings(host) for name, host in EXAMPLE.hosts.items()}
    assert len(known) == 17
    rover = known["rover"]
    assert (rover.root, rover.allow_reboot, rover.precisions) == ("/data/fleet", True, ["fp16", "fp32"])
    assert (known["crane"].port, known["crane"].proxy_jump) == (2222, "ops@gate.lab.example")
    assert (known["kiosk-07.lab.example"].workspace, known["kiosk-07.lab.example"].clocks) == (256, "max")
    assert known["bench-b"].host_key_alias == "bench-b.usb"
    assert EXAMPLE.warnings == []


def test_the_commands_in_its_comments_work() -> None:
    assert [host.name for host in EXAMPLE.select("all", "robots:!rover")] == ["crane"]
    assert "|--rover" in EXAMPLE.graph()


def test_ansible_reads_the_example_too() -> None:
    pytest.importorskip("ansible")
    listed, graph = ask_ansible(FOLDER, sources=["example.yml"])
    assert json.loads(json.dumps(EXAMPLE.to_list())) == listed
    assert EXAMPLE.graph() == graph


def test_the_variables_of_the_example_do_not_reach_the_lab() -> None:
    lab = load_inventory(FOLDER / "lab.yml")
    names = {*lab.hosts, *lab.groups} - {"all", "ungrouped"}
    files = {path.stem for folder in ("group_vars", "host_vars") for path in (FOLDER / folder).iterdir()}
    assert not names & files
    assert all(settings(host).connection == "lab" for host in lab.hosts.values())
