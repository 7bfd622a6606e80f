"""What provisioning does on a running bare unit: sources cloned, patched and built; units, swap, clock; faults."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from orchestrator.lab.repositories import make_repositories

pytest.importorskip("asyncssh")
paramiko = pytest.importorskip("paramiko")

OLD_NX, BARE = "xavier-nx-jetpack-4.5.1", "orin-nano-jetpack-6.2-bare"
CONFIGURE = "cmake -DTENSORRT_ROOT=/usr/src/tensorrt -DCMAKE_CXX_FLAGS=-I/usr/local/cuda/include .."


class Shell:
    """`shell(device, command)` runs a command of the login user: (exit status, merged output)."""

    def __init__(self, lab, endpoints) -> None:
        self.lab, self.clients = lab, {}
        for name, endpoint in endpoints.items():
            client = paramiko.SSHClient()
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            key = {"key_filename": endpoint.key_file, "look_for_keys": False, "allow_agent": False}
            client.connect(endpoint.host, endpoint.port, endpoint.user, timeout=20, **key)
            self.clients[name] = client

    def __call__(self, name, command):
        channel = self.clients[name].get_transport().open_session(timeout=20)
        channel.set_combine_stderr(True)
        channel.settimeout(120)
        channel.exec_command(command)
        channel.shutdown_write()
        output = b""
        while chunk := channel.recv(65536):
            output += chunk
        return channel.recv_exit_status(), output.decode()

    def ok(self, name, command):
        code, said = self(name, command)
        assert code == 0, f"{command}: {code}\n{said}"
        return said


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    from orchestrator.errors import ConfigurationError
    from orchestrator.lab.lab import Lab, LabDevice

    if not shutil.which("git") or not shutil.which("make"):
        pytest.skip("git and make of this machine are what virtual devices build with")
    lab = Lab(tmp_path_factory.mktemp("lab"))
    devices = {"nx": LabDevice(OLD_NX), "bare": LabDevice(BARE, faults=("missing_group:render",))}
    try:
        endpoints = lab.up(devices)
    except ConfigurationError as problem:
        pytest.skip(f"no virtual devices here: {problem.what}")
    shell = Shell(lab, endpoints)
    yield shell
    for client in shell.clients.values():
        client.close()
    lab.remove()


@pytest.fixture(scope="module")
def ready(shell):
    """A Xavier NX with what a build needs, and the sources of onnx-tensorrt 7.1."""
    names = "build-essential python3-dev python3-pip git swig cmake protobuf-compiler libprotobuf-dev"
    shell.ok("nx", f"sudo apt-get install -y --no-install-recommends {names}")
    url = "https://github.com/onnx/onnx-tensorrt.git"
    shell.ok("nx", f"git clone -q --depth 1 --branch 7.1 --recurse-submodules --shallow-submodules {url} parser")
    return shell


def test_submodules_come_with_a_clone(ready):
    assert "CMakeLists.txt" in ready.ok("nx", "ls parser/third_party/onnx")
    code, said = ready("nx", "git ls-remote https://github.com/onnx/no-such-thing.git")
    assert code == 128
    assert "does not appear to be a git repository" in said


def test_an_old_cmake_and_an_old_protobuf_are_refused_and_newer_ones_built(ready):
    code, said = ready("nx", f"mkdir -p parser/build && cd parser/build && {CONFIGURE}")
    assert code == 1
    assert "CMake 3.13 or higher is required.  You are running version 3.10.2" in said
    clone = "git clone -q --depth 1 --branch {} https://github.com/{}.git {} 2>/dev/null"
    ready.ok("nx", clone.format("v3.16.9", "Kitware/CMake", "cmake"))
    ready.ok("nx", "cd cmake && ./bootstrap --parallel=2 --prefix=/usr/local -- && make -j2 && sudo make install")
    assert ready.ok("nx", "cmake --version").startswith("cmake version 3.16.9\n")
    code, said = ready("nx", f"cd parser/build && {CONFIGURE}")
    assert code == 1
    assert 'Found unsuitable version "3.0.0"' in said
    ready.ok("nx", clone.format("v3.12.4", "protocolbuffers/protobuf", "protobuf"))
    ready.ok("nx", "mkdir protobuf/build && cd protobuf/build && cmake ../cmake && make -j2 && sudo make install")
    assert ready.ok("nx", "protoc --version") == "libprotoc 3.12.4\n"
    said = ready.ok("nx", f"cd parser/build && {CONFIGURE} && make -j2 && sudo make install && onnx2trt -V")
    assert "[100%] Built target onnx2trt" in said
    assert "TensorRT 7.1.3" in said


def test_both_patches_of_7_1_are_needed(ready):
    code, said = ready("nx", "cd parser && python3 setup.py build")
    assert code == 1
    assert "Error: Syntax error in input(1)." in said
    assert "error: command 'swig' failed with exit status 1" in said
    ready.ok("nx", "cd parser && sed -i '1i#define TENSORRTAPI' NvOnnxParser.h")
    code, said = ready("nx", "cd parser && python3 setup.py build")
    assert code == 1
    assert "error: unrecognized command line option ‘-m64’" in said
    assert "error: command 'aarch64-linux-gnu-gcc' failed with exit status 1" in said
    ready.ok(
        "nx", "cd parser && sed -i \"/'-m64',/d\" setup.py && python3 setup.py build && sudo python3 setup.py install"
    )
    assert "onnx-tensorrt (7.1.0)" in ready.ok("nx", "python3 -m pip list").replace("_", "-")


def test_the_backend_imports_only_with_what_it_needs(ready):
    code, said = ready("nx", "cd / && python3 -c 'import onnx_tensorrt'")
    assert code == 1
    assert "ModuleNotFoundError: No module named" in said
    ready.ok("nx", "python3 -m pip install --upgrade pip==21.3.1")
    pins = "numpy==1.19.5 onnx==1.11.0 protobuf==3.19.6 pycuda==2019.1.2 'pytools<2021'"
    ready.ok("nx", f"PATH=/usr/local/cuda/bin:$PATH python3 -m pip install {pins}")
    ready.ok("nx", "cd / && python3 -c 'import onnx_tensorrt'")
    code = "import pycuda.driver as d; d.init(); print(d.Device(0).compute_capability())"
    assert ready.ok("nx", f"cd / && python3 -c '{code}'") == "(7, 2)\n"
    ready.lab.fault("nx", "missing_group", "video")
    code, said = ready("nx", f"cd / && python3 -c '{code}'")
    assert "NvRmMemInitNvmap failed with Permission denied" in said
    ready.lab.fault("nx", "missing_group", "off")


def test_too_many_compilers_at_once_are_killed(ready):
    ready.ok("nx", "mkdir many; for n in 1 2 3 4 5 6 7 8 9; do echo '// heavy' > many/$n.cpp; done")
    code, said = ready("nx", "cd many && make -j9 1.o 2.o 3.o 4.o 5.o 6.o 7.o 8.o 9.o")
    assert code == 2
    assert "c++: internal compiler error: Killed (program cc1plus)" in said
    assert "(cc1plus)" in ready.ok("nx", "dmesg")
    ready.ok("nx", "cd many && make -j2 1.o 2.o 3.o 4.o 5.o 6.o 7.o 8.o 9.o")


def test_a_unit_runs_its_command_at_every_boot(shell):
    unit = "[Service]\\nType=oneshot\\nExecStart=/usr/bin/jetson_clocks\\n[Install]\\nWantedBy=multi-user.target\\n"
    shell.ok("bare", f"printf '{unit}' | sudo tee /etc/systemd/system/clocks.service")
    said = shell.ok("bare", "sudo systemctl daemon-reload; sudo systemctl enable clocks; systemctl is-enabled clocks")
    assert "Created symlink /etc/systemd/system/multi-user.target.wants/clocks.service" in said
    assert shell.ok("bare", "cat /.lab/state.json").count('"locked": true') == 0
    shell.clients["bare"].close()
    shell.lab.reboot("bare")
    shell.clients.update(Shell(shell.lab, {"bare": shell.lab.endpoint("bare")}).clients)
    assert shell.ok("bare", "cat /.lab/state.json").count('"locked": true') == 1


def test_swap_can_be_added_and_taken_away(shell):
    shell.ok("bare", "sudo fallocate -l 1G /mnt/swap && sudo chmod 600 /mnt/swap")
    code, said = shell("bare", "sudo swapon /mnt/swap")
    assert (code, said) == (255, "swapon: /mnt/swap: read swap header failed\n")
    shell.ok("bare", "sudo mkswap /mnt/swap && sudo swapon /mnt/swap")
    before = int(shell.ok("bare", "grep SwapTotal /proc/meminfo").split()[1])
    assert "/mnt/swap" in shell.ok("bare", "cat /proc/swaps")
    shell.ok("bare", "sudo systemctl disable --now nvzramconfig")
    assert int(shell.ok("bare", "grep SwapTotal /proc/meminfo").split()[1]) < before
    assert "zram" not in shell.ok("bare", "cat /proc/swaps")
    shell.ok("bare", "sudo swapoff /mnt/swap")
    assert int(shell.ok("bare", "grep SwapTotal /proc/meminfo").split()[1]) == 0


def test_the_clock_is_the_devices_own(shell):
    shell.ok("bare", "sudo date -u -s @86400")
    assert shell.ok("bare", "date -u +%Y-%m-%d") == "1970-01-02\n"
    assert shell.ok("bare", "python3 -c 'import time; print(int(time.time()) // 100)'") == "864\n"
    code, said = shell("bare", "sudo timedatectl set-time '2026-01-01 00:00:00'")
    assert (code, said) == (1, "Failed to set time: Automatic time synchronization is enabled\n")
    shell.lab.fault("bare", "clock_1970", "off")
    assert int(shell.ok("bare", "date +%Y")) > 2020


def test_users_and_groups_are_the_devices_own(shell):
    if not shutil.which("useradd", path="/usr/sbin:/usr/bin"):
        pytest.skip("useradd is not installed on this machine")
    assert "render" not in shell.ok("bare", "id -nG nvidia").split()
    shell.ok("bare", "sudo usermod -a -G render nvidia && sudo useradd -m -s /bin/bash worker")
    assert "render" in shell.ok("bare", "id -nG nvidia").split()
    assert shell.ok("bare", "getent passwd worker").startswith("worker:x:1001:")


def test_a_drop_in_of_sudoers_counts(shell):
    shell.lab.fault("bare", "sudo_asks")
    assert shell("bare", "sudo -n true")[0] == 1
    line = "nvidia ALL=(ALL) NOPASSWD: ALL"
    write = f"printf '{line}\\n' > /etc/sudoers.d/nvidia && chmod 440 /etc/sudoers.d/nvidia"
    shell.ok("bare", f'echo nvidia | sudo -S sh -c "{write}" && sudo -k')
    assert shell.ok("bare", "sudo -n visudo -c -f /etc/sudoers.d/nvidia") == "/etc/sudoers.d/nvidia: parsed OK\n"
    shell.lab.fault("bare", "sudo_asks", "off")
    code, said = shell("bare", "echo 'nvidia may do all' > wrong; visudo -cf wrong")
    assert (code, "syntax error near line 1" in said) == (1, True)


def test_a_read_only_file_system(shell):
    shell.lab.fault("bare", "read_only")
    try:
        assert "Read-only file system" in shell("bare", "touch here")[1]
        assert shell("bare", "sudo touch /etc/here")[0] == 1
    finally:
        shell.lab.fault("bare", "read_only", "off")
    shell.ok("bare", "touch here")


def test_an_unknown_fault_is_refused(shell):
    from orchestrator.errors import ConfigurationError

    with pytest.raises(ConfigurationError, match="no fault 'apt_lok'") as refused:
        shell.lab.fault("bare", "apt_lok")
    assert refused.value.remedy == "did you mean 'apt_lock'?"


def test_the_repositories_are_sound_and_have_what_provisioning_clones(lab_folder, tmp_path):
    place = make_repositories(tmp_path)
    assert make_repositories(tmp_path) == place
    table = yaml.safe_load((lab_folder.parent / "platforms/data/provisioning.yml").read_text())
    refs = {}
    for name in ("onnx/onnx-tensorrt", "Kitware/CMake", "protocolbuffers/protobuf", "NVIDIA/TensorRT", "onnx/onnx"):
        folder = str(Path(place, f"{name}.git"))
        git = ["git", "-c", "safe.directory=*", "-C", folder]
        subprocess.run([*git, "fsck", "--strict"], check=True, capture_output=True)
        listed = subprocess.run([*git, "for-each-ref", "--format=%(refname:short)"], check=True, capture_output=True)
        refs[name] = listed.stdout.decode().split()
    assert {row["branch"] for row in table["onnx_tensorrt"]} <= set(refs["onnx/onnx-tensorrt"])
    assert table["sources"]["cmake"]["branch"] in refs["Kitware/CMake"]
    assert table["sources"]["protobuf"]["branch"] in refs["protocolbuffers/protobuf"]
