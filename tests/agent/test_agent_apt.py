"""Packages by name: what apt-get is asked for, what is left alone, whom the lock is waited for, what failures mean."""

import json
import os
import time

import pytest
from system_device import SystemDevice

pytestmark = pytest.mark.agent

STATE = {
    "installed": {
        "dpkg": ["1.19.0", "ii"],
        "python3-numpy": ["1:1.13.3-2", "ii"],
        "libnvinfer8": ["8.2.1-1+cuda10.2", "ii"],
        "mawk": ["1.3.3", "ii"],
        "old-tool": ["1.0", "rc"],
    },
    "available": {
        "python3-numpy": ["1:1.13.3-2"],
        "libnvinfer8": ["8.0.1-1+cuda10.2", "8.2.1-1+cuda10.2"],
        "libnvinfer-bin": ["8.0.1-1+cuda10.2", "8.2.1-1+cuda10.2"],
        "libnvinfer-dev": ["8.2.1-1+cuda10.2"],
        "git": ["1:2.17.1", "1:2.17.2"],
        "git-man": ["1:2.17.2"],
        "mawk": ["1.3.3", "1.3.4"],
    },
    "provides": {"mawk": ["awk"]},
    "needs": {"git": ["git-man"]},
}
TOOLS = ("apt-get", "apt-cache", "dpkg", "dpkg-query", "dpkg-deb")
FOCAL = (
    "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7972 (unattended-upgr)\n"
    "N: Be aware that removing the lock file is not a solution and may break your system.\n"
    "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?"
)
BIONIC = (
    "E: Could not get lock /var/lib/dpkg/lock-frontend - open (11: Resource temporarily unavailable)\n"
    "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?"
)


@pytest.fixture
def device(tmp_path):
    device = SystemDevice(tmp_path / "device")
    for tool in TOOLS:
        device.put_tool(f"/usr/bin/{tool}", "packages.py", tool)
    device.stock = lambda **more: device.write("/fake/packages.json", json.dumps({**STATE, **more}))
    device.stock()
    return device


def installed(device):
    state = json.loads(device.read("/fake/packages.json"))["installed"]
    return {name: version for name, (version, status) in state.items() if status != "rc"}


CASES = [
    # (arguments, changed, what apt-get was asked for: the last words)
    ({"name": ["python3-numpy"]}, False, None),
    ({"name": ["awk"]}, False, None),  # provided by mawk
    ({"name": ["git", "mawk"]}, True, "install git"),
    ({"name": ["libnvinfer8=8.2.1*"]}, False, None),
    ({"name": ["libnvinfer8=8.2.1-1+cuda10.2"]}, False, None),
    ({"name": ["python3-numpy>=1:1.13"]}, False, None),
    ({"name": ["libnvinfer-bin=8.0.1-1+cuda10.2"]}, True, "install libnvinfer-bin=8.0.1-1+cuda10.2"),
    ({"name": ["libnvinfer-*"]}, True, "install libnvinfer-bin libnvinfer-dev"),
    ({"name": ["mawk"], "state": "latest"}, True, "install mawk"),
    ({"name": ["python3-numpy"], "state": "latest"}, False, "install python3-numpy"),
    ({"name": ["git"], "only_upgrade": True}, False, None),
    ({"name": ["git"], "state": "absent"}, False, None),
    ({"name": ["mawk"], "state": "absent"}, True, "remove mawk"),
    ({"name": ["libnv*"], "state": "absent"}, True, "remove libnvinfer8"),
    ({"name": ["old-tool"], "state": "absent"}, False, None),
    ({"name": ["old-tool"], "state": "absent", "purge": True}, True, "--purge remove old-tool"),
    ({"name": ["git"], "install_recommends": False}, True, "-o APT::Install-Recommends=no install git"),
    ({"name": ["git"], "autoremove": True}, True, "--auto-remove install git"),
    ({"name": ["git"], "allow_downgrade": True}, True, "--allow-downgrades install git"),
]


