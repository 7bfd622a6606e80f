"""apt-get and dpkg of virtual devices: what packages bring, what they need, and how they fail."""

from __future__ import annotations

import io
import tarfile
import time

import pytest
import yaml

from orchestrator.lab.profile import load_profile, profile_names

NANO, BARE = "nano-jetpack-4.6.1", "orin-nano-jetpack-6.2-bare"


@pytest.mark.parametrize("name", profile_names())
def test_every_dependency_of_a_board_can_be_installed(name):
    profile = load_profile(name)
    known = {**profile["available"], **profile["packages"]}
    for package, contents in profile["contents"].items():
        assert set(contents["depends"]) <= set(known), package


def test_the_inventory_of_bare_units_names_profiles_that_there_are(lab_folder):
    text = (lab_folder.parents[1] / "inventory" / "lab-bare.yml").read_text()
    hosts = {}
    for group in yaml.safe_load(text)["bare"]["children"].values():
        hosts.update(group["hosts"])
    assert len(hosts) == 8
    assert {host["fleet_lab_profile"] for host in hosts.values()} <= set(profile_names())


def test_a_board_without_sdk_components_gets_them_from_apt(device):
    board = device(BARE)
    trtexec = board.root / "usr/src/tensorrt/bin/trtexec"
    assert not trtexec.exists()
    assert not (board.root / "usr/local/cuda").exists()
    words = ["install", "-y", "--no-install-recommends", "libnvinfer-bin", "cuda-toolkit-12-6", "python3-libnvinfer"]
    said = board.run("apt_get", *words, check=True).stdout
    assert "The following additional packages will be installed:" in said
    assert "/.lab/tools/trtexec.py" in trtexec.read_text()
    assert (board.root / "usr/local/cuda/include/cuda.h").exists()
    assert "12.6.68" in board.read("/usr/local/cuda/version.json")
    assert (board.root / "usr/lib/python3.10/dist-packages/tensorrt/__init__.py").exists()
    board.run("apt_get", "remove", "-y", "libnvinfer-bin", check=True)
    assert not trtexec.exists()


def test_a_removal_takes_what_depends_on_it(device):
    board = device(NANO)
    board.run("apt_get", "install", "-y", "build-essential", check=True)
    assert (board.root / "usr/bin/g++").exists()
    said = board.run("apt_get", "remove", "-y", "gcc", check=True).stdout
    assert {"build-essential", "g++", "gcc"} <= set(said.split("REMOVED:\n")[1].split("\n")[0].split())
    assert not (board.root / "usr/bin/g++").exists()


def test_recommended_packages_can_be_left_out(device):
    board = device(NANO)
    assert "build-essential" in board.run("apt_get", "-s", "install", "python3-pip").stdout
    assert (
        "build-essential" not in board.run("apt_get", "-s", "install", "python3-pip", "--no-install-recommends").stdout
    )


def test_versions_asked_for(device):
    board = device(NANO)
    assert board.run("apt_get", "install", "-y", "htop=2.1.*").returncode == 0
    missing = board.run("apt_get", "install", "-y", "htop=9.9")
    assert (missing.returncode, missing.stderr) == (100, "E: Version '9.9' for 'htop' was not found\n")
    board.change(packages={**board.state()["packages"], "htop": "3.0.0-1"})
    older = board.run("apt_get", "install", "-y", "htop=2.1.0-3")
    assert older.returncode == 100
    assert "E: Packages were downgraded and -y was used without --allow-downgrades." in older.stderr
    board.run("apt_get", "install", "-y", "--allow-downgrades", "htop=2.1.0-3", check=True)
    assert board.state()["packages"]["htop"] == "2.1.0-3"


def test_held_packages_stay(device):
    board = device(NANO)
    board.change(packages={**board.state()["packages"], "htop": "1.0-1"}, held=["htop"])
    refused = board.run("apt_get", "install", "-y", "htop")
    assert refused.returncode == 100
    assert "E: Held packages were changed and -y was used without --allow-change-held-packages." in refused.stderr
    board.run("apt_get", "install", "-y", "--allow-change-held-packages", "htop", check=True)
    assert board.state()["packages"]["htop"] == "2.1.0-3"


def test_a_clock_in_1970_makes_every_release_file_too_new(device):
    board = device(NANO)
    board.run("date", "-u", "-s", "@1000", check=True)
    failed = board.run("apt_get", "update")
    assert failed.returncode == 100
    assert "bionic/InRelease is not valid yet (invalid for another" in failed.stderr
    board.run("fault", "clock_1970", "off", check=True)
    assert board.run("apt_get", "update").returncode == 0


