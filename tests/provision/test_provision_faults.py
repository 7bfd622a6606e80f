"""What goes wrong on new units: mended where that can be done, else said so that a person knows what to do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from provision_project import Bench, Done, open_bench

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("provision")]

INVENTORY = """
all:
  vars: {fleet_connection: lab, ansible_user: nvidia, fleet_lab_profile: nano-jetpack-4.6.1}
  hosts: {worn-01: {}}
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    pytest.importorskip("asyncssh", reason="the lab extra is not installed")
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode != 0:
        pytest.skip("user namespaces are forbidden here")
    with open_bench(tmp_path_factory.mktemp("faults")) as found:
        (found.folder / "worn.yml").write_text(INVENTORY)
        assert found.fleet("lab", "up", "-i", "worn.yml").code == 0
        yield found


@pytest.fixture
def broken(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The device with the fault that the test asks for, which is ended afterwards."""
    from orchestrator.lab.lab import Lab

    lab = Lab(bench.home / "lab")
    name, _, value = request.param.partition(":")
    lab.fault("worn-01", name, value)
    yield bench
    lab.fault("worn-01", name, "off")


def provision(bench: Bench, tags: str, *more: str) -> Done:
    return bench.fleet("provision", "-i", "worn.yml", "--no-live", "--tags", tags, *more)


@pytest.mark.parametrize(
    ("broken", "tags", "task"),
    [
        ("clock_1970", "clock", "Set the clock"),
        ("half_configured:libnvinfer-bin", "checks", "Finish half-configured packages"),
        ("missing_group:video", "gpu_access", "Let users use the GPU"),
        ("apt_lock:3", "apt", "Install what the later steps need"),
        ("numpy_illegal_instruction", "python", "Install the pinned Python packages"),
    ],
    indirect=["broken"],
)
def test_it_is_mended(broken: Bench, tags: str, task: str) -> None:
    done = provision(broken, tags)
    assert done.code == 0, done.text
    assert any(task in line and "changed" in line for line in done.text.splitlines()), done.text
    again = provision(broken, tags)
    assert again.code == 0 and again.counts()["worn-01"]["changed"] == 0, again.text


def test_a_pycuda_of_another_cuda_is_built_anew(bench: Bench) -> None:
    from orchestrator.lab.lab import Lab

    assert provision(bench, "apt,sdk,python").code == 0
    lab = Lab(bench.home / "lab")
    lab.fault("worn-01", "pycuda_other_cuda", "")
    done = provision(bench, "pycuda")
    assert done.code == 0, done.text
    assert any("Install pycuda" in line and "changed" in line for line in done.text.splitlines()), done.text
    assert provision(bench, "pycuda").counts()["worn-01"]["changed"] == 0


@pytest.mark.parametrize(
    ("broken", "tags", "code", "words"),
    [
        ("disk_full", "checks", 2, ["the disk is too full", "MB are free", "apt-get clean"]),
        ("read_only", "checks", 2, ["read-only", "replace"]),
        ("unconfigurable", "checks", 2, ["nvidia-l4t-bootloader", "hold"]),
        ("sudo_asks", "clock,memory", 2, ["password", "try:"]),
        ("sudo_wrong_password", "memory", 2, ["password", "try:"]),
    ],
    indirect=["broken"],
)
def test_it_is_said_what_to_do(broken: Bench, tags: str, code: int, words: list[str]) -> None:
    done = provision(broken, tags)
    assert done.code == code, done.text
    for word in words:
        assert word in done.text, done.text
    assert "Traceback" not in done.text


def test_a_password_lets_sudo_do_it(bench: Bench) -> None:
    from orchestrator.lab.lab import Lab

    lab = Lab(bench.home / "lab")
    lab.fault("worn-01", "sudo_asks", "")
    try:
        done = provision(bench, "memory", "-e", "ansible_become_password=nvidia")
        assert done.code == 0, done.text
    finally:
        lab.fault("worn-01", "sudo_asks", "off")
