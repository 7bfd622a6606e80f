"""What a host's variables hold besides what `ansible-inventory --list` shows: magic, extra variables, origins."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.inventory import load_inventory

LAB = """
all:
  vars: {who: all, ip: "{{ base }}.7"}
  children:
    lab:
      hosts:
        board.lan: {who: host}
        10.0.0.7:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lab.yml").write_text(LAB)
    return tmp_path


def test_magic_variables(folder: Path) -> None:
    inventory = load_inventory(["lab.yml", "extra,"], playbook_dir="play", cwd=folder)
    variables = inventory.host("board.lan").variables
    assert variables["inventory_hostname"] == "board.lan"
    assert variables["inventory_hostname_short"] == "board"
    assert variables["group_names"] == ["lab"]
    assert variables["groups"] == {
        "all": ["extra", "board.lan", "10.0.0.7"],
        "ungrouped": ["extra"],
        "lab": ["board.lan", "10.0.0.7"],
    }
    assert variables["inventory_file"] == str(folder / "lab.yml")
    assert variables["inventory_dir"] == str(folder)
    assert variables["playbook_dir"] == str(folder / "play")
    assert inventory.host("10.0.0.7").variables["inventory_hostname_short"] == "10.0.0.7"
    assert inventory.host("extra").variables["inventory_file"] is None
    assert "playbook_dir" not in load_inventory("lab.yml", cwd=folder).host("board.lan").variables


def test_magic_variables_cannot_be_overwritten(folder: Path) -> None:
    inventory = load_inventory("lab.yml", extra_vars={"inventory_hostname": "x", "group_names": []}, cwd=folder)
    assert inventory.host("board.lan").variables["inventory_hostname"] == "board.lan"
    assert inventory.host("board.lan").variables["group_names"] == ["lab"]


def test_extra_variables_win(folder: Path) -> None:
    (folder / "host_vars").mkdir()
    (folder / "host_vars" / "board.lan.yml").write_text("who: file\n")
    host = load_inventory("lab.yml", extra_vars={"who": "extra", "new": 1}, cwd=folder).host("board.lan")
    assert (host.variables["who"], host.variables["new"]) == ("extra", 1)
    assert "who" not in host.origins
    assert load_inventory("lab.yml", cwd=folder).host("board.lan").variables["who"] == "file"


def test_templates_stay_as_they_are_written(folder: Path) -> None:
    assert load_inventory("lab.yml", cwd=folder).host("10.0.0.7").variables["ip"] == "{{ base }}.7"


def test_every_variable_knows_where_it_stands(folder: Path) -> None:
    inventory = load_inventory("lab.yml", cwd=folder)
    origins = {name: inventory.host(name).origins["who"] for name in ("board.lan", "10.0.0.7")}
    assert (origins["board.lan"].line, origins["board.lan"].column) == (7, 21)
    assert (origins["10.0.0.7"].line, origins["10.0.0.7"].column) == (3, 10)
    assert origins["board.lan"].file == str(folder / "lab.yml")


def test_hosts_come_in_the_order_of_the_groups(folder: Path) -> None:
    assert list(load_inventory(["lab.yml", "z,a,"], cwd=folder).hosts) == ["z", "a", "board.lan", "10.0.0.7"]


def test_a_thousand_hosts_load_within_two_seconds(tmp_path: Path) -> None:
    import time

    (tmp_path / "big.yml").write_text("lab: {hosts: {'n[0001:1000]': {a: 1}}, vars: {b: 2}}\n")
    start = time.perf_counter()
    inventory = load_inventory("big.yml", cwd=tmp_path)
    assert len(inventory.select("n0*:!n00*")) == 900
    assert time.perf_counter() - start < 2


def test_a_name_that_is_host_and_group_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("lab: {hosts: {lab: }}\n")
    assert "both a host and a group" in load_inventory("a.yml", cwd=tmp_path).warnings[0]


def test_symbolic_links_keep_the_name_they_were_given(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "link.yml").symlink_to(folder / "lab.yml")
    host = load_inventory("elsewhere/link.yml", cwd=tmp_path).host("board.lan")
    assert host.variables["inventory_dir"] == str(tmp_path / "elsewhere")
