"""The specification's `after` step: the application hears of a new engine, once, and a failing word is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deploy_project import Done, Project, sha256

zoo = pytest.importorskip("zoo")
pytest.importorskip("torch")

HOST = "told-01"
HEARD = "/home/nvidia/heard"


@pytest.fixture(scope="module")
def tell(project: Project):
    """Deploys the small .onnx model with an `after` step."""
    project.fleet("lab", "up", "-i", project.spare, "-l", HOST)
    with project.state(HOST) as state:
        state["services"]["recognizer.service"] = {"enabled": True, "active": True, "failed": False}

    def deploy(after: dict[str, Any], batch: int = 4, code: int = 0) -> Done:
        spec = zoo.plain_onnx(project.models / "told", after=after, batches=[batch])
        return project.deploy("-i", project.spare, "-l", HOST, "-m", spec, code=code)

    return deploy


def heard(project: Project) -> list[str]:
    file: Path = project.root(HOST) / HEARD.lstrip("/")
    return file.read_text().split() if file.exists() else []


def test_the_application_is_told_when_an_engine_is_switched(project: Project, tell) -> None:
    after = {"service": "recognizer", "command": f"echo told >> {HEARD}"}
    tell(after)
    assert project.service(HOST, "recognizer.service")["starts"] == 1
    assert heard(project) == ["told"]
    assert tell(after).engine(HOST, "plain")["action"] == "reused"
    assert project.service(HOST, "recognizer.service")["starts"] == 1
    assert heard(project) == ["told"]


@pytest.mark.parametrize(
    ("batch", "after", "words"),
    [
        (5, {"service": "nobody-knows-it"}, ["nobody-knows-it"]),
        (6, {"command": "echo out of paper >&2; exit 3"}, ["exit code 3", "out of paper"]),
        (7, {"command": ["/usr/bin/no-such-command"]}, ["no-such-command"]),
    ],
    ids=["unit", "shell", "argv"],
)
def test_a_failing_step_is_reported_and_the_engine_stays_active(
    project: Project, tell, batch: int, after: dict[str, Any], words: list[str]
) -> None:
    done = tell(after, batch, code=2)
    host = done.host(HOST)
    error = host["error"]
    assert error["what"].startswith("plain is active, but its `after` step failed")
    for word in words:
        assert word in error["what"] + error["why"]
    assert "by hand" in error["remedy"]
    assert host["status"] == "failed"
    assert done.engine(HOST, "plain")["action"] == "built"
    (active,) = project.current(HOST, "plain").glob("*.engine")
    assert sha256(active) == sha256(project.folder / "runs/latest" / done.engine(HOST, "plain")["artifact"])
