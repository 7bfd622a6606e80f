"""Patterns and limits choose the hosts that Ansible would choose, in its order."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import InventoryError
from orchestrator.inventory import Inventory, load_inventory

LAB = """
all:
  hosts: {lone: , other.lan: }
  children:
    nanos: {hosts: {"nano-[01:05]": }}
    xaviers: {hosts: {xavier-01: , xavier-02: }}
    orins: {hosts: {orin-a: , orin-b: , 10.0.0.9: }}
    bench: {hosts: {nano-02: , orin-a: , xavier-02: }}
    empty:
jetsons:
  children: {nanos: , orins: }
"""

# pattern, hosts
CHOICES = [
    ("all", "lone other.lan nano-01 nano-02 nano-03 nano-04 nano-05 xavier-01 xavier-02 orin-a orin-b 10.0.0.9"),
    ("*", "lone other.lan nano-01 nano-02 nano-03 nano-04 nano-05 xavier-01 xavier-02 orin-a orin-b 10.0.0.9"),
    ("nano-03", "nano-03"),
    ("nanos", "nano-01 nano-02 nano-03 nano-04 nano-05"),
    ("xaviers:orins", "xavier-01 xavier-02 orin-a orin-b 10.0.0.9"),
    ("xaviers,orins", "xavier-01 xavier-02 orin-a orin-b 10.0.0.9"),
    (" xaviers , lone ", "xavier-01 xavier-02 lone"),
    ("nanos:&bench", "nano-02"),
    ("bench:&nanos", "nano-02"),
    ("nanos:!nano-02", "nano-01 nano-03 nano-04 nano-05"),
    ("all:!nanos:!xaviers", "lone other.lan orin-a orin-b 10.0.0.9"),
    ("!nanos", "lone other.lan xavier-01 xavier-02 orin-a orin-b 10.0.0.9"),
    ("&bench", "nano-02 xavier-02 orin-a"),
    ("!bench,nanos", "nano-01 nano-03 nano-04 nano-05"),
    ("jetsons:&bench:!orin-a", "nano-02"),
    ("nano-0[13]*", "nano-01 nano-03"),
    ("nano-0[13]", ""),
    ("nano-0?", "nano-01 nano-02 nano-03 nano-04 nano-05"),
    ("*-01", "nano-01 xavier-01"),
    ("*.lan", "other.lan"),
    ("orin*", "orin-a orin-b 10.0.0.9"),
    ("~(nano|xavier)-0[12]", "nano-01 nano-02 xavier-01 xavier-02"),
    ("~.*-a$", "orin-a"),
    ("~nano", "nano-01 nano-02 nano-03 nano-04 nano-05"),
    ("nanos[0]", "nano-01"),
    ("nanos[-1]", "nano-05"),
    ("nanos[1:3]", "nano-02 nano-03 nano-04"),
    ("nanos[3:]", "nano-04 nano-05"),
    ("nanos[0:1],orins[0]", "nano-01 nano-02 orin-a"),
    ("nanos[2:9]", "nano-03 nano-04 nano-05"),
    ("jetsons:!nanos[0:3]", "nano-05 orin-a orin-b 10.0.0.9"),
    ("10.0.0.9", "10.0.0.9"),
    ("10.0.*", "10.0.0.9"),
    ("ungrouped", "lone other.lan"),
    ("empty", ""),
    ("nowhere", ""),
    ("nowhere,lone", "lone"),
    ("lone:lone:all[0]", "lone"),
    ("localhost", "localhost"),
    ("lone:22", ""),
]


@pytest.fixture
def lab(tmp_path: Path) -> Inventory:
    (tmp_path / "lab.yml").write_text(LAB)
    return load_inventory("lab.yml", cwd=tmp_path)


@pytest.mark.parametrize(("pattern", "hosts"), CHOICES, ids=[pattern for pattern, _ in CHOICES])
def test_a_pattern_chooses(lab: Inventory, pattern: str, hosts: str) -> None:
    assert [host.name for host in lab.select(pattern)] == hosts.split()


def test_ansible_chooses_the_same(tmp_path: Path) -> None:
    pytest.importorskip("ansible")
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader()
    (tmp_path / "lab.yml").write_text(LAB)
    manager = InventoryManager(DataLoader(), [str(tmp_path / "lab.yml")])
    for pattern, hosts in CHOICES:
        # Ansible walks groups below the second level in no fixed order.
        assert sorted(host.name for host in manager.get_hosts(pattern)) == sorted(hosts.split()), pattern


@pytest.mark.parametrize(
    ("limit", "hosts"),
    [
        ("nanos", "nano-01 nano-02 nano-03 nano-04 nano-05"),
        ("bench:!orins", "nano-02"),
        ("xaviers", ""),
        ("@failed", "nano-03 orin-b"),
        ("@failed:!orin-b", "nano-03"),
        ("!@failed", None),
    ],
)
def test_a_limit_cuts_down(lab: Inventory, tmp_path: Path, limit: str, hosts: str | None) -> None:
    (tmp_path / "failed").write_text("# of last night\nnano-03\n\n orin-b \n")
    if hosts is None:
        assert [host.name for host in lab.select("jetsons", limit)] == [host.name for host in lab.select("jetsons")]
        assert "@failed" in lab.warnings[-1]
    else:
        assert [host.name for host in lab.select("jetsons", limit)] == hosts.split()


@pytest.mark.parametrize(
    ("limit", "what", "remedy"),
    [
        ("nano-1", "matches no host", "did you mean 'nano-0"),
        ("orinz", "matches no host", "did you mean 'orins'?"),
        ("zzz", "matches no host", ""),
        ("empty", "matches no host", ""),
        ("nanos:&orins", "matches no host", ""),
        ("@missing", "cannot read the limit file missing", ""),
        ("", "names no host", "leave --limit out"),
        (",", "names no host", "leave --limit out"),
        ("nanos[7]", "no host matches 'nanos[7]'", "count from 0 to 4"),
        ("~(", "not a valid regular expression", ""),
        ("nanos:!", "ends in", "name a host"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(lab: Inventory, limit: str, what: str, remedy: str) -> None:
    with pytest.raises(InventoryError) as caught:
        lab.select("all", limit)
    assert what in caught.value.what
    assert remedy in caught.value.remedy
    assert caught.value.exit_code == 1


def test_the_hosts_and_groups_there_are_are_named(lab: Inventory) -> None:
    with pytest.raises(InventoryError, match="matches no host") as caught:
        lab.select("all", "zzz")
    assert "hosts: lone, other.lan, nano-01" in caught.value.why
    assert "and 4 more" in caught.value.why
    assert "groups: nanos, xaviers, orins, bench, empty, jetsons" in caught.value.why


def test_a_typing_mistake_beside_a_good_name_is_warned_of(lab: Inventory) -> None:
    lab.select("all:!nanoz")
    assert lab.warnings == ["pattern 'all:!nanoz': nothing is called 'nanoz'; did you mean 'nanos'?"]
    lab.select("all:!nanoz")
    assert len(lab.warnings) == 1


def test_localhost_needs_no_entry(lab: Inventory) -> None:
    (host,) = lab.select("localhost")
    assert host.variables["ansible_connection"] == "local"
    assert host.name not in lab.hosts
    assert lab.host("localhost") is host


def test_an_unknown_host_is_refused_with_the_nearest(lab: Inventory) -> None:
    with pytest.raises(InventoryError, match="no host 'nano-6'") as caught:
        lab.host("nano-6")
    assert "did you mean 'nano-0" in caught.value.remedy


def test_localhost_by_its_address_is_local_too(lab: Inventory) -> None:
    (host,) = lab.select("::1")
    assert (host.name, host.variables["ansible_connection"]) == ("::1", "local")


def test_the_groups_that_every_inventory_has_are_not_suggested(lab: Inventory) -> None:
    with pytest.raises(InventoryError) as caught:
        lab.select("all", "grouped")
    assert "ungrouped" not in str(caught.value)
