"""sudo, dpkg, apt, systemctl, dmesg and nvcc of virtual devices."""

from __future__ import annotations

import pytest

NANO, ORIN = "nano-jetpack-4.6.1", "orin-nano-jetpack-6.2"


def _with_password(board):
    board.change(sudo={**board.state()["sudo"], "nopasswd": False})
    return board


def test_sudo_gives_root_and_resets_the_environment(device):
    board = device(NANO)
    ran = board.run("sudo", "-n", "A=1", "env", root=False, env={"LANG": "de_DE.UTF-8", "SECRET": "x"})
    lines = ran.stdout.splitlines()
    assert {"A=1", "USER=root", "SUDO_USER=nvidia", "FLEET_LAB_UID=0"} <= set(lines)
    assert not [line for line in lines if line.startswith(("LANG=", "SECRET="))]
    assert "SECRET=x" in board.run("sudo", "-E", "env", root=False, env={"SECRET": "x"}).stdout


@pytest.mark.parametrize(
    ("name", "flags", "text"),
    [
        (NANO, ["-n"], "sudo: a password is required\n"),
        (NANO, [], "sudo: no tty present and no askpass program specified\n"),
        (
            ORIN,
            [],
            "sudo: a terminal is required to read the password; either use the -S option to read from standard input "
            "or configure an askpass helper\nsudo: a password is required\n",
        ),
    ],
)
def test_sudo_refuses_without_a_password(device, name, flags, text):
    refused = _with_password(device(name)).run("sudo", *flags, "true", root=False)
    assert (refused.returncode, refused.stderr) == (1, text)


def test_sudo_takes_the_password_and_leaves_the_rest_of_stdin(device):
    board = _with_password(device(ORIN))
    ran = board.run("sudo", "-S", "-p", "[ask]", "cat", root=False, input="nvidia\nfor the command\n")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "for the command\n", "[ask]")


def test_sudo_gives_up_after_three_wrong_passwords(device):
    wrong = _with_password(device(ORIN)).run("sudo", "-S", "-p", "", "true", root=False, input="a\nb\nc\n")
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "Sorry, try again.\nSorry, try again.\nsudo: 3 incorrect password attempts\n",
    )


def test_sudo_remembers_and_forgets(device):
    board = _with_password(device(ORIN))
    assert board.run("sudo", "-S", "-v", root=False, input="nvidia\n").returncode == 0
    assert board.run("sudo", "-n", "true", root=False).returncode == 0
    board.run("sudo", "-k", root=False, check=True)
    assert board.run("sudo", "-n", "true", root=False).returncode == 1


def test_sudo_names_a_missing_command_and_a_stranger(device):
    board = device(ORIN)
    assert board.run("sudo", "-n", "no-such-thing", root=False).stderr == "sudo: no-such-thing: command not found\n"
    board.change(groups=["video"])
    assert "is not in the sudoers file" in board.run("sudo", "-n", "true", root=False).stderr


@pytest.mark.parametrize(
    ("name", "package", "version"),
    [
        (NANO, "libnvinfer8", "8.2.1-1+cuda10.2"),
        (NANO, "nvidia-l4t-core", "32.7.1-20220219090432"),
        (ORIN, "tensorrt", "10.3.0.30-1+cuda12.5"),
        (ORIN, "libcudnn9-cuda-12", "9.3.0.75-1"),
    ],
)
def test_dpkg_query_shows_versions_after_a_tab(device, name, package, version):
    shown = device(name).run("dpkg_query", "--show", package, root=False)
    assert (shown.returncode, shown.stdout) == (0, f"{package}\t{version}\n")


def test_dpkg_query_formats_matches_and_misses(device):
    board = device(NANO)
    form = board.run(
        "dpkg_query", "-W", "-f=${db:Status-Abbrev}|${Package}|${Version}\\n", "libnvinfer*", "nvidia-jetpack"
    )
    assert form.returncode == 1
    assert form.stderr == "dpkg-query: no packages found matching nvidia-jetpack\n"
    assert "ii |libnvinfer8|8.2.1-1+cuda10.2\n" in form.stdout
    listing = board.run("dpkg", "-l", "tensorrt").stdout.splitlines()
    assert listing[-1].split(None, 4) == ["ii", "tensorrt", "8.2.1.8-1+cuda10.2", "arm64", "Meta package of TensorRT"]


@pytest.mark.parametrize(
    ("left", "operator", "right", "holds"),
    [
        ("1.0~rc1", "lt", "1.0", True),
        ("8.2.1.8-1+cuda10.2", "gt", "8.0.1.6-1+cuda10.2", True),
        ("1:1.0", "gt", "2.0", True),
        ("10.3.0.30-1", "lt", "9.3.0.75-1", False),
        ("2.27-3ubuntu1.4", "eq", "2.27-3ubuntu1.4", True),
    ],
)
def test_dpkg_compares_versions_as_debian_does(device, left, operator, right, holds):
    answer = device(NANO).run("dpkg", "--compare-versions", left, operator, right)
    assert answer.returncode == (0 if holds else 1)


