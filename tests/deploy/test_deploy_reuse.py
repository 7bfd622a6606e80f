"""When an engine stands, when it is only judged again, and when it is built anew: and that the reason is named.

The steps follow each other on one device, as they do in a device's life; each step finds what the one before left.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_project import Done, Project, sha256

zoo = pytest.importorskip("zoo")
torch = pytest.importorskip("torch")

CODE = """
import torch
from torch import nn

from helper import scaled


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, x):
        return scaled(self.last(torch.relu(self.first(x))))


def build():
    return Net()
"""
HELPER = "def scaled(x):\n    return x * 1.0\n"
HOST = "worn-01"


class Life:
    """One small model on one device, deployed again after each change."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.folder = project.models / "small"
        self.folder.mkdir()
        (self.folder / "small.py").write_text(CODE)
        (self.folder / "helper.py").write_text(HELPER)
        self.spec: dict[str, Any] = {
            "name": "small",
            "source": {"checkpoint": "small.pt", "factory": "small:build"},
            "inputs": [{"name": "x", "shape": ["batch", 6]}],
            "batches": [4],
        }
        self.train(0)

    def train(self, seed: int) -> None:
        """New weights for the same network."""
        torch.manual_seed(seed)
        layers = {"first": torch.nn.Linear(6, 8), "last": torch.nn.Linear(8, 3)}
        weights = {
            f"{name}.{part}": value for name, layer in layers.items() for part, value in layer.state_dict().items()
        }
        torch.save(weights, self.folder / "small.pt")

    def deploy(self, *options: str) -> tuple[Done, dict[str, Any]]:
        """Deploy; returns what was done, and the engine of result.json."""
        (self.folder / "small.yml").write_text(yaml.safe_dump(self.spec, sort_keys=False))
        done = self.project.deploy(
            "-i",
            self.project.spare,
            "-l",
            HOST,
            "-m",
            self.folder / "small.yml",
            "-e",
            "fleet_allow_reboot=true",
            *options,
        )
        return done, done.engine(HOST, "small")

    def passport(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            (self.project.fleet_root(HOST) / "engines" / key / "passport.json").read_text()
        )
        return found

    def engine_file(self) -> Path:
        """The file that an application opens."""
        (file,) = self.project.current(HOST, "small").glob("*.engine")
        return file.resolve()


@pytest.fixture(scope="module")
def life(project: Project) -> Life:
    life = Life(project)
    _, engine = life.deploy()
    assert (engine["action"], engine["reason"]) == ("built", "no engine yet")
    return life


def test_nothing_changed(life: Life) -> None:
    workers, links = life.project.export_logs(), life.project.links(HOST)
    done, engine = life.deploy()
    assert engine["action"] == "reused"
    assert engine["reason"].startswith("nothing changed")
    assert done.host(HOST)["bytes_pushed"] == 0
    assert done.host(HOST)["tasks"]["changed"] == 0
    assert life.project.export_logs() == workers
    assert life.project.links(HOST) == links


def test_an_unrelated_file_is_touched(life: Life) -> None:
    (life.folder / "notes.py").write_text("print('nobody imports this')\n")
    (life.folder / "small.pt").touch()
    assert life.deploy()[1]["action"] == "reused"


def test_forward_is_edited_and_the_weights_are_not(life: Life) -> None:
    (life.folder / "small.py").write_text(CODE.replace("torch.relu(", "torch.tanh("))
    engine = life.deploy()[1]
    assert engine["action"] == "built"
    assert engine["reason"] == "model code changed (models/small/small.py)"


def test_a_module_that_the_model_imports_is_edited(life: Life) -> None:
    (life.folder / "helper.py").write_text(HELPER.replace("1.0", "2.0"))
    engine = life.deploy()[1]
    assert (engine["action"], engine["reason"]) == ("built", "model code changed (models/small/helper.py)")


def test_an_edit_is_taken_back(life: Life) -> None:
    (life.folder / "helper.py").write_text(HELPER)
    workers, before = life.project.export_logs(), life.project.links(HOST)
    engine = life.deploy()[1]
    # Export and engine are both still there; only the link moves.
    assert engine["action"] == "reused"
    assert life.project.export_logs() == workers
    assert life.project.links(HOST) != before


def test_the_weights_are_trained_anew(life: Life) -> None:
    life.train(1)
    engine = life.deploy()[1]
    assert (engine["action"], engine["reason"]) == ("built", "weights changed")


