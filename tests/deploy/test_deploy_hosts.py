"""Devices that cannot be reached, or whose host key is not known or not the one we trust."""

from __future__ import annotations

import socket

import pytest
import yaml
from deploy_project import Project

zoo = pytest.importorskip("zoo")
pytest.importorskip("torch")

HOST = "keys-01"


@pytest.fixture(scope="module")
def inventory(project: Project):
    """A board behind plain SSH (a virtual one, but Fleet is not told), one that is off, and one of the lab."""
    from orchestrator.lab.lab import Lab

    project.fleet("lab", "up", "-i", project.spare, "-l", HOST)
    endpoint = Lab(project.home / "lab").endpoint(HOST)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    board = {"ansible_host": endpoint.host, "ansible_port": endpoint.port, "ansible_user": endpoint.user}
    hosts = {
        "board-01": {**board, "ansible_ssh_private_key_file": endpoint.key_file},
        "off-01": {"ansible_host": "127.0.0.1", "ansible_port": port, "ansible_user": "nvidia"},
        "worn-01": {"fleet_connection": "lab", "fleet_lab_profile": "nano-jetpack-4.6.1"},
    }
    file = project.folder / "mixed.yml"
    file.write_text(yaml.safe_dump({"all": {"hosts": hosts}}))
    return file


def known_hosts(project: Project) -> str:
    file = project.home / "known_hosts"
    return file.read_text() if file.exists() else ""


def test_unreachable_and_unknown_devices_do_not_hold_up_the_others(project: Project, inventory) -> None:
    spec = project.write_model(zoo.plain_onnx)
    done = project.deploy("-i", inventory, "-m", spec, code=4)
    assert done.host("worn-01")["status"] == "ok"
    assert done.engine("worn-01", "plain")["action"] in ("built", "reused", "revalidated")
    off = done.host("off-01")
    assert off["status"] == "unreachable"
    assert "cannot connect to nvidia@127.0.0.1" in off["error"]["what"]
    assert "Connection refused" in off["error"]["why"]
    assert off["error"]["remedy"]
    board = done.host("board-01")
    assert board["status"] == "unreachable"
    words = " ".join(board["error"][name] for name in ("what", "why", "remedy"))
    assert "host key" in words
    assert "SHA256:" in words
    assert "fleet trust" in board["error"]["remedy"]
    assert "board-01" in board["error"]["remedy"]
    assert "fleet trust" in done.out
    assert known_hosts(project) == ""


def test_trust_needs_somebody_who_agrees(project: Project, inventory) -> None:
    done = project.fleet("trust", "board-01", "-i", inventory, code=1)
    assert "SHA256:" in done.out
    assert "--yes" in done.err
    assert known_hosts(project) == ""


def test_a_trusted_device_is_deployed_like_any_other(project: Project, inventory) -> None:
    shown = project.fleet("trust", "board-01", "-i", inventory, "-y")
    assert "trusted: 1 added" in shown.out
    spec = project.write_model(zoo.plain_onnx)
    done = project.deploy("-i", inventory, "-l", "board-01", "-m", spec)
    assert done.host("board-01")["status"] == "ok"
    assert done.engine("board-01", "plain")["action"] == "built"
    # It says itself that it is virtual, although the inventory does not.
    assert done.host("board-01")["virtual"] is True
    assert any(line.startswith("board-01") and "virtual" in line for line in done.out.splitlines())


def test_a_changed_key_is_refused_until_it_is_replaced(project: Project, inventory) -> None:
    from orchestrator.lab.lab import Lab

    Lab(project.home / "lab").reset(HOST, new_host_key=True)
    trusted = known_hosts(project)
    limit = ("-i", inventory, "-l", "board-01")
    spec = project.write_model(zoo.plain_onnx)
    done = project.deploy(*limit, "-m", spec, "--accept-new-host-keys", code=4)
    error = done.host("board-01")["error"]
    assert "changed" in error["what"] + error["why"] or "not the one" in error["what"] + error["why"]
    assert "fleet trust --replace" in error["remedy"]
    assert (error["what"] + error["why"]).count("SHA256:") >= 1
    refused = project.fleet("trust", "board-01", "-i", inventory, "-y", code=4)
    assert "--replace" in refused.err
    assert known_hosts(project) == trusted
    replaced = project.fleet("trust", "board-01", "-i", inventory, "-y", "--replace")
    assert "1 added" in replaced.out
    assert "1 removed" in replaced.out
    assert project.fleet("ping", *limit).out.split()[:2] == ["board-01", "pong"]


def test_a_new_key_is_accepted_where_that_is_asked_for(project: Project, inventory) -> None:
    (project.home / "known_hosts").unlink()
    limit = ("-i", inventory, "-l", "board-01")
    refused = project.fleet("ping", *limit, code=4)
    assert "fleet trust" in refused.err
    assert "SHA256:" in refused.err
    assert "pong" in project.fleet("ping", *limit, "--accept-new-host-keys").out
    assert "pong" in project.fleet("ping", *limit).out