def test_apt_get_installs_what_is_available_and_only_once(device):
    board = device(NANO)
    assert "Unable to locate package nonsense" in board.run("apt_get", "install", "-y", "nonsense").stderr
    planned = board.run("apt_get", "-s", "install", "htop", root=False)
    assert "Inst htop (2.1.0-3 stable [arm64])" in planned.stdout
    assert "htop" not in board.state()["packages"]
    assert "1 newly installed" in board.run("apt_get", "-o", "DPkg::Lock::Timeout=60", "install", "-y", "htop").stdout
    assert board.state()["packages"]["htop"] == "2.1.0-3"
    assert "htop is already the newest version (2.1.0-3)." in board.run("apt_get", "install", "-y", "htop").stdout
    board.run("apt_get", "remove", "-y", "htop", check=True)
    assert "htop" not in board.state()["packages"]


def test_apt_get_wants_root_and_its_lock(device):
    board = device(ORIN)
    assert "are you root?" in board.run("apt_get", "install", "-y", "htop", root=False).stderr
    board.change(apt_lock_holder="7972 (unattended-upgr)")
    locked = board.run("apt_get", "install", "-y", "htop")
    assert locked.returncode == 100
    assert locked.stderr.startswith(
        "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7972 (unattended-upgr)\n"
    )


def test_apt_cache_and_apt_mark(device):
    board = device(NANO)
    assert board.run("apt_cache", "policy", "nvidia-jetpack").stdout.startswith(
        "nvidia-jetpack:\n  Installed: (none)\n  Candidate: 4.6.1-b110\n  Version table:\n     4.6.1-b110 500\n"
    )
    assert board.run("apt_mark", "hold", "libnvinfer8").stdout == "libnvinfer8 set on hold.\n"
    assert board.run("apt_mark", "showhold").stdout == "libnvinfer8\n"


def test_systemctl_asks_and_changes(device):
    board = device(ORIN)
    assert board.run("systemctl", "is-active", "nvpmodel").stdout == "active\n"
    assert board.run("systemctl", "is-active", "nothing.service").returncode == 3
    assert board.run("systemctl", "is-failed", "nvpmodel.service").returncode == 1
    assert board.run("systemctl", "restart", "nothing").returncode == 5
    assert board.run("systemctl", "stop", "gdm", root=False).returncode == 1
    board.run("systemctl", "disable", "--now", "nvzramconfig", check=True)
    assert board.run("systemctl", "is-enabled", "nvzramconfig").stdout == "disabled\n"
    board.boot()
    assert "SwapTotal:             0 kB" in board.read("/proc/meminfo")


def test_text_mode_frees_the_memory_of_the_desktop_at_the_next_boot(device):
    board = device(NANO)

    def free_mib() -> int:
        line = next(line for line in board.read("/proc/meminfo").splitlines() if line.startswith("MemAvailable"))
        return int(line.split()[1]) // 1024

    before = free_mib()
    board.run("systemctl", "set-default", "multi-user.target", check=True)
    board.boot()
    assert free_mib() - before == board.profile["memory"]["desktop_mb"]


def test_a_unit_file_put_down_later_is_known(device):
    board = device(ORIN)
    folder = board.root / "etc/systemd/system"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.service").write_text("[Service]\nExecStart=/bin/true\n")
    board.run("systemctl", "restart", "app", check=True)
    assert board.state()["services"]["app.service"]["starts"] == 1


def test_reboot_asks_the_machine_and_needs_root(device):
    board = device(ORIN)
    assert board.run("reboot", root=False).returncode == 1
    assert not (board.root / ".lab/control").exists()
    asked = board.run("reboot")
    assert (asked.returncode, asked.stdout, asked.stderr) == (0, "", "")
    assert (board.root / ".lab/control").read_text() == "reboot\n"


def test_dmesg_is_for_root_on_newer_kernels(device):
    assert device(NANO).run("dmesg", root=False).returncode == 0
    refused = device(ORIN).run("dmesg", root=False)
    assert (refused.returncode, refused.stderr) == (1, "dmesg: read kernel buffer failed: Operation not permitted\n")


def test_nvcc_says_its_version(device):
    assert "release 10.2, V10.2.300" in device(NANO).run("nvcc", "--version").stdout


def test_the_image_says_what_it_is(device):
    board = device(NANO)
    assert 'VERSION_ID="18.04"' in board.read("/etc/os-release")
    assert board.run("uname", "-rm").stdout == "4.9.253-tegra aarch64\n"
    assert board.read("/sys/class/thermal/thermal_zone1/type") == "CPU-therm"
    assert board.read("/sys/class/thermal/thermal_zone1/temp") == "23000"


def test_the_uptime_is_the_clock_of_the_kernel_log(device):
    board = device(NANO)
    board.change(booted_at=board.state()["booted_at"] - 100)
    board.run("uname", check=True, root=False)
    uptime = float(board.read("/proc/uptime").split()[0])
    assert 112 < uptime < 130


def test_machines_that_are_no_jetsons(device):
    server, workstation = device("linux-generic"), device("x86-gpu")
    assert not (server.root / "proc/device-tree").exists()
    assert server.run("uname", "-m").stdout == "aarch64\n"
    assert workstation.run("uname", "-m").stdout == "x86_64\n"
    asked = workstation.run("nvidia_smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    assert asked.stdout == "NVIDIA RTX A4000, 535.183.01\n"
    workstation.change(driver_lost=True)
    assert workstation.run("nvidia_smi").returncode == 9
