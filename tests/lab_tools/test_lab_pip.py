"""pip of virtual devices: what it installs is imported as on a board, and what it cannot build fails in true words."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml

NANO, FOCAL, ORIN = "nano-jetpack-4.6.1", "xavier-nx-jetpack-5.1.2", "orin-nano-jetpack-6.2"
CUDA = "/usr/local/cuda/bin:/usr/bin:/bin"


class Pip:
    """pip on a board that has it; `new` upgrades it first."""

    def __init__(self, board, new: str = "") -> None:
        self.board = board
        board.run("apt_get", "install", "-y", "python3-pip", "build-essential", "python3-dev", check=True)
        if new:
            self("install", "--upgrade", f"pip=={new}", check=True)

    def __call__(self, *args, root=True, check=False, path="/usr/bin:/bin", **env):
        return self.board.run("pip", *args, root=root, check=check, env={"PATH": path, **env})

    def folder(self, name="usr/local/lib/python3.6/dist-packages"):
        return self.board.root / name


@pytest.fixture
def pip(device):
    return lambda name=NANO, new="": Pip(device(name), new)


def _python(folder, code, **env):
    argv = [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); {code}"]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, **env}, timeout=30)


def test_an_installation_by_root_and_by_the_user(pip):
    run = pip(new="21.3.1")
    said = run("install", "onnx==1.11.0", "protobuf==3.19.6", check=True).stdout
    assert "Successfully installed numpy-1.19.5 onnx-1.11.0 protobuf-3.19.6" in said
    assert (run.folder() / "onnx/__init__.py").exists()
    listed = {row["name"]: row["version"] for row in json.loads(run("list", "--format=json").stdout)}
    assert listed["onnx"] == "1.11.0"
    assert listed["pip"] == "21.3.1"
    again = run("install", "onnx==1.11.0", check=True).stdout
    assert "Requirement already satisfied: onnx==1.11.0" in again
    run("install", "colored<2", root=False, check=True)
    own = run.folder("home/nvidia/.local/lib/python3.6/site-packages")
    assert _python(own, "import colored; print(colored.__version__)").stdout.strip() == "1.4.4"
    run("uninstall", "-y", "onnx", check=True)
    assert not (run.folder() / "onnx").exists()


def test_the_pip_of_bionic_is_old(pip):
    run = pip()
    assert run("--version").stdout.startswith("pip 9.0.1 from /usr/lib/python3/dist-packages (python 3.6)")
    cache = run("cache", "purge")
    assert (cache.returncode, cache.stderr) == (1, 'ERROR: unknown command "cache"\n')
    unknown = run("install", "--no-build-isolation", "six")
    assert unknown.returncode == 2
    assert "no such option: --no-build-isolation" in unknown.stderr
    # It takes no manylinux2014 wheel, and onnxruntime has nothing else.
    wheel = run("install", "onnxruntime==1.10.0")
    assert wheel.returncode == 1
    assert "No matching distribution found for onnxruntime==1.10.0" in wheel.stderr
    newer = run("install", "pycuda==2021.1", path=CUDA)
    assert "RuntimeError: Python version >= 3.8 required." in newer.stderr


def test_a_version_for_another_python_is_not_taken(pip):
    run = pip(new="21.3.1")
    assert "Successfully installed numpy-1.19.5" in run("install", "numpy").stdout
    refused = run("install", "numpy==1.21.6")
    assert refused.returncode == 1
    assert "ERROR: No matching distribution found for numpy==1.21.6" in refused.stderr


def test_pycuda_needs_nvcc_headers_and_a_compiler(pip):
    run = pip(new="21.3.1")
    lost = run("install", "pycuda==2019.1.2")
    assert lost.returncode == 1
    assert "*** WARNING: nvcc not in path." in lost.stderr
    assert "src/cpp/cuda.hpp:14:10: fatal error: cuda.h: No such file or directory" in lost.stderr
    assert run("install", "pycuda==2019.1.2", CPATH="/usr/local/cuda/include").returncode == 0
    run.board.run("apt_get", "remove", "-y", "gcc", check=True)
    run("uninstall", "-y", "pycuda", check=True)
    run("cache", "purge", check=True)
    gone = run("install", "pycuda==2019.1.2", CPATH="/usr/local/cuda/include")
    assert "unable to execute 'aarch64-linux-gnu-gcc': No such file or directory" in gone.stderr


def test_a_cached_wheel_for_another_cuda_comes_back_until_the_cache_is_purged(pip):
    run = pip(new="21.3.1")
    run.board.run("fault", "pycuda_other_cuda", check=True)
    cached = run("install", "--force-reinstall", "--no-deps", "pycuda==2019.1.2", root=False, path=CUDA)
    assert "Using cached pycuda-2019.1.2.whl" in cached.stdout
    driver = run.folder("home/nvidia/.local/lib/python3.6/site-packages/pycuda/driver.py")
    assert 'BUILT_FOR = "9.0"' in driver.read_text()
    run("cache", "purge", root=False, check=True)
    run("install", "--force-reinstall", "--no-deps", "pycuda==2019.1.2", root=False, path=CUDA, check=True)
    assert 'BUILT_FOR = "10.2"' in driver.read_text()


def test_onnx_complains_of_a_protobuf_that_is_too_new(pip):
    run = pip(FOCAL, new="24.0")
    folder = run.folder("usr/local/lib/python3.8/dist-packages")
    run("install", "onnx==1.12.0", check=True)
    assert _python(folder, "import onnx").returncode == 0
    run("install", "protobuf==4.25.8", check=True)
    assert "Descriptors cannot not be created directly." in _python(folder, "import onnx").stderr
    assert "onnx 1.12.0 has requirement protobuf>=3.12.2,<=3.20.1, but you have protobuf 4.25.8." in run("check").stdout


def test_requirements_files_and_wheels_at_hand(pip, tmp_path):
    run = pip(ORIN, new="24.0")
    (tmp_path / "wanted.txt").write_text("# pins\nsix==1.16.0\ncolored<2  # old\n")
    assert "six-1.16.0" in run("install", "-r", str(tmp_path / "wanted.txt"), check=True).stdout
    (tmp_path / "polygraphy-0.49.9-py2.py3-none-any.whl").write_text("")
    words = ["install", "--no-index", "--find-links", str(tmp_path), "polygraphy"]
    assert "polygraphy-0.49.9" in run(*words, check=True).stdout
    assert run("install", "--no-index", "--find-links", str(tmp_path), "decorator").returncode == 1


def test_a_full_disk_and_a_wrong_clock(pip):
    run = pip(ORIN)
    run.board.run("fault", "disk_full", "5", check=True)
    assert "[Errno 28] No space left on device" in run("install", "six").stderr
    run.board.run("fault", "disk_full", "off", check=True)
    run.board.run("fault", "clock_1970", check=True)
    assert "certificate is not yet valid" in run("install", "six").stderr


def test_everything_that_provisioning_pins_is_in_the_index(lab_folder):
    table = yaml.safe_load((lab_folder.parent / "platforms/data/provisioning.yml").read_text())
    index = json.loads((lab_folder / "tools/python_index.json").read_text())
    asked = [(name, version) for row in table["pins"] for name, version in {**row["packages"], **row["pycuda"]}.items()]
    asked += [("pip", row["pip"]) for row in table["pins"] if row["pip"]]
    assert len(asked) > 20
    for name, version in asked:
        assert name in index, name
        if version[0].isdigit():
            assert version in index[name]["versions"], (name, version)
