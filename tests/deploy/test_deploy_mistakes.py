"""Mistakes in a user's files and command lines: exit code 1, three lines, and no device touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy_project import OPSETS, Done, Project

zoo = pytest.importorskip("zoo")
torch = pytest.importorskip("torch")


@pytest.fixture
def untouched(tmp_path: Path) -> Project:
    """A project whose lab was never started: any connection would start it."""
    project = Project(tmp_path / "untouched")
    zoo.overflow(project.models)
    return project


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def spec(project: Project) -> Path:
    return project.models / "overflow.yml"


def unlink_checkpoint(project: Project) -> None:
    (project.models / "overflow.pt").unlink()


def truncate_without_factory(project: Project) -> None:
    edit(spec(project), "  factory: overflow:build\n  kwargs: {}\n", "")
    checkpoint = project.models / "overflow.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:500])


def add_variable(project: Project) -> None:
    edit(project.lab, "fleet_clocks: max", "fleet_clock: max")


def wrong_value(project: Project) -> None:
    edit(project.lab, "fleet_clocks: max", "fleet_clocks: highest")


# What a case does to the project, further options, and what the message must hold.
CASES: dict[str, tuple[Callable[[Project], None] | None, list[str], list[str]]] = {
    "missing checkpoint": (
        unlink_checkpoint,
        [],
        ["models/overflow.yml:3:3: no such file:", "overflow.pt", "  try: make the checkpoint first"],
    ),
    "truncated checkpoint": (
        truncate_without_factory,
        [],
        ["models/overflow.yml:3:3: overflow.pt is truncated or damaged (500 bytes)", "  try: copy it again"],
    ),
    "specification is no YAML": (
        lambda project: edit(spec(project), "name: overflow", "name: [overflow"),
        [],
        ["models/overflow.yml:2:", "not valid YAML"],
    ),
    "inventory is no YAML": (
        lambda project: edit(project.lab, "  children:", "  children: {"),
        [],
        ["lab.yml:", "not valid YAML"],
    ),
    "playbook is no YAML": (
        lambda project: edit(project.playbook, "  tasks:", "  tasks: ["),
        [],
        ["quick.yml:", "not valid YAML"],
    ),
    "unknown key of a specification": (
        lambda project: edit(spec(project), "precisions:", "precision:"),
        [],
        ["models/overflow.yml:", "unknown key 'precision'", "^", "did you mean 'precisions'?"],
    ),
    "unknown inventory variable": (
        add_variable,
        [],
        ["lab.yml:", "unknown variable 'fleet_clock'", "^", "did you mean 'fleet_clocks'?"],
    ),
    "wrong value of a variable": (wrong_value, [], ["lab.yml:", "fleet_clocks", "keep", "max"]),
    "unknown keyword of a play": (
        lambda project: edit(project.playbook, "  gather_facts:", "  gather_fact:"),
        [],
        ["quick.yml:", "unknown keyword of a play 'gather_fact'", "did you mean 'gather_facts'?"],
    ),
    "unknown module": (
        lambda project: edit(project.playbook, "engine_push:", "engine_pusch:"),
        [],
        ["quick.yml:", "unknown module or keyword 'engine_pusch'", "did you mean 'engine_push'?"],
    ),
    "unknown argument of a module": (
        lambda project: edit(project.playbook, "keep: 3", "kep: 3"),
        [],
        ["quick.yml:", "engine_activate has no argument 'kep'", "did you mean 'keep'?"],
    ),
    "a limit that matches nothing": (
        None,
        ["--limit", "nanno-01"],
        ["the limit 'nanno-01' matches no host", "hosts: nano-01, ", "did you mean 'nano-01'?"],
    ),
    "unknown model": (
        None,
        ["-m", "overflo"],
        ["no model specification 'overflo'", "looked in", "did you mean 'overflow'?"],
    ),
    "no such inventory": (None, ["-i", "nowhere.yml"], ["nowhere.yml"]),
    "unknown option": (None, ["--frobnicate"], ["unrecognized arguments: --frobnicate", "try: fleet deploy --help"]),
    "unknown command": (None, ["COMMAND"], ["unknown command 'deply'", "did you mean 'fleet deploy'?"]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_shown_before_any_device_is_touched(untouched: Project, name: str) -> None:
    change, options, words = CASES[name]
    if change:
        change(untouched)
    given = list(options)
    command = "deploy"
    if given == ["COMMAND"]:
        given, command = [], "deply"
    if "-m" not in given:
        given += ["-m", "overflow"]
    if "-i" not in given:
        given += ["-i", str(untouched.lab)]
    done = untouched.fleet(command, *given, "--playbook", untouched.playbook, code=1)
    for word in words:
        assert word in done.err, done.err
    assert done.out == ""
    assert len(done.err.strip().splitlines()) <= 5, done.err
    assert not (untouched.home / "lab").exists(), "a device was started"
    assert not (untouched.folder / "runs").exists()


# Mistakes that only an export can find. Each device gets a model with another one, so that one run shows them all.
def no_such_module(folder: Path) -> Path:
    return zoo.overflow(folder, source=source(factory="overflo:build"))


def no_such_function(folder: Path) -> Path:
    return zoo.overflow(folder, source=source(factory="overflow:bild"))


def wrong_weights(folder: Path) -> Path:
    path = zoo.overflow(folder)
    weights = torch.load(folder / "overflow.pt")
    weights["extra.weight"] = weights.pop("last.weight")
    torch.save(weights, folder / "overflow.pt")
    return path


def wrong_shape(folder: Path) -> Path:
    return zoo.overflow(folder, inputs=[{"name": "x", "shape": ["batch", 9]}])


def cut_short(folder: Path) -> Path:
    path = zoo.overflow(folder)
    content = (folder / "overflow.pt").read_bytes()
    (folder / "overflow.pt").write_bytes(content[: len(content) // 2])
    return path


def source(**changes: Any) -> dict[str, Any]:
    return {"checkpoint": "overflow.pt", "factory": "overflow:build", **changes}


EXPORT_MISTAKES: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "nano-01": (no_such_module, ["overflo"]),
    "agx-xavier-01": (no_such_function, ["bild"]),
    "xavier-nx-01": (wrong_weights, ["last.weight", "extra.weight"]),
    "orin-nano-01": (wrong_shape, ["9", "8"]),
    "agx-orin-01": (cut_short, ["overflow.pt"]),
}


@pytest.fixture(scope="module")
def mistaken(project: Project) -> tuple[Done, dict[str, list[str]]]:
    """One deploy in which each of the five devices has a model with a mistake of its own, and a sixth has none."""
    project.fleet("lab", "up", "-i", project.lab, "-i", project.spare, "-l", "lab:worn-01")
    inventory = yaml.safe_load(project.lab.read_text())
    chosen = {}
    for host, (write, _) in EXPORT_MISTAKES.items():
        path = write(project.models / "mistakes" / write.__name__)
        chosen[host] = {"fleet_models": [str(path.relative_to(project.folder))]}
    sound = zoo.plain_onnx(project.models / "mistakes/sound")
    chosen["worn-01"] = {"fleet_models": [str(sound.relative_to(project.folder))]}
    inventory["mistakes"] = {"hosts": chosen}
    file = project.folder / "mistakes.yml"
    file.write_text(yaml.safe_dump(inventory))
    before = {host: engines(project, host) for host in OPSETS}
    done = project.deploy("-i", file, "-i", project.spare, "-l", "lab:worn-01", code=1)
    assert {host: engines(project, host) for host in OPSETS} == before
    shutil.rmtree(project.models / "mistakes")
    return done, before


def engines(project: Project, host: str) -> list[str]:
    """Engines and blobs on a device."""
    for place in (project.root(host) / "var/lib/fleet", project.root(host) / "home/nvidia/.local/share/fleet"):
        if place.is_dir():
            return sorted(path.name for kind in ("engines", "blobs") for path in (place / kind).glob("*"))
    return []


@pytest.mark.parametrize("host", EXPORT_MISTAKES)
def test_a_mistake_that_the_export_finds_stops_that_device_before_any_push(mistaken, host: str) -> None:
    done, _ = mistaken
    found = done.host(host)
    error = found["error"]
    assert found["status"] == "failed"
    assert found["bytes_pushed"] == 0
    assert found["engines"] == []
    assert error["what"]
    assert error["why"]
    assert error["remedy"]
    for word in EXPORT_MISTAKES[host][1]:
        assert word in " ".join([error["what"], error["why"], error["remedy"]])
    assert error["what"] in done.out


def test_the_device_without_a_mistake_is_deployed(mistaken) -> None:
    done, _ = mistaken
    assert done.host("worn-01")["status"] == "ok"
    assert done.engine("worn-01", "plain")["action"] in ("built", "reused")
