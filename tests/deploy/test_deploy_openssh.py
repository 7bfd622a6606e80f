"""The same deploy over an SSH server that nobody here wrote."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy_project import OPSETS, Done, Project, open_project

pytestmark = pytest.mark.sshd


@pytest.fixture(scope="module")
def openssh(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Iterator[Project]:
    if not shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
        pytest.skip("openssh-server is not installed")
    for project in open_project(tmp_path_factory.mktemp("openssh")):
        shutil.copytree(trained, project.models, dirs_exist_ok=True)
        project.fleet("lab", "up", "-i", project.lab, "--server", "openssh")
        yield project


@pytest.fixture(scope="module")
def deployed(openssh: Project) -> Done:
    return openssh.deploy("-i", openssh.lab)


def test_the_server_is_openssh(openssh: Project, deployed: Done) -> None:
    import socket

    from orchestrator.lab.lab import Lab

    for host in OPSETS:
        endpoint = Lab(openssh.home / "lab").endpoint(host)
        with socket.create_connection((endpoint.host, endpoint.port), timeout=5) as client:
            assert client.recv(255).startswith(b"SSH-2.0-OpenSSH")


@pytest.mark.parametrize("host", OPSETS)
def test_each_device_has_a_proved_engine_over_openssh(openssh: Project, deployed: Done, host: str) -> None:
    engine = deployed.engine(host, "digits")
    assert (engine["action"], engine["opset"], engine["precision"]) == ("built", OPSETS[host], "fp16")
    assert engine["verdict"]["passed"]
    assert engine["verdict"]["samples"] >= 360
    assert engine["verdict"]["metrics"]["scores"]["top1"] >= 0.995
    assert (openssh.current(host, "digits") / "digits.engine").is_file()


def test_the_second_deploy_over_openssh_reuses_all(openssh: Project, deployed: Done) -> None:
    done = openssh.deploy("-i", openssh.lab)
    assert done.actions("digits") == dict.fromkeys(OPSETS, "reused")
    assert done.result
    assert done.result["summary"]["bytes_pushed"] == 0
