"""One project with a virtual lab for all tests of this folder, and the digits deployed to its five devices."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent / "models"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

from deploy_project import REPOSITORY, Done, Project, open_project  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and not item.get_closest_marker("sshd"):
            item.add_marker("lab")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose devices are served by the embedded SSH server."""
    yield from open_project(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped digits model, trained as `make demo` trains it."""
    pytest.importorskip("sklearn", reason="the demo extra is not installed: scikit-learn")
    folder = tmp_path_factory.mktemp("digits")
    shutil.copy(REPOSITORY / "playbooks/models/digits.yml", folder)
    (folder / "digits").mkdir()
    for name in ("model.py", "train.py"):
        shutil.copy(REPOSITORY / "playbooks/models/digits" / name, folder / "digits")
    subprocess.run([sys.executable, "train.py"], cwd=folder / "digits", check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="session")
def digits(project: Project, trained: Path) -> Done:
    """The first deploy of the digits model to all five devices, by the shipped playbook."""
    shutil.copytree(trained, project.models, dirs_exist_ok=True)
    return project.deploy("-i", project.lab, "--junit", project.folder / "junit.xml", quick=False)
