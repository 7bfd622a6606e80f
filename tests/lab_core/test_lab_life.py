"""Up, down, reboot, power cut, reset: what a device keeps, what it loses, and that nothing stays behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from lab_clients import NANO, Nano, accepts, alive, bring_up, eventually, processes_under

from orchestrator.errors import ConfigurationError
from orchestrator.lab.lab import Lab, LabDevice
from orchestrator.lab.profile import profile_file
from orchestrator.lab.pythons import find_python

ROOT = str(Path(__file__).resolve().parents[2])
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
FIVE = [NANO, "agx-xavier-jetpack-4.6", "xavier-nx-jetpack-5.1.2", "orin-nano-jetpack-6.2", "agx-orin-jetpack-6.0"]


@pytest.mark.parametrize("how", ["reboot", "power_cut", "sudo"])
def test_a_reboot_ends_every_process_and_keeps_files(nano, how):
    before = nano.ok(BOOT_ID)
    nano.ok("echo kept > kept; echo lost > /tmp/lost; sync")
    nano.ok("setsid nohup bash -c 'trap \"\" TERM; while :; do sleep 0.05; date +%s%N > beat; done' >/dev/null 2>&1 &")
    assert eventually(lambda: nano.run("cat beat")[1] != "")
    client = nano.connect()
    if how == "sudo":
        boots = nano.lab._read()["nano"]["boots"]
        nano.run("sudo -n reboot")
        assert eventually(lambda: nano.lab._read()["nano"]["boots"] > boots and accepts(nano.endpoint))
    else:
        getattr(nano.lab, how)("nano")
    assert eventually(lambda: not client.get_transport().is_active())
    nano.hang_up()
    assert nano.ok(BOOT_ID) != before
    assert nano.ok("cat kept") == "kept"
    assert nano.run("cat /tmp/lost")[0] != 0
    beat = nano.ok("cat beat")
    time.sleep(0.3)
    assert nano.ok("cat beat") == beat, "a process outlived the reboot"


def test_a_device_is_out_of_reach_while_its_power_is_off(nano):
    nano.hang_up()
    cut = threading.Thread(target=nano.lab.power_cut, args=("nano", 1.0))
    cut.start()
    try:
        assert eventually(lambda: not accepts(nano.endpoint), 2)
        assert eventually(lambda: nano.lab.list()[0].state == "booting", 1)
    finally:
        cut.join()
    assert accepts(nano.endpoint)


def test_cut_connections_ends_all_of_them_and_new_ones_are_taken(nano):
    clients = [nano.connect() for _ in range(3)]
    before = nano.ok(BOOT_ID)
    nano.hang_up()
    nano.lab.cut_connections("nano")
    assert eventually(lambda: not any(client.get_transport().is_active() for client in clients))
    assert nano.ok(BOOT_ID) == before


def test_reset_is_a_fresh_device_with_the_same_host_key(nano):
    nano.ok("echo x > mine")
    key = nano.endpoint.host_key_line
    nano.hang_up()
    nano.lab.reset("nano")
    assert nano.run("cat mine")[0] != 0
    assert nano.endpoint.host_key_line == key
    nano.hang_up()
    nano.lab.reset("nano", new_host_key=True)
    assert nano.endpoint.host_key_line != key
    nano.ok("true")


def test_up_again_is_quick_and_changes_nothing(nano):
    before = nano.ok(BOOT_ID)
    server = nano.endpoint.server
    times = []
    for _ in range(5):
        start = time.perf_counter()
        assert nano.lab.up({"nano": LabDevice(NANO)}, server)["nano"] == nano.endpoint
        times.append(time.perf_counter() - start)
    assert sorted(times)[2] < 0.02
    assert nano.ok(BOOT_ID) == before


def test_five_boards_down_and_nothing_left_then_up_with_what_they_had(make_lab):
    lab = make_lab()
    endpoints = bring_up(lab, {name: name for name in FIVE}, "embedded")
    assert len({(e.host, e.port) for e in endpoints.values()}) == 5
    assert all(e.host.startswith("127.") and e.port >= 1024 for e in endpoints.values())
    boards = {name: _named(lab, name) for name in FIVE}
    for name, board in boards.items():
        assert board.ok("tr -d '\\0' < /proc/device-tree/model; echo; echo here > mark")
        assert name
    assert processes_under(lab.directory)
    lab.down([FIVE[0]])
    assert not accepts(endpoints[FIVE[0]])
    assert accepts(endpoints[FIVE[1]])
    lab.down()
    assert processes_under(lab.directory) == []
    assert {line.state for line in lab.list()} == {"off"}
    assert bring_up(lab, {name: name for name in FIVE}, "embedded") == endpoints
    assert all(_named(lab, name).ok("cat mark") == "here" for name in FIVE)


@pytest.mark.sshd
def test_the_other_server_takes_over_with_the_same_key_and_address(make_lab):
    if not shutil.which("sshd", path="/usr/sbin:/usr/local/sbin"):
        pytest.skip("openssh-server is not installed")
    lab = make_lab()
    first = bring_up(lab, {"nano": NANO}, "embedded")["nano"]
    _named(lab, "nano").ok("echo here > mark")
    second = bring_up(lab, {"nano": NANO}, "openssh")["nano"]
    assert second.server == "openssh"
    assert (first.host, first.port, first.host_key_line) == (second.host, second.port, second.host_key_line)
    assert _named(lab, "nano").ok("cat mark") == "here"
    assert "OpenSSH" in _named(lab, "nano").connect().get_transport().remote_version


def test_a_daemon_that_was_killed_takes_its_devices_along_and_is_replaced(make_lab):
    lab = make_lab()
    bring_up(lab, {"nano": NANO}, "embedded")
    family = processes_under(lab.directory)
    assert len(family) >= 4, "daemon, keeper, init, server"
    os.kill(json.loads((lab.directory / "lab.json").read_text())["pid"], signal.SIGKILL)
    assert eventually(lambda: not any(alive(pid) for pid in family))
    assert lab.list()[0].state == "off"
    bring_up(lab, {"nano": NANO}, "embedded")
    assert _named(lab, "nano").ok("echo back") == "back"


def test_two_commands_at_once_start_one_daemon(make_lab):
    lab = make_lab()
    program = (
        "import sys, pathlib; from orchestrator.lab.lab import *;"
        f"print(Lab(pathlib.Path(sys.argv[1])).up({{'nano': LabDevice({NANO!r})}})['nano'].port)"
    )
    argv = [sys.executable, "-c", program, str(lab.directory)]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    results = [process.communicate(timeout=60) for process in both]
    if "namespaces" in results[0][1]:
        pytest.skip(results[0][1])
    assert results[0][0] and results[0][0] == results[1][0], results
    assert lab.list()[0].state == "up"


def test_mistakes_are_told_with_a_remedy(make_lab):
    lab = make_lab()
    with pytest.raises(ConfigurationError, match=r"nano-jetpack-4\.6\.1"):
        lab.up({"a": LabDevice("nano-jetpack-4.6")})
    with pytest.raises(ConfigurationError, match="embedded, openssh"):
        lab.up({"a": LabDevice(NANO)}, server="dropbear")
    with pytest.raises(ConfigurationError, match="cannot name"):
        lab.up({"../a": LabDevice(NANO)})
    with pytest.raises(ConfigurationError, match="no device 'a'"):
        lab.endpoint("a")


def test_a_long_directory_is_no_obstacle(make_lab, tmp_path):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    lab = Lab(deep)
    try:
        bring_up(lab, {"nano": NANO}, "embedded")
        assert _named(lab, "nano").ok("echo deep") == "deep"
    finally:
        lab.remove()


def test_another_profile_or_python_makes_another_device(make_lab, tmp_path):
    lab = make_lab()
    profile = tmp_path / "mine.yml"
    text = profile_file(NANO).read_text()
    profile.write_text(text)
    bring_up(lab, {"nano": str(profile)}, "embedded")
    board = _named(lab, "nano")
    board.ok("echo x > mine")
    first = lab.endpoint("nano")
    profile.write_text(text + "\n# a comment is no change of the board\n")
    bring_up(lab, {"nano": str(profile)}, "embedded")
    board.hang_up()
    assert board.ok("cat mine") == "x"
    profile.write_text(text.replace("hostname: nano", "hostname: other"))
    assert bring_up(lab, {"nano": str(profile)}, "embedded")["nano"] == first
    board.hang_up()
    assert board.ok("hostname; ls") == "other"
    own = os.path.realpath(sys.executable)
    assert lab.up({"nano": LabDevice(str(profile), python=own)})["nano"] == first
    board.hang_up()
    assert board.ok("/usr/bin/python3 -c 'import sys; print(sys.version.split()[0])'") == sys.version.split()[0]
    assert lab.list()[0].python_asked == "3.6"


def test_a_machine_without_namespaces_is_told_how_to_allow_them(tmp_path):
    program = (
        "import sys, pathlib; from orchestrator.lab.lab import *; from orchestrator.errors import FleetError\n"
        f"try: Lab(pathlib.Path(sys.argv[1])).up({{'nano': LabDevice({NANO!r})}})\n"
        "except FleetError as error: print(error)"
    )
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces || exit 77; exec "$@"'
    argv = ["unshare", "-Ur", "sh", "-c", forbid, "sh", sys.executable, "-c", program, str(tmp_path / "lab")]
    path = os.pathsep.join([ROOT, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": path})
    if done.returncode != 0:
        pytest.skip(f"cannot forbid namespaces here: {done.stderr}")
    what, why, remedy = done.stdout.strip().splitlines()
    assert what == "virtual devices need Linux user namespaces, which this machine forbids"
    assert "max_user_namespaces" in why
    assert "kernel.unprivileged_userns_clone" in remedy and "apparmor_restrict" in remedy
    assert eventually(lambda: processes_under(tmp_path / "lab") == []), "the daemon stayed"
    Lab(tmp_path / "lab").remove()


@pytest.mark.parametrize("asked", ["3.6", "9.9"])
def test_a_python_is_found_or_the_controllers_is_taken(asked):
    found = find_python(asked)
    assert os.access(found.executable, os.X_OK)
    assert found.asked == asked
    assert found.exact == found.version.startswith(f"{asked}.")
    if not found.exact:
        assert found.executable == os.path.realpath(sys.executable)


def _named(lab: Lab, name: str) -> Nano:
    board = Nano(lab)
    board.name = name
    return board
