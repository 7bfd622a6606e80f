"""Facts are read as on the real board, quickly, and nothing that a board lacks or garbles breaks them."""

import json
import random
import time

import pytest
from fake_device import CASES, FakeDevice

pytestmark = pytest.mark.agent

FILES = {
    "nv_tegra_release": "/etc/nv_tegra_release",
    "model": "/proc/device-tree/model",
    "compatible": "/proc/device-tree/compatible",
    "boardids": "/proc/device-tree/nvidia,boardids",
    "cuda.txt": "/usr/local/cuda/version.txt",
    "cuda.json": "/usr/local/cuda/version.json",
}
TOOLS = {
    "nvpmodel.txt": "/usr/sbin/nvpmodel",
    "jetson_clocks.txt": "/usr/bin/jetson_clocks",
    "dpkg_query.txt": "/usr/bin/dpkg-query",
    "trtexec.txt": "/usr/src/tensorrt/bin/trtexec",
}
EVERY_FACT = {
    "virtual",
    "hostname",
    "machine",
    "kernel",
    "os",
    "python",
    "boot_id",
    "time",
    "uptime_s",
    "user",
    "groups",
    "l4t",
    "model",
    "compatible",
    "boardids",
    "packages",
    "cuda",
    "trtexec",
    "ram_bytes",
    "ram_available_bytes",
    "swap_bytes",
    "zram_bytes",
    "disk_free_bytes",
    "power",
    "clocks",
    "root",
    "problems",
}


def make_board(folder, case):
    device = FakeDevice(folder)
    for capture in (CASES / case).iterdir():
        if capture.name in FILES:
            device.write(FILES[capture.name], capture.read_bytes())
        elif capture.name in TOOLS:
            device.tool(TOOLS[capture.name], f"prints:{capture.stem}")
        device.write(f"/fake/{capture.name}", capture.read_bytes())
    return device


def pick(value, path):
    for name in path.split("."):
        found = value.get(name) if isinstance(value, dict) else None
        value = value[int(name)] if isinstance(value, list) else found
    return value


@pytest.mark.parametrize("case", sorted(path.parent.name for path in CASES.glob("*/expected.json")))
def test_facts_are_read_as_on_the_real_board(start_as_root, tmp_path, case):
    device = make_board(tmp_path / "device", case)
    agent = start_as_root(prefix=device.folder)
    facts = agent.call("facts")
    assert facts["problems"] == []
    assert set(facts) == EVERY_FACT
    facts["shown"] = agent.call("jetson_clocks")["clocks"]
    expected = json.loads((CASES / case / "expected.json").read_text())
    assert {path: pick(facts, path) for path in expected} == expected


def test_plain_files_of_the_system(start, tmp_path):
    device = FakeDevice(tmp_path / "device")
    device.write("/etc/os-release", 'NAME="Ubuntu"\nVERSION_ID="18.04"\nID=ubuntu\nID_LIKE=debian\n')
    device.write(
        "/proc/meminfo", "MemTotal:        4051048 kB\nMemAvailable:    2976000 kB\nSwapTotal:       2025520 kB\n"
    )
    device.write(
        "/proc/swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 506380 0 5\n/mnt/4GB.swap file 9 0 1\n"
    )
    device.write("/proc/uptime", "1234.56 5000.00\n")
    device.write("/proc/sys/kernel/random/boot_id", "13bce0b4-b7b1-44a1-9c64-a67bd9acd4e9\n")
    device.write("/etc/fleet-virtual.json", "{}")
    facts = start(prefix=device.folder).call("facts", quick=True)
    assert facts["os"] == {"id": "ubuntu", "version": "18.04"}
    assert facts["ram_bytes"] == 4051048 * 1024 and facts["ram_available_bytes"] == 2976000 * 1024
    assert facts["swap_bytes"] == 2025520 * 1024 and facts["zram_bytes"] == 506380 * 1024
    assert (facts["uptime_s"], facts["boot_id"]) == (1234.56, "13bce0b4-b7b1-44a1-9c64-a67bd9acd4e9")
    assert facts["virtual"] is True and facts["disk_free_bytes"] > 0
    assert facts["packages"] is None and facts["trtexec"] is None


def test_trtexec_is_asked_for_its_flags_once_per_binary(start, tmp_path):
    device = make_board(tmp_path / "device", "nano_r32_7_1")
    agent = start(prefix=device.folder)
    first = agent.call("facts")["trtexec"]
    assert first["path"] == str(device.path("/usr/src/tensorrt/bin/trtexec"))
    assert agent.call("facts")["trtexec"] == first
    assert device.calls("trtexec") == ["--help"]
    device.write("/fake/trtexec.txt", "&&&& RUNNING TensorRT.trtexec [TensorRT v8502] # trtexec --help\n  --onnx  x\n")
    device.tool("/usr/src/tensorrt/bin/trtexec", "prints:trtexec")
    assert agent.call("facts")["trtexec"]["version"] == "8.5.2"
    (tmp_path / "root/cache/trtexec.json").write_text('{"stamp": 1')
    assert agent.call("facts")["trtexec"]["version"] == "8.5.2"


