"""A lab of one virtual Nano per SSH server, shared by the tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from lab_clients import NANO, Nano, bring_up

from orchestrator.lab.lab import Lab


@pytest.fixture(scope="session")
def make_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Lab]]:
    made: list[Lab] = []

    def make() -> Lab:
        made.append(Lab(tmp_path_factory.mktemp("lab")))
        return made[-1]

    yield make
    for lab in made:
        lab.remove()
        assert not lab.directory.exists()


@pytest.fixture(scope="session", params=["embedded", pytest.param("openssh", marks=pytest.mark.sshd)])
def nano(request: pytest.FixtureRequest, make_lab: Callable[[], Lab]) -> Nano:
    if request.param == "openssh" and not shutil.which("sshd", path="/usr/sbin:/usr/local/sbin"):
        pytest.skip("openssh-server is not installed")
    lab = make_lab()
    bring_up(lab, {"nano": NANO}, request.param)
    return Nano(lab)
