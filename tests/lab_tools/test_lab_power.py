"""nvpmodel and jetson_clocks as on the boards: tables, silence, prompts, exit codes, and what survives a reboot."""

from __future__ import annotations

import pytest

from orchestrator.lab.profile import load_profile, profile_names

PROFILES = [name for name in profile_names() if load_profile(name).get("power")]
CPU0 = "/sys/devices/system/cpu/cpu0/cpufreq"

# default mode and id, fastest mode and id as the boards have them, and whether going there reboots
MODES = {
    "nano-jetpack-4.6.1": ("MAXN", 0, "MAXN", 0, False),
    "agx-xavier-jetpack-4.6": ("MODE_15W_DESKTOP", 7, "MAXN", 0, False),
    "xavier-nx-jetpack-5.1.2": ("MODE_10W_DESKTOP", 5, "MODE_20W_6CORE", 8, False),
    "orin-nano-jetpack-6.2": ("25W", 1, "MAXN_SUPER", 2, False),
    "orin-nano-jetpack-6.2-bare": ("25W", 1, "MAXN_SUPER", 2, False),
    "nano-jetpack-4.3": ("MAXN", 0, "MAXN", 0, False),
    "xavier-nx-jetpack-4.5.1": ("MODE_10W_DESKTOP", 5, "MODE_20W_6CORE", 8, False),
    "agx-orin-jetpack-6.0": ("MODE_30W", 2, "MAXN", 0, True),
}


def test_every_profile_has_its_row():
    assert set(PROFILES) == set(MODES)


@pytest.mark.parametrize("name", MODES)
def test_a_board_boots_in_its_default_and_reaches_its_fastest_mode(device, name):
    default, number, fastest, target, reboots = MODES[name]
    board = device(name)
    assert board.run("nvpmodel", "-q").stdout.endswith(f"NV Power Mode: {default}\n{number}\n")
    switched = board.run("nvpmodel", "-m", str(target), input="yes\n")
    assert switched.returncode == 0
    if reboots:
        assert switched.stdout.endswith("enter YES/yes to confirm:\nNVPM WARN: rebooting..\n")
        assert (board.root / ".lab/control").read_text() == "reboot\n"
        board.boot()
    else:
        assert (switched.stdout, switched.stderr) == ("", "")
        assert not (board.root / ".lab/control").exists()
    assert board.run("nvpmodel", "-q").stdout.endswith(f"NV Power Mode: {fastest}\n{target}\n")
    verbose = board.run("nvpmodel", "-q", "--verbose").stdout
    assert not [line for line in verbose.splitlines() if _drifted(line)]


def _drifted(line: str) -> bool:
    if "REAL_VAL" not in line or "GPU_PWR_CNTL" in line or "CONF_VAL: 0" in line:
        return False
    real, conf = line.split("REAL_VAL: ")[1].split(" CONF_VAL: ")
    return real != conf and int(conf) not in (2**31 - 1, 2**63 - 1)


def test_the_reboot_prompt_without_an_answer_exits_234_and_changes_nothing(device):
    board = device("agx-orin-jetpack-6.0")
    refused = board.run("nvpmodel", "-m", "0")
    assert refused.returncode == 234
    assert refused.stdout == (
        "NVPM WARN: Golden image context is already created\n"
        "NVPM WARN: Reboot required for changing to this power mode: 0\n"
        "NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:\n"
        "NVPM ERROR: bad input!\n"
        "NVPM ERROR: optMask is 1, no request for power mode\n"
    )
    assert not (board.root / ".lab/control").exists()
    assert board.read("/var/lib/nvpmodel/status") == "pmode:0002"


def test_force_reboots_without_asking(device):
    board = device("agx-orin-jetpack-6.0")
    forced = board.run("nvpmodel", "-m", "0", "--force")
    assert "Automatically rebooting to reflect the mode change" in forced.stdout
    assert (board.root / ".lab/control").read_text() == "reboot\n"


