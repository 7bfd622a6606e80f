"""Power modes and clocks: chosen from the board's own table, set, and proved by reading back."""

import time

import pytest
from fake_device import BOARDS, CPU, GPU, MASK, FakeDevice

pytestmark = pytest.mark.agent


@pytest.mark.parametrize("board", BOARDS)
def test_the_fastest_mode_comes_from_the_board_s_own_table(start_as_root, tmp_path, board):
    FakeDevice(tmp_path / "device", board)
    agent = start_as_root(prefix=tmp_path / "device")
    reply = agent.ask("nvpmodel", check=True, mode="fastest")
    assert reply["ok"], reply
    fact = agent.call("facts", quick=True)["power"]
    names = {mode["id"]: mode["name"] for mode in fact["modes"]}
    fastest = BOARDS[board]["fastest"]
    needs_reboot = reply["data"]["reboot_needed"]
    assert reply["data"]["mode"] == (names[BOARDS[board]["default"]] if needs_reboot else fastest)
    before = names[BOARDS[board]["default"]]
    assert reply["diff"] == (None if before == fastest else {"before": before, "after": fastest})
    assert fact["default"] == BOARDS[board]["default"] == fact["mode"]["id"]
    assert fact["mode"]["name"] == names[fact["default"]]
    assert not fact["status_lies"] and fact["drift"] == []


def test_the_table_is_read_in_full(start_as_root, tmp_path):
    FakeDevice(tmp_path / "device", "orin_nano_super")
    fact = start_as_root(prefix=tmp_path / "device").call("facts", quick=True)["power"]
    assert fact["live_gpu_mask"] == 240
    assert fact["modes"][1:3] == [
        {
            "id": 1,
            "name": "25W",
            "cpus": [0, 1, 2, 3, 4, 5],
            "cpu_max_khz": 1344000,
            "gpu_max_hz": 918000000,
            "emc_max_hz": 3199000000,
            "gpu_mask": 240,
            "desktop": False,
        },
        {
            "id": 2,
            "name": "MAXN_SUPER",
            "cpus": [0, 1, 2, 3, 4, 5],
            "cpu_max_khz": None,
            "gpu_max_hz": None,
            "emc_max_hz": None,
            "gpu_mask": 240,
            "desktop": False,
        },
    ]


def test_a_mode_is_set_and_read_back(start_as_root, tmp_path):
    device = FakeDevice(tmp_path / "device", "xavier_nx")
    agent = start_as_root(prefix=tmp_path / "device")
    reply = agent.ask("nvpmodel", check=True, mode="fastest")
    assert reply["changed"] and reply["data"]["mode"] == "MODE_20W_6CORE"
    assert device.read("/var/lib/nvpmodel/status") == "pmode:0005\n"
    assert not any("-m" in call for call in device.calls("nvpmodel"))
    reply = agent.ask("nvpmodel", mode="fastest")
    assert reply["changed"] and reply["diff"] == {"before": "MODE_10W_DESKTOP", "after": "MODE_20W_6CORE"}
    assert reply["data"] == {
        "mode": "MODE_20W_6CORE",
        "id": 8,
        "previous": "MODE_10W_DESKTOP",
        "reboot_needed": False,
        "rebooting": False,
        "drift": [],
    }
    assert device.calls("nvpmodel").count("-m 8") == 1
    again = agent.ask("nvpmodel", mode="MODE_20W_6CORE")
    assert not again["changed"] and again["data"]["mode"] == "MODE_20W_6CORE"
    assert device.calls("nvpmodel").count("-m 8") == 1


def test_an_unknown_mode_names_those_of_the_board(start_as_root, tmp_path):
    FakeDevice(tmp_path / "device", "nano")
    error = start_as_root(prefix=tmp_path / "device").refuse("nvpmodel", mode="MAXN_SUPER")
    assert error["kind"] == "refused" and error["why"].endswith("keep, fastest, MAXN, 5W")


