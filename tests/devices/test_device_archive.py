"""The agent's archive: the same digest for the same content, unpacked by every device Python."""

import os
import shutil
from pathlib import Path

import pytest
from device_settings import host_settings

from orchestrator.devices.archive import agent_archive, digest_of
from orchestrator.devices.device import Device
from orchestrator.devices.launch import command_line, interpreter

VERSIONS = Path.home() / ".pyenv" / "versions"


def find_python(version):
    found = sorted(VERSIONS.glob(f"{version}.*/bin/python"))
    return str(found[-1]) if found else shutil.which(f"python{version}")


def copy_of_agent(folder):
    shutil.copytree(Path(__file__).parents[2] / "device_agent", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_the_digest_is_that_of_the_content_alone(tmp_path):
    first = agent_archive(copy_of_agent(tmp_path / "one"))
    other = copy_of_agent(tmp_path / "two")
    for file in other.rglob("*.py"):
        os.utime(file, (1, 1))
    (other / "__pycache__").mkdir()
    (other / "__pycache__" / "junk.pyc").write_bytes(b"junk")
    second = agent_archive(other)
    assert first.digest == second.digest
    assert first.zipped() == second.zipped()


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "serve.py").write_text("changed"),
        lambda folder: (folder / "serve.py").rename(folder / "served.py"),
        lambda folder: (folder / "new.json").write_text(""),
    ],
    ids=["content", "name", "one more"],
)
def test_any_change_of_the_agent_is_another_digest(tmp_path, change):
    before = agent_archive(copy_of_agent(tmp_path / "one")).digest
    change(copy_of_agent(tmp_path / "two"))
    assert agent_archive(tmp_path / "two").digest != before


def test_moving_bytes_between_name_and_content_is_another_digest():
    assert digest_of({"a": b"b\0c"}) != digest_of({"a\0b": b"c"})
    assert digest_of({"a": b"x", "b": b""}) != digest_of({"a": b"", "b": b"x"})


def test_the_agent_is_small_enough_for_the_exec_channel():
    assert len(agent_archive().zipped()) < 400_000


def test_the_start_line_survives_any_shell():
    line = command_line("nonce", "digest", "/usr/bin/python3", "auto")
    assert "\n" not in line
    assert "!" not in line
    assert len(line) < 8000


@pytest.mark.parametrize(
    ("setting", "python"),
    [
        (None, "/usr/bin/python3"),
        ("auto", "/usr/bin/python3"),
        ("auto_silent", "/usr/bin/python3"),
        ("/opt/python3.8/bin/python3", "/opt/python3.8/bin/python3"),
    ],
)
def test_the_system_python_unless_the_inventory_names_one(setting, python):
    assert interpreter(setting) == python


@pytest.mark.agent
@pytest.mark.parametrize("version", ["3.6", "3.8", "3.10", "3.12"])
def test_every_device_python_unpacks_and_runs_the_agent(bench, version):
    python = find_python(version)
    if not python:
        pytest.skip(f"no Python {version} here")
    settings = host_settings(connection="local", python_interpreter=python, root=str(bench.folder / "root"))
    for pushed in (True, False):
        device = Device("here", settings)
        bench.closers.append(device.close)
        assert device.greeting["python"].startswith(f"{version}.")
        assert device.agent_pushed is pushed
        assert device.call("ping").data
        folder = Path.home() / ".cache/fleet/agent" / device.greeting["agent"] / "device_agent"
        assert (folder / "__pycache__" / f"serve.cpython-{version.replace('.', '')}.pyc").is_file()
        device.close()


def test_old_agents_are_cleared_but_the_last_few(bench):
    agents = bench.folder / "user" / ".cache/fleet/agent"
    for age in range(8):
        folder = agents / f"{age:032x}"
        folder.mkdir(parents=True)
        os.utime(folder, (1_000_000 - age, 1_000_000 - age))
    stale, fresh = agents / ".new-stale", agents / ".new-fresh"
    stale.mkdir()
    os.utime(stale, (1, 1))
    fresh.mkdir()
    device = Device("here", host_settings(connection="local", root=str(bench.folder / "root")))
    bench.closers.append(device.close)
    device.connect()
    left = {entry.name for entry in agents.iterdir()}
    assert left == {device.greeting["agent"], ".new-fresh", *(f"{age:032x}" for age in range(4))}