def test_one_question_to_dpkg(start, tmp_path):
    device = make_board(tmp_path / "device", "nano_r32_7_1")
    start(prefix=device.folder).call("facts")
    assert [call[:2] for call in device.calls("dpkg_query")].count("-W") == 1


def test_quick_facts_run_no_tool_but_nvpmodel(start, tmp_path):
    device = make_board(tmp_path / "device", "nano_r32_7_1")
    facts = start(prefix=device.folder).call("facts", quick=True)
    assert facts["packages"] is None and facts["trtexec"] is None and facts["l4t"]["version"] == "32.7.1"
    assert device.calls("dpkg_query") == device.calls("trtexec") == []


def test_a_tool_that_hangs_does_not_hang_the_facts(start, tmp_path, package):
    device = FakeDevice(tmp_path / "device", "nano")
    device.write("/usr/src/tensorrt/bin/trtexec", "#!/bin/sh\nsleep 100 & sleep 100\n")
    device.path("/usr/src/tensorrt/bin/trtexec").chmod(0o755)
    software = package / "facts/software.py"
    software.write_text(software.read_text().replace("HELP_TIMEOUT_S = 30", "HELP_TIMEOUT_S = 1"))
    started = time.monotonic()
    fact = start(package, prefix=device.folder).call("facts")["trtexec"]
    assert fact["flags"] == [] and fact["version"] is None
    assert time.monotonic() - started < 15


GARBAGE = [
    b"",
    b"\0",
    b"\n\n\n",
    b"\xff\xfe\x00garbage",
    b"-1",
    b"9" * 5000,
    b"# R (release), REVISION: , GCID",
    b"# R32 (release), REVISION: 7.1",
    b"< POWER_MODEL ID= NAME= >\n< PARAM >\n<>\nCPU_ONLINE CORE_x 1\nGPU MAX_FREQ\n",
    b"< POWER_MODEL ID=0 NAME=A >\nGPU MAX_FREQ zebra\nCPU_ONLINE CORE_0 maybe\n< PM_CONFIG DEFAULT=zebra >\n",
    b"NV Power Mode:\n",
    b"NV Power Mode: MAXN\nzero\n99999\n",
    b'{"cuda": [1, 2]}',
    b"[[[[",
    b"0-99999,3--5,,x",
    b"a\tb\tc\nii\n\t\t\n",
    b"&&&& RUNNING TensorRT.trtexec [TensorRT v] # --help\n---\n--\n-- \n",
]


def test_no_garbage_breaks_the_facts(start_as_root, tmp_path):
    """Every file and every tool's output is replaced by rubbish, at random but repeatably."""
    dice = random.Random(20)
    device = FakeDevice(tmp_path / "device", "orin_nano_super")
    tools = {"/usr/sbin/nvpmodel": "nvpmodel", "/usr/bin/jetson_clocks": "jetson_clocks"}
    tools.update({"/usr/bin/dpkg-query": "dpkg_query", "/usr/src/tensorrt/bin/trtexec": "trtexec"})
    files = [
        *FILES.values(),
        "/etc/nvpmodel.conf",
        "/var/lib/nvpmodel/status",
        "/etc/os-release",
        "/proc/meminfo",
        "/proc/swaps",
        "/proc/uptime",
        "/sys/devices/system/cpu/online",
        "/sys/devices/platform/gpu.0/tpc_pg_mask",
        "/sys/devices/platform/17000000.gpu/devfreq_dev/max_freq",
    ]
    agent = start_as_root(prefix=device.folder)
    for _ in range(12):
        for path in files:
            choice = dice.choice([*GARBAGE, None, "folder"])
            target = device.path(path)
            if target.is_dir():
                target.rmdir()
            if choice is None:
                target.unlink(missing_ok=True)
            elif choice == "folder":
                target.unlink(missing_ok=True)
                target.mkdir(parents=True)
            else:
                device.write(path, choice)
        for path, name in tools.items():
            device.write(f"/fake/{name}.txt", dice.choice(GARBAGE).replace(b"\xff\xfe", b""))
            device.write(f"/fake/{name}_p.txt", dice.choice(GARBAGE).replace(b"\xff\xfe", b""))
            device.tool(path, f"prints:{name}")
        facts = agent.call("facts")
        assert set(facts) == EVERY_FACT
        assert facts["problems"] == [], facts["problems"]
        assert agent.ask("jetson_clocks")["ok"]
        reply = agent.ask("nvpmodel", check=True, mode="fastest")
        assert reply["ok"] or "agent made a mistake" not in reply["error"]["what"]
