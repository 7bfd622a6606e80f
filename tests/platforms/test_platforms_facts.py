"""Raw facts of boards, most from captures of real ones, mean what people who know these boards expect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.platforms.facts import resolve
from orchestrator.platforms.releases import jetpack_of, opset_for, release_name, stack_of

CASES = sorted(path for path in (Path(__file__).parent / "cases").iterdir() if path.is_dir())
# docs/architecture.md and the report rely on these.
NAMES = {
    *("module", "soc", "compute_capability", "l4t", "jetpack", "python", "cuda", "cudnn", "tensorrt", "trtexec"),
    *("ram_bytes", "ram_available_bytes", "swap_bytes", "disk_free_bytes", "power_mode", "power_modes", "clocks"),
    *("dla_cores", "precisions", "opset", "opset_ceiling", "virtual", "hostname", "boot_id", "kernel"),
}


def raw_of(case: Path) -> dict[str, Any]:
    return json.loads((case / "raw.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_facts_are_read_as_on_the_real_board(case: Path) -> None:
    facts = resolve(raw_of(case))
    expected = yaml.safe_load((case / "expected.yml").read_text())
    assert {name: facts[name] for name in expected} == expected
    assert set(facts) >= NAMES
    json.dumps(facts)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_any_fact_may_be_missing(case: Path) -> None:
    raw = raw_of(case)
    for name in raw:
        assert set(resolve({key: value for key, value in raw.items() if key != name})) >= NAMES
        assert set(resolve({**raw, name: None})) >= NAMES
    assert resolve({})["module"] is None


def test_a_virtual_device_says_so() -> None:
    assert resolve({**raw_of(CASES[0]), "virtual": True})["virtual"] is True


@pytest.mark.parametrize(
    ("l4t", "jetpack"),
    [
        ("32.1", "4.2"),
        ("32.1.0", "4.2"),
        ("32.2.0", "4.2.1"),
        ("35.1.0", "5.0.2"),
        ("36.4.0", "6.1"),
        ("36.4.7", "6.2.1"),
        ("38.2.2", "7.0"),
        ("39.2.0", "7.2"),
        ("39.0.0", "7.2 EA"),
        ("36.5.0", None),
        ("99.1", None),
        (None, None),
    ],
)
def test_an_l4t_release_is_a_jetpack(l4t: str | None, jetpack: str | None) -> None:
    assert jetpack_of(l4t) == jetpack


@pytest.mark.parametrize(
    ("package", "jetpack"),
    [("4.6-b199", "4.6"), ("6.2.1+b38", "6.2.1"), ("6.0+b106", "6.0"), ("7.2.1-b49", "7.2.1"), ("", None)],
)
def test_the_meta_package_names_a_release_that_the_table_lacks(package: str, jetpack: str | None) -> None:
    assert jetpack_of("36.5.2", {"nvidia-jetpack": package}) == jetpack
    assert jetpack_of("36.4.3", {"nvidia-jetpack": package}) == "6.2"


@pytest.mark.parametrize(
    ("tensorrt", "opsets"),
    [
        ("5.0.6", (9, 9)),
        ("5.1.6", (9, 9)),
        ("6.0.1", (10, 10)),
        ("7.1.3", (11, 11)),
        ("8.0.1", (13, 13)),
        ("8.2.1", (13, 13)),
        ("8.4.0", (13, 13)),
        ("8.4.1", (16, 17)),
        ("8.5.2", (16, 17)),
        ("8.6.2", (17, 17)),
        ("10.3.0", (17, 20)),
        ("10.13.3", (17, 20)),
        ("10.16.2", (17, 20)),
        ("11.1", (17, 20)),
    ],
)
def test_the_opset_follows_tensorrt(tensorrt: str, opsets: tuple[int, int]) -> None:
    assert opset_for({"tensorrt": tensorrt}) == opsets


@pytest.mark.parametrize(
    ("l4t", "opset"),
    [
        ("32.6.1", 13),
        ("32.7.6", 13),
        ("35.1.0", 16),
        ("35.6.4", 16),
        ("36.3.0", 17),
        ("39.2.0", 17),
        ("99", 17),
        ("28.2", 9),
    ],
)
def test_without_tensorrt_the_opset_follows_l4t(l4t: str, opset: int) -> None:
    assert opset_for({"tensorrt": None, "l4t": l4t})[0] == opset


def test_a_stack_is_that_of_the_nearest_older_release() -> None:
    assert stack_of("32.7.9") == stack_of("32.7.1")
    assert (stack_of("35.6.1") or {})["tensorrt"] == "8.5.2"
    assert stack_of("28.2.1") is None
    assert stack_of(None) is None


def test_releases_have_a_name_for_people() -> None:
    assert release_name({"l4t": "32.7.1", "jetpack": "4.6.1"}) == "JetPack 4.6.1 (R32.7.1)"
    assert release_name({"l4t": "99.1", "jetpack": None}) == "R99.1, JetPack unknown"
    assert release_name({}) == "no L4T"
