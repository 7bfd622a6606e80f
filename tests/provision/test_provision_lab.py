"""Whole provisionings of virtual Jetsons: predicted without a trace, done, and nothing left to do."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from provision_project import REPOSITORY, Bench, open_bench

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("provision")]

INVENTORIES = ("lab-bare.yml", "lab.yml")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    pytest.importorskip("asyncssh", reason="the lab extra is not installed")
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode != 0:
        pytest.skip("user namespaces are forbidden here")
    with open_bench(tmp_path_factory.mktemp("provision")) as found:
        yield found


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_a_new_device_becomes_ready_as_predicted_and_stays_so(bench: Bench, inventory: str) -> None:
    # The first contact brings the agent and what it remembers of trtexec; what comes then is to leave no trace.
    assert bench.fleet("facts", "-i", str(REPOSITORY / "inventory" / inventory)).code == 0
    names = [path.name for path in (bench.home / "lab/devices").iterdir()]
    before = {name: bench.contents(name) for name in names}
    states = {name: bench.state(name) for name in names}

    predicted = bench.provision(inventory, "--check", "--diff")
    assert predicted.code == 0, predicted.text
    for name in predicted.result["hosts"]:
        assert bench.contents(name) == before[name], name
        assert bench.state(name)["packages"] == states[name]["packages"]
        assert predicted.counts()[name]["changed"] > 0

    done = bench.provision(inventory)
    assert done.code == 0, done.text
    assert set(done.status().values()) == {"ok"}
    for name, counts in done.counts().items():
        assert counts["failed"] == 0
        wrong = f"{name} was predicted wrongly\n{predicted.of(name)}\n{done.of(name)}"
        assert counts["changed"] == predicted.counts()[name]["changed"], wrong

    again = bench.provision(inventory)
    assert again.code == 0, again.text
    assert {name: counts["changed"] for name, counts in again.counts().items()} == dict.fromkeys(done.counts(), 0)


def test_sources_are_mended_where_their_texts_are_and_nowhere_else(bench: Bench) -> None:
    mended = {
        name: (bench.root(name) / "usr/local/share/fleet/onnx-tensorrt.json").read_text()
        for name in ("xavier-nx-old-01", "nano-02", "orin-nano-bare-01")
    }
    assert '"minus_m64"' in mended["xavier-nx-old-01"] and '"tensorrtapi"' in mended["xavier-nx-old-01"]
    assert '"patched": []' in mended["nano-02"] and '"8.2-GA"' in mended["nano-02"]
    assert '"patched": []' in mended["orin-nano-bare-01"] and '"10.3-GA"' in mended["orin-nano-bare-01"]


def test_what_was_done_is_there(bench: Bench) -> None:
    nano, orin = bench.state("nano-02"), bench.state("orin-nano-bare-01")
    assert bench.root("nano-old-01").joinpath("usr/src/tensorrt/bin/trtexec").exists(), "built from the samples"
    assert orin["packages"]["libnvinfer10"].startswith("10.3.0")
    assert nano["services"]["fleet-clocks.service"]["enabled"]
    assert "nvidia-l4t-core" in nano["held"]
    assert "/mnt/fleet.swap none swap sw 0 0" in bench.root("nano-02").joinpath("etc/fstab").read_text()
    assert "/mnt/fleet.swap" not in bench.root("orin-nano-bare-01").joinpath("etc/fstab").read_text()


OFFLINE = """
- hosts: all
  gather_facts: true
  become: true
  tasks:
    - onnx_tensorrt: {state: absent}
    - command: /usr/bin/python3 -c "import onnx_tensorrt"
      register: gone
      failed_when: gone.rc == 0
    - onnx_tensorrt: {source: archive, archive: "{{ archive }}", sha256: "{{ sha256 | default(omit) }}"}
"""


def test_a_site_without_internet_builds_from_an_archive(bench: Bench, tmp_path: Path) -> None:
    repositories = [path for path in bench.home.rglob("onnx/onnx-tensorrt*") if (path / "HEAD").exists()]
    assert repositories, "the lab's own repositories have moved"
    folder = repositories[0].parents[1]
    settings = {
        "safe.directory": "*",
        "protocol.file.allow": "always",
        f"url.file://{folder}/.insteadOf": "https://github.com/",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    clone = ["clone", "-q", "--recurse-submodules", "--branch", "8.2-GA", repositories[0], tmp_path / "onnx-tensorrt"]
    subprocess.run(["git", *options, *clone], check=True)
    archive = tmp_path / "onnx-tensorrt.tar.gz"
    subprocess.run(["tar", "-C", tmp_path, "-czf", archive, "onnx-tensorrt"], check=True)
    (bench.folder / "offline.yml").write_text(OFFLINE)
    play = ("play", "offline.yml", "-i", str(REPOSITORY / "inventory/lab-bare.yml"), "-l", "nano-02", "--no-live")
    wrong = bench.fleet(*play, "-e", f"archive={archive}", "-e", f"sha256={'0' * 64}")
    assert wrong.code != 0 and "not the archive that was meant" in wrong.text, wrong.text
    done = bench.fleet(*play, "-e", f"archive={archive}")
    assert done.code == 0, done.text
    record = (bench.root("nano-02") / "usr/local/share/fleet/onnx-tensorrt.json").read_text()
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in record