def test_a_full_disk(device):
    board = device(NANO)
    board.run("fault", "disk_full", "10", check=True)
    failed = board.run("apt_get", "install", "-y", "htop")
    expected = "E: You don't have enough free space in /var/cache/apt/archives/.\n"
    assert (failed.returncode, failed.stderr) == (100, expected)
    board.run("fault", "disk_full", "off", check=True)
    board.run("apt_get", "install", "-y", "htop", check=True)


def test_dpkg_finishes_what_was_interrupted(device):
    board = device(NANO)
    board.run("fault", "half_configured", check=True)
    assert board.run("dpkg", "-l", "nvidia-l4t-bootloader").stdout.splitlines()[-1].startswith("iF ")
    stuck = board.run("apt_get", "install", "-y", "htop")
    assert stuck.stderr.startswith("E: dpkg was interrupted, you must manually run 'sudo dpkg --configure -a'")
    board.run("dpkg", "--force-confdef", "--configure", "-a", check=True)
    assert board.run("dpkg", "-l", "nvidia-l4t-bootloader").stdout.splitlines()[-1].startswith("ii ")
    board.run("apt_get", "install", "-y", "htop", check=True)


def test_a_package_that_cannot_be_set_up(device):
    board = device(NANO)
    board.run("fault", "unconfigurable", check=True)
    failed = board.run("apt_get", "install", "-y", "htop")
    assert failed.returncode == 100
    assert "ERROR. Procedure for bootloader update FAILED.\nCannot install package. Exiting...\n" in failed.stdout
    assert failed.stderr.startswith("dpkg: error processing package nvidia-l4t-bootloader (--configure):\n")
    assert failed.stderr.endswith("E: Sub-process /usr/bin/dpkg returned an error code (1)\n")
    assert board.state()["packages"]["htop"] == "2.1.0-3"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (NANO, "E: Could not get lock /var/lib/dpkg/lock-frontend - open (11: Resource temporarily unavailable)\n"),
        (BARE, "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process "),
    ],
)
def test_the_lock_is_really_held(device, name, text):
    board = device(name)
    board.run("fault", "apt_lock", "60", check=True)
    try:
        refused = board.run("apt_get", "install", "-y", "htop")
        assert refused.returncode == 100
        assert refused.stderr.startswith(text)
    finally:
        board.run("fault", "apt_lock", "off", check=True)
    assert _eventually(lambda: board.run("apt_get", "install", "-y", "htop").returncode == 0)


def _eventually(condition, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_newer_releases_wait_for_the_lock(device):
    board = device(BARE)
    board.run("fault", "apt_lock", "1.5", check=True)
    board.run("apt_get", "-o", "DPkg::Lock::Timeout=30", "install", "-y", "htop", check=True)


def _deb(path, control, files):
    def tar(entries):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w:gz") as archive:
            for name, text in entries.items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
        return raw.getvalue()

    parts = {"debian-binary": b"2.0\n", "control.tar.gz": tar({"./control": control}), "data.tar.gz": tar(files)}
    raw = b"!<arch>\n"
    for name, data in parts.items():
        raw += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    path.write_bytes(raw)


def test_a_deb_file_and_the_local_repository_in_it(device, tmp_path):
    board = device(NANO)
    listing = "Package: cudnn-local-thing\nVersion: 8.6.0-1\n\nPackage: other\nVersion: 1\n"
    control = "Package: cudnn-local-repo\nVersion: 1.0-1\nArchitecture: arm64\n"
    _deb(tmp_path / "repo.deb", control, {"./var/cudnn-local-repo/Packages": listing, "./usr/share/key.gpg": "key"})
    shown = board.run("deb", "--field", str(tmp_path / "repo.deb"), "Package", "Version")
    assert shown.stdout == "Package: cudnn-local-repo\nVersion: 1.0-1\n"
    assert board.run("apt_get", "install", "-y", "cudnn-local-thing").returncode == 100
    board.run("dpkg", "-i", str(tmp_path / "repo.deb"), check=True)
    assert board.read("/usr/share/key.gpg") == "key"
    board.run("apt_get", "install", "-y", "cudnn-local-thing", check=True)
    assert board.state()["packages"]["cudnn-local-thing"] == "8.6.0-1"
    (tmp_path / "no.deb").write_text("nothing")
    wrong = board.run("dpkg", "-i", str(tmp_path / "no.deb"))
    assert wrong.returncode == 1
    assert "is not a Debian format archive" in wrong.stderr
