"""Swap, text mode, clock, GPU rights and paths: predicted without a change, done once, undone."""

import hashlib
import time

import pytest
from fake_device import FakeDevice
from provision_tools import calls, give

pytestmark = pytest.mark.agent

GROUPS = "root:x:0:\nvideo:x:44:other\nrender:x:104:\nme:x:1000:\n"
USERS = "root:x:0:0:root:/root:/bin/bash\nme:x:1000:1000:Me:/home/me:/bin/bash\n"
SWAPS = "Filename Type Size Used Priority\n/dev/zram0 partition 506436 0 5\n/dev/zram1 partition 506436 0 5\n"
MIB = 1024 * 1024


@pytest.fixture
def device(tmp_path):
    device = FakeDevice(tmp_path / "device")
    give(device, "fallocate", "mkswap", "swapon", "swapoff", "usermod", "gpasswd", "date", "timedatectl", "systemctl")
    device.write("/etc/group", GROUPS)
    device.write("/etc/passwd", USERS)
    device.write("/etc/fstab", "# <file system>\nUUID=1 / ext4 defaults 0 1\n")
    device.write("/proc/swaps", SWAPS)
    device.write("/proc/meminfo", "MemTotal: 4000000 kB\nMemAvailable: 2000000 kB\n")
    device.write("/fake/clock", str(int(time.time())))
    device.write("/fake/ntp", "yes")
    device.path("/mnt").mkdir()
    return device


def state_of(device):
    """Everything in the device's folder but the record of calls."""
    files = sorted(path for path in device.folder.rglob("*") if path.is_file() and path.name != "calls")
    return [(str(path), hashlib.sha1(path.read_bytes()).hexdigest()) for path in files]


CASES = {
    "swapfile": ({"size": 8 * MIB}, {"size": 8 * MIB, "state": "absent"}),
    "zram": ({"state": "disabled"}, {"state": "enabled"}),
    "headless": ({"state": "enabled", "now": True}, {"state": "disabled", "now": True}),
    "gpu_access": ({"users": ["me"]}, {"users": ["me"], "state": "absent"}),
    "cuda_paths": ({"more": ["/usr/src/tensorrt/bin"]}, {"state": "absent"}),
}


@pytest.mark.parametrize("action", CASES)
def test_every_setting_is_predicted_made_once_and_undone(start_as_root, device, action):
    agent = start_as_root(prefix=device.folder)
    there, back = CASES[action]
    untouched = state_of(device)
    for args in (there, back):
        before = state_of(device)
        predicted = agent.ask(action, check=True, **args)
        assert predicted["ok"] and predicted["changed"], predicted
        assert state_of(device) == before
        done = agent.ask(action, **args)
        assert done["ok"] and done["changed"], done
        assert done["diff"] == predicted["diff"] and done["diff"]["before"] != done["diff"]["after"]
        again = agent.ask(action, **args)
        assert again["ok"] and not again["changed"] and again["data"] == {**done["data"], **again["data"]}
        assert not agent.ask(action, check=True, **args)["changed"]
    if action in ("swapfile", "gpu_access", "cuda_paths"):
        assert state_of(device) == untouched


def test_a_swap_file_is_private_and_comes_back_after_a_boot(start_as_root, device):
    agent = start_as_root(prefix=device.folder)
    agent.call("swapfile", size=8 * MIB)
    assert device.path("/mnt/fleet.swap").stat().st_mode & 0o777 == 0o600
    assert "/mnt/fleet.swap none swap sw 0 0\n" in device.read("/etc/fstab")
    assert agent.call("swapfile", size=16 * MIB)["size"] == 16 * MIB
    assert device.read("/proc/swaps").count("/mnt/fleet.swap") == 1
    assert [line for line in calls(device) if line.startswith("swapoff")] == ["swapoff /mnt/fleet.swap"]


def test_a_swap_file_that_does_not_fit_is_refused_with_both_sizes(start_as_root, device):
    error = start_as_root(prefix=device.folder).refuse("swapfile", size=2**60)
    assert error["data"]["needed_bytes"] > 2**60 > error["data"]["free_bytes"] > 0
    assert not device.path("/mnt/fleet.swap").exists()


def test_zram_that_does_not_fit_into_memory_waits_for_the_next_boot(start_as_root, device):
    device.write("/proc/swaps", SWAPS.replace("506436 0", "506436 500000", 1))
    device.write("/proc/meminfo", "MemAvailable: 100000 kB\n")
    data = start_as_root(prefix=device.folder).call("zram", state="disabled")
    assert data["left"] == ["/dev/zram0"] == data["devices"] and not data["enabled"]


def test_a_release_without_zram_is_left_alone_or_said_so(start_as_root, device):
    device.write("/fake/no_unit", "1")
    agent = start_as_root(prefix=device.folder)
    assert agent.call("zram", state="disabled")["available"] is False
    assert "nvzramconfig" in agent.refuse("zram", state="enabled")["why"]


@pytest.mark.parametrize(
    ("behind_s", "ntp", "changed"), [(0, "yes", False), (86400 * 9000, "yes", True), (0, "no", True)]
)
def test_the_clock_is_set_where_it_is_off(start_as_root, device, behind_s, ntp, changed):
    now = int(time.time())
    device.write("/fake/clock", str(now - behind_s))
    device.write("/fake/ntp", ntp)
    agent = start_as_root(prefix=device.folder)
    assert agent.ask("clock_sync", check=True, now=now)["changed"] is changed
    assert device.read("/fake/clock") == str(now - behind_s)
    reply = agent.ask("clock_sync", now=now)
    assert reply["ok"] and reply["changed"] is changed and reply["data"]["ntp"] is True
    assert abs(int(device.read("/fake/clock")) - now) < 5
    assert not agent.ask("clock_sync", now=now)["changed"]
    if behind_s:
        assert reply["data"]["skew_s"] == pytest.approx(-behind_s, abs=5)


def test_only_groups_that_the_release_has_are_given(start_as_root, device):
    device.write("/etc/group", GROUPS.replace("render:x:104:\n", ""))
    data = start_as_root(prefix=device.folder).call("gpu_access", users=["me"])
    assert data == {"groups": {"me": ["video"]}, "added": ["me"]}
    assert "video:x:44:other,me" in device.read("/etc/group")


def test_login_shells_find_cuda_once(start_as_root, device):
    import subprocess

    start_as_root(prefix=device.folder).call("cuda_paths", more=["/usr/src/tensorrt/bin"], openblas_armv8=True)
    script = (
        f". {device.path('/etc/profile.d/fleet-cuda.sh')}; " * 2 + 'echo "$PATH|$LD_LIBRARY_PATH|$OPENBLAS_CORETYPE"'
    )
    shown = subprocess.run(["/bin/sh", "-c", script], env={"PATH": "/bin"}, capture_output=True, text=True, check=True)
    assert shown.stdout == "/usr/src/tensorrt/bin:/usr/local/cuda/bin:/bin|/usr/local/cuda/lib64|ARMV8\n"


@pytest.mark.parametrize("action", ["swapfile", "zram", "headless", "gpu_access", "cuda_paths"])
def test_only_root_changes_the_system(start_as_user, device, action):
    error = start_as_user(prefix=device.folder).refuse(action, **CASES[action][0])
    assert "become: true" in error["remedy"]
    assert calls(device) == [] or all(not line.startswith(("usermod", "swapoff")) for line in calls(device))
