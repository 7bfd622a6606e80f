"""The boards that the lab imitates are known for what they are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.lab.profile import load_profile
from orchestrator.platforms.facts import resolve

PROFILES = Path(__file__).parents[2] / "orchestrator" / "lab" / "profiles"

# profile, module, JetPack, TensorRT, opset, precisions, DLA cores
BOARDS = [
    ("nano-jetpack-4.6.1", "Jetson Nano", "4.6.1", "8.2.1", 13, ["fp32", "fp16"], 0),
    ("agx-xavier-jetpack-4.6", "Jetson AGX Xavier 32GB", "4.6", "8.0.1", 13, ["fp32", "fp16", "int8"], 2),
    ("xavier-nx-jetpack-5.1.2", "Jetson Xavier NX 8GB", "5.1.2", "8.5.2", 16, ["fp32", "fp16", "int8"], 2),
    ("orin-nano-jetpack-6.2", "Jetson Orin Nano 8GB", "6.2", "10.3.0", 17, ["fp32", "fp16", "int8"], 0),
    ("agx-orin-jetpack-6.0", "Jetson AGX Orin Developer Kit 32GB", "6.0", "8.6.2", 17, ["fp32", "fp16", "int8"], 2),
]


def raw_of(profile: dict[str, Any]) -> dict[str, Any]:
    release = profile["files"]["/etc/nv_tegra_release"]
    match = re.match(r"# R(\d+) \(release\), REVISION: ([\d.]+)", release)
    assert match
    tree = profile["device_tree"]
    return {
        "l4t": {"text": release.splitlines()[0], "version": ".".join(match.groups())},
        "compatible": tree["compatible"],
        "boardids": tree.get("nvidia,boardids"),
        "packages": profile["packages"],
        "ram_bytes": profile["ram_mb"] * 1024**2,
    }


@pytest.mark.parametrize("board", BOARDS, ids=[board[0] for board in BOARDS])
def test_a_board_of_the_lab_is_known(board: tuple[Any, ...]) -> None:
    profile = yaml.safe_load((PROFILES / f"{board[0]}.yml").read_text())
    facts = resolve(raw_of(profile))
    names = ("module", "jetpack", "tensorrt", "opset", "precisions", "dla_cores")
    assert tuple(facts[name] for name in names) == board[1:]


def test_every_profile_is_of_a_known_module_and_release() -> None:
    for path in PROFILES.glob("*.yml"):
        profile = load_profile(path.stem)
        if "device_tree" not in profile:
            continue  # a machine that is no Jetson
        facts = resolve(raw_of(profile))
        assert facts["module"]
        assert not facts["module"].startswith("unknown"), path.name
        assert facts["jetpack"], path.name
        assert facts["notes"] == [], path.name