def test_packages_are_brought_to_what_is_asked_for_once(start, device):
    agent = start(prefix=device.folder)
    for args, changed, words in CASES:
        device.stock()
        device.write("/fake/apt-get.calls", "")
        before = device.read("/fake/packages.json")
        predicted = agent.ask("apt", check=True, **args)
        assert predicted["ok"] and device.read("/fake/packages.json") == before, args
        assert all("--simulate" in call for call in device.calls("apt-get")), args
        device.write("/fake/apt-get.calls", "")
        done = agent.ask("apt", **args)
        assert done["ok"] and done["changed"] == predicted["changed"] == changed, (args, predicted, done)
        assert [call.endswith(words) for call in device.calls("apt-get")] == ([True] if words else []), args
        assert done["diff"] == predicted["diff"], args
        again = agent.ask("apt", **args)
        assert again["ok"] and not again["changed"], args


def test_the_diff_names_what_comes_with_a_package(start, device):
    reply = start(prefix=device.folder).ask("apt", name=["git"])
    assert reply["diff"] == {"before": "", "after": "git 1:2.17.2\ngit-man 1:2.17.2\n"}
    assert installed(device)["git"] == "1:2.17.2" and "Setting up git" in reply["data"]["stdout"]


@pytest.mark.parametrize("text, holder", [(FOCAL, "process 7972 (unattended-upgr)"), (BIONIC, "another package tool")])
def test_the_lock_is_waited_for_and_its_holder_named(start, device, text, holder):
    device.stock(locked=1, lock_text=text)
    agent = start(prefix=device.folder)
    request = agent.submit("apt", name=["git"])
    assert agent.wait(request)["changed"] and "git" in installed(device)
    lines = [event["data"]["line"] for event in agent.events[request] if event["data"].get("waiting_for") == "lock"]
    assert len(lines) == 1 and holder in lines[0]


def test_a_lock_that_is_not_let_go_of_ends_the_wait(start, device):
    device.stock(locked=1000, lock_text=FOCAL)
    started = time.monotonic()
    error = start(prefix=device.folder).refuse("apt", name=["git"], lock_timeout=1)
    assert error["kind"] == "busy" and "7972 (unattended-upgr)" in error["what"] and "do not remove" in error["remedy"]
    assert error["data"]["holder"] == {"pid": 7972, "name": "unattended-upgr"}
    assert time.monotonic() - started < 20


def test_the_lists_are_fetched_when_they_are_too_old(start, device):
    agent = start(prefix=device.folder)
    first = agent.ask("apt", update_cache=True, cache_valid_time=3600)
    assert first["changed"] and first["data"]["cache_updated"] and first["data"]["cache_update_time"] > 0
    second = agent.ask("apt", update_cache=True, cache_valid_time=3600)
    assert not second["changed"] and not second["data"]["cache_updated"]
    lists = device.path("/var/lib/apt/lists")
    os.utime(lists, (1, 1))
    assert agent.ask("apt", check=True, update_cache=True, cache_valid_time=3600)["data"]["cache_updated"]
    assert lists.stat().st_mtime == 1
    third = agent.ask("apt", name=["python3-numpy"], update_cache=True, cache_valid_time=3600)
    assert third["data"]["cache_updated"] and not third["changed"]
    assert [call.split()[-1] for call in device.calls("apt-get")] == ["update", "update"]


FAILURES = [
    # (what it fails on, its text, in what, in why, in remedy)
    (
        "git",
        "dpkg: error processing package git (--configure):\n installed git package post-installation script subprocess "
        "returned error exit status 1\nE: Sub-process /usr/bin/dpkg returned an error code (1)",
        "package git could not be set up",
        "post-installation script",
        "state: fixed",
    ),
    (
        "git",
        [
            "Setting up nvidia-l4t-bootloader (32.7.1-20220219090432) ...\n"
            "Starting bootloader post-install procedure.\n"
            "ERROR. Procedure for bootloader update FAILED.\nCannot install package. Exiting...",
            "dpkg: error processing package nvidia-l4t-bootloader (--configure):\n installed nvidia-l4t-bootloader "
            "package post-installation script subprocess returned error exit status 1",
        ],
        "nvidia-l4t-bootloader",
        "does not know this board",
        "hold",
    ),
    (
        "git",
        ["ERROR. 3767--0005--1--jetson-orin-nx-devkit-16gb- does not match any known boards.", "dpkg: error"],
        "L4T package",
        "3767--0005--1--jetson-orin-nx-devkit-16gb-",
        "hold",
    ),
    ("git", "E: dpkg was interrupted, you must manually run 'dpkg --configure -a'", "interrupted", "", "state: fixed"),
    ("git", "E: You don't have enough free space in /var/cache/apt/archives/.", "disk is full", "", "free some space"),
    (
        "git",
        "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)\n"
        "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?",
        "only root",
        "",
        "become: true",
    ),
    (
        "update",
        "E: Release file for http://ports.ubuntu.com/ubuntu-ports/dists/focal-backports/InRelease is not valid yet "
        "(invalid for another 230d 6h 25min 31s). Updates for this repository will not be applied.",
        "clock is behind",
        "230d 6h 25min 31s",
        "clock_sync",
    ),
    (
        "update",
        "Certificate verification failed: The certificate is NOT trusted. The certificate chain uses not yet valid "
        "certificate.  Could not handshake: Error in the certificate verification.",
        "clock is behind",
        "not valid yet",
        "clock_sync",
    ),
    (
        "update",
        "W: Failed to fetch http://ports.ubuntu.com/x  Temporary failure resolving 'ports.ubuntu.com'",
        "no name resolution",
        "ports.ubuntu.com",
        "DNS",
    ),
]