def test_only_mode_1_of_an_agx_xavier_needs_a_reboot(device):
    board = device("agx-xavier-jetpack-4.6")
    rcs = {n: board.run("nvpmodel", "-m", str(n)).returncode for n in range(8)}
    assert rcs == {n: 234 if n == 1 else 0 for n in range(8)}


def test_queries_without_root_print_errors_and_still_succeed(device):
    board = device("agx-xavier-jetpack-4.6")
    query = board.run("nvpmodel", "-q", root=False)
    lines = query.stdout.splitlines()
    assert query.returncode == 0
    assert lines[:4] == [
        "NV Fan Mode:quiet",
        "NV Power Mode: MODE_15W_DESKTOP",
        "7",
        "NVPM ERROR: Error opening /sys/kernel/nvpmodel_emc_cap/emc_iso_cap: 13",
    ]
    assert lines[-1] == "NVPM ERROR: Fan failed to set mode:quiet"
    assert len(lines) == 17


def test_a_switch_without_root_fails(device):
    board = device("nano-jetpack-4.6.1")
    refused = board.run("nvpmodel", "-m", "1", root=False)
    assert refused.returncode == 255
    assert "NVPM ERROR: failed to set power mode!" in refused.stdout
    assert board.state()["mode"] == 0


def test_status_file_and_live_clocks_may_disagree(device):
    """The lie of jetson_facts 3.5: -q repeats the status file, --verbose shows what is."""
    board = device("orin-nano-jetpack-6.2")
    (board.root / "var/lib/nvpmodel/status").write_text("pmode:0002\n")
    assert board.run("nvpmodel", "-q").stdout == "NV Power Mode: MAXN_SUPER\n2\n"
    assert board.read("/sys/devices/platform/17000000.gpu/devfreq_dev/max_freq") == "918000000"


def test_the_listing_of_the_nano_is_the_capture(device):
    listing = device("nano-jetpack-4.6.1").run("nvpmodel", "-p", "--verbose").stdout
    assert listing.startswith(
        "NVPM VERB: Config file: /etc/nvpmodel.conf\nNVPM VERB: parsing done for /etc/nvpmodel.conf\n"
        "succeed to parse file /etc/nvpmodel.conf.\nNVPM VERB: PM_CONFIG: DEFAULT=MAXN(0)\n"
    )
    assert (
        "NVPM VERB: POWER_MODEL: ID=1 NAME=5W\nNVPM VERB: CPU_ONLINE CORE_0 1\nNVPM VERB: CPU_ONLINE CORE_1 1\n"
        "NVPM VERB: CPU_ONLINE CORE_2 0\nNVPM VERB: CPU_ONLINE CORE_3 0\nNVPM VERB: CPU_A57 MIN_FREQ 0\n"
        "NVPM VERB: CPU_A57 MAX_FREQ 918000\nNVPM VERB: GPU_POWER_CONTROL_ENABLE GPU_PWR_CNTL_EN on\n"
        "NVPM VERB: GPU MIN_FREQ 0\nNVPM VERB: GPU MAX_FREQ 640000000\n"
        "NVPM VERB: GPU_POWER_CONTROL_DISABLE GPU_PWR_CNTL_DIS auto\nNVPM VERB: EMC MAX_FREQ 1600000000\nNVPM VERB:\n"
    ) in listing


def test_the_kernel_rounds_a_cap_up_to_its_table(device):
    board = device("nano-jetpack-4.6.1")
    board.run("nvpmodel", "-m", "1", check=True)
    assert board.read(f"{CPU0}/scaling_max_freq") == "921600"
    assert board.read("/sys/devices/system/cpu/online") == "0-1"
    assert "off,off]" in _first_line_of_tegrastats(board)


def _first_line_of_tegrastats(board) -> str:
    import subprocess

    with pytest.raises(subprocess.TimeoutExpired) as killed:
        board.run("tegrastats", "--interval", "50", timeout=1.5)
    return killed.value.stdout.decode().splitlines()[0]


