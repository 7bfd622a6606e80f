"""What happens on a virtual device stays there; root and the login user differ as on a board."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from orchestrator.lab.root import COMMANDS


def test_the_login_user_is_1000_and_sudo_is_root(nano):
    assert nano.ok("id -u; id -un; sudo -n id -u").split() == ["1000", "nvidia", "0"]


@pytest.mark.parametrize("path", ["/etc/x", "/usr/bin/x", "/var/lib/x", "/x", "/opt/x", "/root/x", "/.lab/x", "/sys/x"])
def test_only_root_writes_outside_home_and_tmp(nano, path):
    code, _, err = nano.run(f"touch {path}")
    assert code != 0
    assert "Permission denied" in err
    nano.ok(f"sudo -n touch {path}; sudo -n test -f {path}; sudo -n rm {path}")


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc/nv_tegra_release", "/.lab/profile.json", "/usr/bin/sudo"])
def test_the_login_user_does_not_change_the_systems_files(nano, path):
    assert "Permission denied" in nano.run(f"echo x >> {path}")[2]


def test_a_folder_given_to_the_user_by_sudo_is_the_users(nano):
    nano.ok("sudo -n mkdir -p /var/lib/fleet-test && sudo -n chown nvidia:nvidia /var/lib/fleet-test")
    nano.ok(
        "echo mine > /var/lib/fleet-test/file && rm -r /var/lib/fleet-test/file && sudo -n rmdir /var/lib/fleet-test"
    )


def test_files_of_the_device_lie_in_its_folder(nano):
    nano.ok("echo hello > /tmp/here")
    assert (nano.root / "tmp/here").read_text() == "hello\n"


@pytest.mark.parametrize("who", ["", "sudo -n "])
def test_nothing_of_the_host_is_writable(nano, who):
    lent = [
        line.split()[1] for line in nano.ok("cat /proc/mounts").splitlines() if line.split()[1].startswith("/.lab/")
    ]
    folders = [folder for folder in lent if folder != "/.lab/proc"]
    assert {"/.lab/host/usr", "/.lab/tools"} <= set(folders)
    for folder in folders:
        code, _, err = nano.run(f"{who}touch {folder}/fleet-was-here")
        assert code != 0, folder
        assert "Read-only" in err or "Permission denied" in err
    for attack in ("mount -o remount,rw", "mount -o remount,bind,rw", "umount"):
        assert nano.run(f"{who}{attack} /.lab/host/usr")[0] != 0, attack


def test_root_of_the_device_cannot_touch_the_hosts_kernel_settings(nano):
    before = Path("/proc/sys/kernel/hostname").read_text()
    nano.run("sudo -n sh -c 'echo hacked > /proc/sys/kernel/hostname; echo hacked > /.lab/proc/sys/kernel/hostname'")
    nano.run("sudo -n hostname hacked; hostname; sudo -n hostname nano")  # its own name only
    assert Path("/proc/sys/kernel/hostname").read_text() == before
    if os.getuid() == 0:  # for an ordinary user the kernel itself refuses
        assert nano.run("sudo -n test -e /.lab/proc/sysrq-trigger")[0] != 0


def test_host_files_and_processes_are_out_of_sight(nano, tmp_path):
    (tmp_path / "secret").write_text("the host's own")
    hidden = [str(tmp_path / "secret"), str(Path(__file__)), f"/proc/{os.getpid()}/environ"]
    hidden += [f"/proc/1/root{tmp_path}/secret", f"/.lab/proc/1/root{tmp_path}/secret"]
    for path in hidden:
        for who in ("", "sudo -n "):
            assert nano.run(f"{who}cat {path}")[0] != 0, path
    assert sorted(nano.ok("cut -d: -f1 /etc/passwd").split()) == ["nobody", "nvidia", "root"]


def test_a_link_that_points_outside_stays_inside_over_sftp(nano, tmp_path):
    (tmp_path / "secret").write_text("the host's own")
    nano.ok(f"ln -sfn {tmp_path}/secret link; ln -sfn /../../../../../../etc/hostname up")
    with nano.connect().open_sftp() as sftp:
        with pytest.raises(OSError):
            sftp.open("link").read()
        assert sftp.open("up").read() == b"nano\n"
        with pytest.raises(OSError):
            sftp.open("/etc/evil", "w")


def test_no_signal_reaches_the_host(nano):
    code, _, _ = nano.run(f"kill -0 {os.getpid()} || sudo -n kill -0 {os.getpid()}")
    assert code != 0


def test_the_device_has_its_own_identity(nano):
    assert nano.ok("hostname") == "nano"
    virtual = json.loads(nano.ok("cat /etc/fleet-virtual.json"))
    assert virtual["virtual"] is True
    assert "Jetson Nano" in nano.ok("tr -d '\\0' < /proc/device-tree/model")
    asked, used = virtual["python"]["asked"], nano.ok("/usr/bin/python3 -c 'import sys; print(sys.version.split()[0])'")
    assert asked == "3.6"
    assert virtual["python"]["used"] == used


def test_the_devices_python_finds_its_library_and_nothing_of_ours(nano):
    program = (
        "import ssl, ctypes, lzma, sqlite3, sys; print(sys.executable); print([p for p in sys.path if 'site' in p])"
    )
    lines = nano.ok(f'/usr/bin/python3 -c "{program}"').splitlines()
    assert lines[0] == "/usr/bin/python3"
    assert "/.lab/site" not in lines[1]


def test_tools_get_the_controllers_python_with_its_packages(nano):
    code = "import sys, onnx, numpy; print(sys.version.split()[0])"
    assert nano.ok(f'/.lab/python -c "{code}"') == ".".join(map(str, sys.version_info[:3]))


def test_curated_commands_run(nano):
    """Those which the host has: each link must end at a program."""
    broken = nano.run(f"for c in {' '.join(c for c in COMMANDS if c != '[')}; do"
                      " [ -L /usr/bin/$c ] && [ ! -x /usr/bin/$c ] && echo $c; done; true")[1]  # fmt: skip
    assert broken == ""
