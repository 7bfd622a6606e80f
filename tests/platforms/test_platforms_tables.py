"""The tables are consistent, quick to load, and explain what they should."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.platforms.failures import explain
from orchestrator.platforms.operators import int64_bindings, missing, supported
from orchestrator.platforms.tables import newest_up_to, table, version

FAILURES = yaml.safe_load((Path(__file__).parent / "failures.yml").read_text())
RULES = table("failures.yml")


@pytest.mark.parametrize(
    ("tensorrt", "operators", "lacking"),
    [
        ("8.5.2", ["Conv", "LayerNormalization"], ["LayerNormalization"]),
        ("8.4.1", ["LayerNormalization"], ["LayerNormalization"]),
        ("8.6.2", ["LayerNormalization"], []),
        ("8.2.1", ["GridSample", "Einsum"], ["GridSample"]),
        ("8.0.1", ["Einsum", "Conv", "IsNaN"], ["Einsum", "IsNaN"]),
        ("7.1.3", ["NonMaxSuppression", "If"], ["NonMaxSuppression"]),
        ("10.3.0", ["DeformConv", "Gelu", "Mish"], []),
        ("10.16.2", ["DeformConv"], []),
        ("10.0.1", ["DeformConv"], ["DeformConv"]),
        ("99", ["NoSuchThing"], ["NoSuchThing"]),
        ("8.2.1", ["EfficientNMS_TRT", "TRT::GridAnchor_TRT"], []),
        ("6.0.1", ["EfficientNMS_TRT"], ["EfficientNMS_TRT"]),
        ("10.3.0", ["com.microsoft::Gelu"], ["com.microsoft::Gelu"]),
        ("4.0", ["Where", "Conv"], ["Where"]),
    ],
)
def test_operators_that_a_parser_lacks(tensorrt: str, operators: list[str], lacking: list[str]) -> None:
    assert missing(tensorrt, operators) == lacking


def test_the_table_of_operators_is_whole() -> None:
    versions = ["5.1", "6.0", "7.0", "7.1", "8.0", "8.2", "8.4", "8.5", "8.6", "10.0", "10.1"]
    sizes = [len(supported(name)) for name in versions]
    assert sizes[1:] == sorted(sizes[1:]), sizes  # 5.1 had Sin and Sinh, 6.0 lost them
    assert (sizes[0], sizes[-1]) == (88, 170)


def test_64_bit_integers_stay_so_from_tensorrt_10_on() -> None:
    assert [int64_bindings(name) for name in ("8.6.2", "9.3", "10.0", "10.16.2")] == [False, False, True, True]


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: f"{case['id']}-{case['lines'][0][:30]}")
def test_known_output_is_explained(case: dict[str, Any]) -> None:
    known = explain(case["lines"])
    assert (known.id if known else None) == case["id"]
    for name in ("what", "why", "remedy"):
        if name in case:
            assert getattr(known, name) == case[name]
    if known:
        assert known.line in [line.strip() for line in case["lines"]]
        assert "{" not in known.what + known.why + known.remedy


def test_causes_come_before_consequences_whatever_the_order() -> None:
    lines = ["[E] Engine deserialization failed", "Version tag does not match. Note"]
    assert [known.id for known in (explain(lines), explain(lines[::-1])) if known] == ["engine-other-tensorrt"] * 2
    assert explain([]) is None
    assert explain(iter(["Killed"])) is not None


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["id"])
def test_every_rule_is_complete_and_has_seen_its_text(rule: dict[str, str]) -> None:
    assert set(rule) == {"id", "match", "what", "why", "remedy", "source"}
    pattern = re.compile(rule["match"])
    groups = set(pattern.groupindex)
    assert set(re.findall(r"{(\w+)}", rule["what"] + rule["why"] + rule["remedy"])) <= groups
    assert rule["id"] in {case["id"] for case in FAILURES}, "add the text to tests/platforms/failures.yml"
    assert sum(other["id"] == rule["id"] for other in RULES) == 1


def test_every_module_has_a_chip_and_a_source() -> None:
    data = table("modules.yml")
    for row in data["modules"]:
        assert set(row) <= {"module", "soc", "parts", "ram_gb", "dla_cores", "super", "source"}
        assert row["soc"] in data["socs"]
        assert row["source"]
        assert all(re.fullmatch(r"p\d{4}-\d{4}", part) for part in row["parts"])
    parts = {part for row in data["modules"] for part in row["parts"]}
    assert set(data["codenames"].values()) <= parts
    assert len({row["module"] for row in data["modules"]}) == len(data["modules"])


def test_rows_by_version_stand_oldest_first() -> None:
    data = table("jetpacks.yml")
    for rows, key in ((data["stacks"], "l4t"), (data["opsets"], "tensorrt")):
        versions = [version(row[key]) for row in rows]
        assert versions == sorted(set(versions))
        assert newest_up_to(rows, key, (0,)) is None
    releases = [version(name) for name in data["releases"]]
    assert releases == sorted(set(releases))
    assert all(isinstance(name, str) for name in (*data["releases"], *data["releases"].values()))
    assert all(isinstance(value, str) for row in data["stacks"] for value in row.values())
    assert all(row["default"] <= row["ceiling"] for row in data["opsets"])


def test_versions_are_compared_as_numbers() -> None:
    assert version("35.1.0") == version("35.1") == (35, 1)
    assert version("10.3.0.30-1+cuda12.5") > version("8.6.2.3-1+cuda12.2")
    assert version("none") == version(None) == ()


def test_the_tables_load_within_15_milliseconds() -> None:
    code = """
import collections.abc, csv, dataclasses, functools, pathlib, re, time, typing, yaml
start = time.process_time()
from orchestrator.platforms.facts import resolve
from orchestrator.platforms.operators import missing
from orchestrator.platforms.failures import explain
resolve({"compatible": ["nvidia,tegra234"]}); missing("8.5", ["Conv"]); explain(["Killed"])
print(time.process_time() - start)
import sys
heavy = {"torch", "numpy", "onnx", "jinja2", "fabric", "paramiko", "rich"} & set(sys.modules)
assert not heavy, heavy
"""
    # Processor time, and the quickest of several: other work on this machine must not fail the test.
    run = functools.partial(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True)
    times = [float(run().stdout) for _ in range(7)]
    assert min(times) < 0.015, times