def test_a_new_tolerance_is_a_new_verdict_and_no_new_engine(life: Life) -> None:
    file = life.engine_file()
    before = (file.stat().st_mtime_ns, file.stat().st_ino)
    life.spec["tolerances"] = {"fp16": {"cosine": 0.9995}}
    engine = life.deploy()[1]
    assert (engine["action"], engine["reason"]) == ("revalidated", "tolerance or reference changed")
    assert engine["verdict"]["tolerance"]["cosine"] == 0.9995
    assert engine["build_s"] is None
    assert (life.engine_file().stat().st_mtime_ns, life.engine_file().stat().st_ino) == before


def test_another_shape(life: Life) -> None:
    life.spec["batches"] = [{"min": 1, "opt": 2, "max": 4}]
    engine = life.deploy()[1]
    assert engine["action"] == "built"
    assert "shapes changed" in engine["reason"]
    assert "x " in engine["reason"]


def test_another_power_mode_is_named_with_the_old_one(life: Life) -> None:
    done, engine = life.deploy("-e", "fleet_power_mode=5W")
    assert (engine["action"], engine["reason"]) == ("built", "power mode MAXN -> 5W")
    assert done.host(HOST)["facts"]["power_mode"] == "5W"


def test_the_first_power_mode_again(life: Life) -> None:
    engine = life.deploy()[1]
    # Its engine stands, but the board was in another state: it is judged again.
    assert engine["action"] == "revalidated"
    assert "power mode was 5W" in engine["reason"]
    assert life.deploy()[1]["action"] == "reused"


def test_clocks_that_a_reboot_lost_are_mended(life: Life) -> None:
    from orchestrator.lab.lab import Lab

    Lab(life.project.home / "lab").reboot(HOST)
    done, engine = life.deploy()
    assert (engine["action"], engine["reason"]) == ("revalidated", "clocks were not locked")
    assert done.result
    assert done.result["summary"]["engines"]["built"] == 0
    assert done.host(HOST)["facts"]["clocks"]["locked"] is True


def test_tensorrt_is_upgraded(life: Life) -> None:
    with life.project.state(HOST) as state:
        packages = state["packages"]
        for name, version in packages.items():
            if "8.2.1-1" in version:
                packages[name] = version.replace("8.2.1-1", "8.2.3-1")
        packages["tensorrt"] = packages["tensorrt"].replace("8.2.1.8", "8.2.3.0")
    engine = life.deploy()[1]
    assert (engine["action"], engine["reason"]) == ("built", "TensorRT 8.2.1 -> 8.2.3")


def test_a_damaged_engine_is_found_and_built_again(life: Life) -> None:
    file = life.engine_file()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.chmod(0o644)
    file.write_bytes(bytes(content))
    engine = life.deploy()[1]
    assert engine["action"] == "built"
    assert engine["reason"] == "the engine file is damaged (its digest differs)"
    assert engine["precision"] == "fp16"
    # The application finds the good bytes where it found the damaged ones.
    assert (
        sha256(life.engine_file())
        == life.passport(engine["key"])["engine"]["sha256"]
        != hashlib.sha256(content).hexdigest()
    )
    assert life.deploy()[1]["action"] == "reused"


def test_a_lost_engine_is_built_again(life: Life) -> None:
    key = life.deploy()[1]["key"]
    (life.project.fleet_root(HOST) / "engines" / key / "model.engine").unlink()
    engine = life.deploy()[1]
    assert (engine["action"], engine["reason"]) == ("built", "the engine file is gone")
    assert engine["key"] == key


def test_a_release_that_lost_its_file_is_made_anew(life: Life) -> None:
    life.engine_file().unlink()
    engine = life.deploy()[1]
    assert engine["action"] == "reused"
    assert sha256(life.engine_file()) == life.passport(engine["key"])["engine"]["sha256"]


def test_force_builds_what_could_be_reused(life: Life) -> None:
    before = life.passport(life.deploy()[1]["key"])
    engine = life.deploy("--force")[1]
    assert (engine["action"], engine["reason"]) == ("built", "forced")
    after = life.passport(engine["key"])
    assert after["built_at"] > before["built_at"]
    assert sha256(life.engine_file()) == after["engine"]["sha256"]
    assert life.deploy()[1]["action"] == "reused"