def test_keep_changes_nothing_even_without_nvpmodel(start_as_root, tmp_path):
    FakeDevice(tmp_path / "device")
    agent = start_as_root(prefix=tmp_path / "device", env={"PATH": "/nonexistent"})
    assert not agent.ask("nvpmodel", mode="keep")["changed"]
    assert "nvpmodel is missing" in agent.refuse("nvpmodel", mode="fastest")["why"]
    assert not agent.ask("jetson_clocks", state="keep")["changed"]
    assert "no jetson_clocks" in agent.refuse("jetson_clocks", state="max")["what"]
    assert "no fan" in agent.refuse("fan", speed="max")["what"]


def test_a_needed_reboot_is_reported_and_never_forced(start_as_root, tmp_path):
    device = FakeDevice(tmp_path / "device", "agx_orin")
    device.behave(golden=True)
    agent = start_as_root(prefix=tmp_path / "device")
    predicted = agent.ask("nvpmodel", check=True, mode="fastest")
    reply = agent.ask("nvpmodel", mode="fastest")
    for each in (predicted, reply):
        assert each["ok"] and not each["changed"]
        assert each["data"]["reboot_needed"] and not each["data"]["rebooting"]
        assert each["data"]["mode"] == "MODE_30W" and each["data"]["drift"] == []
    time.sleep(1.5)
    assert not device.path("/fake/rebooted").exists()
    assert agent.ask("nvpmodel", mode="MODE_50W")["data"]["reboot_needed"]


def test_a_mode_that_would_need_a_reboot_may_go_without(start_as_root, tmp_path):
    """A freshly started headless board has no GPU context yet, and switches at once."""
    FakeDevice(tmp_path / "device", "agx_orin")
    reply = start_as_root(prefix=tmp_path / "device").ask("nvpmodel", mode="fastest")
    assert reply["changed"] and reply["data"]["mode"] == "MAXN" and not reply["data"]["reboot_needed"]


def test_an_allowed_reboot_comes_after_the_reply(start_as_root, tmp_path):
    device = FakeDevice(tmp_path / "device", "agx_orin")
    device.behave(golden=True)
    agent = start_as_root(prefix=tmp_path / "device")
    assert agent.ask("nvpmodel", check=True, mode="fastest", allow_reboot=True)["data"]["rebooting"]
    reply = agent.ask("nvpmodel", mode="fastest", allow_reboot=True)
    assert reply["changed"] and reply["data"]["rebooting"] and reply["data"]["mode"] == "MAXN"
    assert not device.path("/fake/rebooted").exists()
    agent.close()  # the link dies; the reboot comes all the same
    end = time.monotonic() + 10
    while not device.path("/fake/rebooted").exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    assert device.read("/fake/rebooted") == "0"


def test_a_status_that_lies_is_found_out(start_as_root, tmp_path):
    """As seen on an Orin Nano: the status says 25W while mask and clocks are those of MAXN_SUPER."""
    device = FakeDevice(tmp_path / "device", "orin_nano_super", mode=2)
    device.write("/var/lib/nvpmodel/status", "pmode:0001\n")
    device.write(MASK, "0\n")
    agent = start_as_root(prefix=tmp_path / "device")
    fact = agent.call("facts", quick=True)["power"]
    assert fact["mode"] == {"id": 1, "name": "25W"} and fact["status_lies"] and fact["live_gpu_mask"] == 0
    assert {(entry["param"], entry["wanted"], entry["live"]) for entry in fact["drift"]} == {
        ("TPC_POWER_GATING", 240, 0),
        ("CPU_A", 1344000, 2000000),
        ("GPU", 918000000, 1300000000),
    }
    reply = agent.ask("nvpmodel", check=True, mode="25W")
    assert reply["ok"] and reply["data"]["reboot_needed"]