def test_jetson_clocks_is_silent_locks_and_is_lost_at_reboot(device):
    board = device("orin-nano-jetpack-6.2")
    before = board.read("/proc/sys/kernel/random/boot_id")
    done = board.run("jetson_clocks")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    shown = board.run("jetson_clocks", "--show").stdout
    assert (
        "cpu0:  Online=1 Governor=schedutil MinFreq=1344000 MaxFreq=1344000 CurrentFreq=1344000 IdleStates: WFI=0"
        in shown
    )
    assert "GPU MinFreq=918000000 MaxFreq=918000000 CurrentFreq=918000000\nActive GPU TPCs: 4\n" in shown
    board.boot()
    assert "MinFreq=729600 MaxFreq=1344000" in board.run("jetson_clocks", "--show").stdout
    assert board.read("/proc/sys/kernel/random/boot_id") != before


def test_jetson_clocks_without_root_says_so_after_the_machine_line(device):
    refused = device("nano-jetpack-4.6.1").run("jetson_clocks", "--show", root=False)
    assert refused.returncode == 1
    assert refused.stdout == (
        "SOC family:tegra210  Machine:NVIDIA Jetson Nano Developer Kit\n"
        "Error: Run this script(/usr/bin/jetson_clocks) as a root user\n"
    )


def test_jetson_clocks_stores_restores_and_asks_before_overwriting(device):
    board = device("agx-orin-jetpack-6.0")
    home = {"HOME": "/root"}
    assert "file not found !" in board.run("jetson_clocks", "--restore", env=home).stdout
    stored = board.run("jetson_clocks", "--store", env=home)
    assert stored.stdout == "Storing system configuration in /root/.jetsonclocks_conf.txt\n"
    assert board.run("jetson_clocks", "--store", env=home).returncode == 1
    board.run("jetson_clocks", check=True)
    board.run("jetson_clocks", "--restore", env=home, check=True)
    assert board.state()["clocks"] == {"locked": False}


def test_an_unknown_option_of_jetson_clocks_exits_0(device):
    unknown = device("nano-jetpack-4.6.1").run("jetson_clocks", "--bogus")
    assert unknown.returncode == 0
    assert "Unknown option: --bogus" in unknown.stdout


def test_device_tree_strings_end_in_nul(device):
    board = device("nano-jetpack-4.6.1")
    tree = board.root / "proc/device-tree"
    assert (tree / "model").read_bytes() == b"NVIDIA Jetson Nano Developer Kit\0"
    assert (tree / "compatible").read_bytes().split(b"\0")[1:] == [b"nvidia,jetson-nano", b"nvidia,tegra210", b""]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "nano-jetpack-4.6.1",
            "RAM 1165/3956MB (lfb 758x4MB) SWAP 0/1978MB (cached 0MB) IRAM 0/252kB(lfb 252kB) CPU [0%@102,",
        ),
        (
            "orin-nano-jetpack-6.2",
            "MB) CPU [0%@729,0%@729,0%@729,0%@729,0%@729,0%@729] EMC_FREQ 5%@3199 GR3D_FREQ 0%@306 ",
        ),
    ],
)
def test_tegrastats_prints_the_layout_of_the_board(device, name, text):
    assert text in _first_line_of_tegrastats(device(name))


@pytest.mark.parametrize(
    ("name", "path", "line"),
    [
        ("nano-jetpack-4.6.1", "/sys/devices/pwm-fan/target_pwm", "Fan: speed=255\n"),
        ("agx-orin-jetpack-6.0", "/sys/class/hwmon/hwmon2/pwm1", "nvfancontrol hwmon2_pwm1=255\n"),
    ],
)
def test_the_fan_runs_at_full_speed_until_the_next_boot(device, name, path, line):
    board = device(name)
    board.run("jetson_clocks", "--fan", check=True)
    assert board.read(path) == "255"
    assert line in board.run("jetson_clocks", "--show").stdout
    board.boot()
    assert board.read(path) != "255"