def test_failures_are_explained_in_three_lines(start, device):
    agent = start(prefix=device.folder)
    for on, text, what, why, remedy in FAILURES:
        device.stock(fails={on: text})
        error = agent.refuse("apt", name=["git"], update_cache=on == "update", update_cache_retries=1)
        assert what in error["what"] and why in error["why"] and remedy in error["remedy"], (text, error)
        assert error["data"]["rc"] == 100 and error["data"]["stderr"]
    device.stock()
    assert "no package git-lfs" in agent.refuse("apt", name=["git-lfs"])["what"]
    assert "no version 9" in agent.refuse("apt", name=["git=9"])["what"]
    assert "no package matches" in agent.refuse("apt", name=["nothing*"])["what"]


def test_what_was_cut_off_is_named_and_can_be_finished(start, device):
    broken = {**STATE["installed"], "git-man": ["1:2.17.2", "iF"]}
    device.stock(installed=broken, fails={"mawk": "E: Sub-process /usr/bin/dpkg returned an error code (1)"})
    agent = start(prefix=device.folder)
    assert "git-man was half-configured" in agent.refuse("apt", name=["mawk"], state="latest")["why"]
    assert agent.ask("apt", check=True, state="fixed")["changed"] and device.calls("dpkg") == []
    assert agent.ask("apt", state="fixed")["changed"]
    assert device.calls("dpkg") == ["--force-confdef --force-confold --configure -a"]
    assert not agent.ask("apt", state="fixed")["changed"]


def test_a_package_file_is_installed_unless_it_is_there(start, device, tmp_path):
    agent = start(prefix=device.folder)
    new, old, here = (tmp_path / f"libnvinfer8_{v}.deb" for v in ("8.5.0", "8.0.0", "8.2.1-1+cuda10.2"))
    for path in (new, old, here):
        path.write_bytes(b"!<arch>\n")
    assert not agent.ask("apt", deb=str(here))["changed"]
    assert "older than the installed" in agent.refuse("apt", deb=str(old))["what"]
    assert agent.ask("apt", check=True, deb=str(new))["changed"]
    assert agent.ask("apt", deb=str(new))["changed"] and installed(device)["libnvinfer8"] == "8.5.0"
    assert agent.ask("apt", deb=str(old), allow_downgrade=True)["changed"]
    assert "no package file" in agent.refuse("apt", deb="/no/such.deb")["what"]
    assert "path on the device" in agent.refuse("apt", deb="https://example.org/x.deb")["what"]


@pytest.mark.parametrize(
    "args, said",
    [
        ({"upgrade": "dist"}, "upgrade"),
        ({"name": ["git; reboot"]}, "name"),
        ({"name": ["--force-yes"]}, "name"),
        ({"name": ["git"], "deb": "/x.deb"}, "deb"),
        ({"name": ["git"], "state": "build-dep"}, "state"),
    ],
)
def test_what_is_not_offered_is_refused_before_anything_is_touched(start, device, args, said):
    error = start(prefix=device.folder).refuse("apt", **args)
    assert error["kind"] == "refused" and error["data"]["argument"] == said
    assert device.calls("apt-get") == []