@pytest.mark.parametrize(
    "path, value, lies",
    [
        (f"{GPU}/min_freq", "918000000", False),
        (f"{GPU}/max_freq", "921600000", False),
        (f"{GPU}/max_freq", "612000000", False),
        (f"{GPU}/max_freq", "garbage", False),
        (f"{GPU}/max_freq", "1300000000", True),
        (f"{CPU}/cpu5/online", "0", True),
    ],
    ids=["held clocks", "rounded by the kernel", "hot", "unreadable", "another mode", "a core is off"],
)
def test_only_what_another_mode_explains_is_a_lie(start_as_root, tmp_path, path, value, lies):
    device = FakeDevice(tmp_path / "device", "orin_nano_super")
    device.write(path, value)
    assert start_as_root(prefix=tmp_path / "device").call("facts", quick=True)["power"]["status_lies"] is lies


@pytest.mark.parametrize(
    "behaviour, why",
    [
        ({"lie": True}, "is 918000000 where the mode says 612000000"),
        ({"quiet_error": True}, "failed to set power mode!"),
        ({"refuse": "NVPM ERROR: Error writing 2 to /sys/devices/gpu.0/fbp_pg_mask: 19"}, "Error writing 2"),
    ],
    ids=["lie", "error and exit 0", "exit 255"],
)
def test_a_mode_that_did_not_come_into_force_is_an_error(start_as_root, tmp_path, behaviour, why):
    device = FakeDevice(tmp_path / "device", "orin_nano_super")
    device.behave(**behaviour)
    error = start_as_root(prefix=tmp_path / "device").refuse("nvpmodel", mode="15W")
    assert error["kind"] == "failed" and "15W could not be set" in error["what"]
    assert why in error["why"]
    if behaviour.get("lie"):
        assert any(entry["lies"] for entry in error["data"]["drift"])


def test_clocks_are_held_and_read_back(start_as_root, tmp_path):
    device = FakeDevice(tmp_path / "device", "orin_nano_super")
    agent = start_as_root(prefix=tmp_path / "device")
    before = agent.ask("jetson_clocks", check=True, state="max")
    assert before["changed"] and device.read(f"{GPU}/min_freq") == "76000000\n"
    assert agent.call("facts", quick=True)["clocks"]["locked"] is False
    reply = agent.ask("jetson_clocks", state="max")
    assert reply["changed"] and reply["data"]["locked"] is True
    assert reply["data"]["clocks"]["gpu_hz"]["min"] == 918000000
    assert reply["data"]["clocks"]["cpu_hz"] == {"min": 1344000000, "max": 1344000000, "current": None}
    assert not agent.ask("jetson_clocks", state="max")["changed"]
    assert device.calls("jetson_clocks") == [""]


@pytest.mark.parametrize("behaviour", [{"stuck": True}, {"no_root": True}])
def test_clocks_that_did_not_follow_are_an_error_whatever_the_exit_code(start_as_root, tmp_path, behaviour):
    FakeDevice(tmp_path / "device", "nano").behave(**behaviour)
    error = start_as_root(prefix=tmp_path / "device").refuse("jetson_clocks", state="max")
    assert "not held" in error["what"] and error["why"]


def test_a_fan_is_set_by_its_file(start_as_root, tmp_path):
    device = FakeDevice(tmp_path / "device")
    device.write("/sys/class/hwmon/hwmon0/name", "ina3221\n")
    device.write("/sys/class/hwmon/hwmon2/name", "pwmfan\n")
    device.write("/sys/class/hwmon/hwmon2/pwm1", "66\n")
    agent = start_as_root(prefix=tmp_path / "device")
    assert agent.call("fan") == {"pwm": 66}
    assert agent.ask("fan", check=True, speed="max")["changed"]
    assert device.read("/sys/class/hwmon/hwmon2/pwm1") == "66\n"
    assert agent.call("fan", speed="max") == {"pwm": 255}
    assert not agent.ask("fan", speed="max")["changed"]
    device.write("/sys/devices/pwm-fan/target_pwm", "0\n")
    assert agent.call("fan", speed="max") == {"pwm": 255}
    assert device.read("/sys/devices/pwm-fan/target_pwm") == "255"
