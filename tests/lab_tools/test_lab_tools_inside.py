"""The tools at their true paths inside a running virtual device, over SSH, as the login user and through sudo."""

from __future__ import annotations

import pytest

pytest.importorskip("asyncssh")
paramiko = pytest.importorskip("paramiko")

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """`shell(command)` runs on a Nano and returns (exit status, merged output)."""
    from orchestrator.errors import ConfigurationError
    from orchestrator.lab.lab import Lab, LabDevice

    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        endpoint = lab.up({"nano": LabDevice("nano-jetpack-4.6.1")})["nano"]
    except ConfigurationError as problem:
        pytest.skip(f"no virtual devices here: {problem.what}")
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    key = {"key_filename": endpoint.key_file, "look_for_keys": False, "allow_agent": False}
    client.connect(endpoint.host, endpoint.port, endpoint.user, timeout=20, **key)

    def run(command: str) -> tuple[int, str]:
        channel = client.get_transport().open_session(timeout=20)
        channel.set_combine_stderr(True)
        channel.settimeout(60)
        channel.exec_command(command)
        channel.shutdown_write()
        output = b""
        while chunk := channel.recv(65536):
            output += chunk
        return channel.recv_exit_status(), output.decode()

    yield run
    client.close()
    lab.down()


def test_sudo_gives_uid_0_and_gives_it_back(shell):
    assert shell("id -u; sudo -n id -u; sudo -n -u nvidia id -u") == (0, "1000\n0\n1000\n")


def test_the_login_user_cannot_change_the_board_and_root_can(shell):
    rc, said = shell("echo 1 > /sys/devices/system/cpu/online")
    assert rc != 0
    assert "Permission denied" in said
    assert shell("/usr/sbin/nvpmodel -m 1")[0] == 255
    assert shell("sudo -n /usr/sbin/nvpmodel -m 1") == (0, "")
    assert shell("cat /sys/devices/system/cpu/online") == (0, "0-1\n")
    assert shell("sudo -n /usr/bin/jetson_clocks") == (0, "")
    assert "GPU MinFreq=640000000 MaxFreq=640000000" in shell("sudo -n jetson_clocks --show")[1]


def test_trtexec_runs_from_its_true_path(shell):
    rc, said = shell("/usr/src/tensorrt/bin/trtexec --help")
    assert rc == 0
    assert said.startswith("&&&& RUNNING TensorRT.trtexec [TensorRT v8201] # /usr/src/tensorrt/bin/trtexec --help\n")
    assert "  --workspace=N" in said


def test_trtexec_finds_onnx_runtime(shell):
    rc, said = shell("cd /tmp && touch empty.onnx && /usr/src/tensorrt/bin/trtexec --onnx=empty.onnx --buildOnly")
    assert rc == 1
    assert "[E] Failed to parse onnx file" in said


def test_a_package_query_and_an_install(shell):
    assert shell("dpkg-query --show libnvinfer8") == (0, "libnvinfer8\t8.2.1-1+cuda10.2\n")
    assert "1 newly installed" in shell("sudo -n apt-get install -y htop")[1]
    assert shell("dpkg-query -W htop") == (0, "htop\t2.1.0-3\n")
