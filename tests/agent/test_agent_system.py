"""Kernel parameters, names, time zones, repositories and facts of the system."""

import json
import sys

import pytest
from system_device import SystemDevice

pytestmark = pytest.mark.agent

SYSCTL = """#!{python} -S
import json, sys
from pathlib import Path
path = Path("{folder}/fake/live.json")
live, words = json.loads(path.read_text()), [w for w in sys.argv[1:] if not w.startswith("-")]
if "-n" in sys.argv:
    name = words[0].replace("/", ".")
    sys.exit("sysctl: cannot stat: No such file or directory") if name not in live else print(live[name])
else:
    lines = words if "-w" in sys.argv else Path(words[0]).read_text().splitlines()
    for line in (line for line in lines if "=" in line and line[0] != "#"):
        name, value = line.replace(" = ", "=").split("=", 1)
        name = name.replace("/", ".")
        if name not in live:
            sys.exit(f"sysctl: cannot stat /proc/sys/{{name}}: No such file or directory")
        live[name] = value
    path.write_text(json.dumps(live))
"""


@pytest.fixture
def device(tmp_path):
    device = SystemDevice(tmp_path / "device")
    device.write("/fake/live.json", json.dumps({"vm.swappiness": "60", "net.core.rmem_max": "212992"}))
    device.write("/sbin/sysctl", SYSCTL.format(python=sys.executable, folder=device.folder))
    device.write("/bin/hostname", f'#!/bin/sh\nf={device.folder}/fake/name\n[ -n "$1" ] && echo "$1" > $f || cat $f\n')
    device.write("/fake/name", "tegra-ubuntu\n")
    for tool in ("/sbin/sysctl", "/bin/hostname"):
        device.path(tool).chmod(0o755)
    device.write("/etc/hostname", "tegra-ubuntu\n")
    device.write("/etc/sysctl.conf", "# the board's own\nvm.swappiness = 60\n#net.core.rmem_max=1\n")
    return device


def settle(agent, device, action, changed=True, **args):
    """Predict, do and do again: check mode touches nothing and foretells; the second time nothing changes."""
    before = device.picture()
    predicted = agent.ask(action, check=True, **args)
    assert predicted["ok"] and device.picture() == before, predicted
    done = agent.ask(action, **args)
    assert done["ok"] and done["changed"] == predicted["changed"] == changed, (predicted, done)
    again = agent.ask(action, **args)
    assert again["ok"] and not again["changed"], again
    return done


def test_kernel_parameters_are_kept_in_a_file_and_in_force(start, device):
    agent = start(prefix=device.folder)
    settle(agent, device, "sysctl", changed=False, name="vm.swappiness", value="60")
    assert settle(agent, device, "sysctl", name="vm/swappiness", value="10")["data"]["value"] == "10"
    assert "vm/swappiness=10" in device.read("/etc/sysctl.conf") and "vm.swappiness = 60" not in device.read(
        "/etc/sysctl.conf"
    )
    settle(
        agent, device, "sysctl", name="net.core.rmem_max", value="26214400", sysctl_file="/etc/fleet.conf", reload=False
    )
    assert json.loads(device.read("/fake/live.json"))["net.core.rmem_max"] == "212992"
    settle(
        agent,
        device,
        "sysctl",
        name="net.core.rmem_max",
        value="26214400",
        sysctl_file="/etc/fleet.conf",
        sysctl_set=True,
    )
    assert json.loads(device.read("/fake/live.json"))["net.core.rmem_max"] == "26214400"
    settle(agent, device, "sysctl", name="net.core.rmem_max", state="absent", sysctl_file="/etc/fleet.conf")
    assert "rmem" not in device.read("/etc/fleet.conf") and "#net.core.rmem_max=1" in device.read("/etc/sysctl.conf")
    error = agent.refuse("sysctl", name="no.such", value="1", sysctl_file="/etc/other.conf")
    assert "no.such" in error["what"] and "cannot stat" in error["why"]
    assert agent.refuse("sysctl", name="vm.swappiness")["data"]["argument"] == "value"


def test_the_host_name_is_set_now_and_for_the_next_boot(start, device):
    agent = start(prefix=device.folder)
    done = settle(agent, device, "hostname", name="nano-01.lab")
    assert device.read("/etc/hostname") == "nano-01.lab\n" and device.read("/fake/name") == "nano-01.lab\n"
    assert done["data"]["ansible_facts"]["ansible_hostname"] == "nano-01"
    assert done["diff"] == {"before": "hostname = tegra-ubuntu\n", "after": "hostname = nano-01.lab\n"}
    for name in ("-x", "a b", "a" * 65, "a_b", ""):
        assert agent.refuse("hostname", name=name)["kind"] == "refused"


def test_the_time_zone_is_a_link_that_is_replaced(start, device):
    for zone in ("Etc/UTC", "Europe/Berlin"):
        device.write(f"/usr/share/zoneinfo/{zone}", "TZif")
    device.path("/etc/localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")
    device.write("/etc/timezone", "Etc/UTC\n")
    agent = start(prefix=device.folder)
    settle(agent, device, "timezone", changed=False, name="Etc/UTC")
    settle(agent, device, "timezone", name="Europe/Berlin")
    assert str(device.path("/etc/localtime").readlink()) == "/usr/share/zoneinfo/Europe/Berlin"
    assert device.read("/etc/timezone") == "Europe/Berlin\n"
    settle(agent, device, "timezone", hwclock="local")
    assert device.read("/etc/adjtime").splitlines()[2] == "LOCAL"
    assert "no time zone Mars/Base" in agent.refuse("timezone", name="Mars/Base")["what"]
    assert agent.refuse("timezone", name="../../etc/passwd")["kind"] == "refused"
    assert agent.refuse("timezone")["kind"] == "refused"


REPO = "deb [arch=arm64] https://repo.download.nvidia.com/jetson/common r35.4 main"


def test_repositories_are_lines_of_their_files(start, device):
    device.put_tool("/usr/bin/apt-get", "packages.py", "apt-get")
    device.write("/fake/packages.json", json.dumps({"installed": {}, "available": {}}))
    device.write("/etc/apt/sources.list", "deb http://ports.ubuntu.com/ubuntu-ports focal main\n# deb http://x/ y z\n")
    agent = start(prefix=device.folder)
    added = settle(agent, device, "apt_repository", repo=REPO)
    path = "/etc/apt/sources.list.d/repo_download_nvidia_com_jetson_common.list"
    assert added["data"]["sources_added"] == [path] and device.read(path) == REPO + "\n"
    assert device.calls("apt-get") == ["-y update"]
    spaced = REPO.replace(" ", "  ").replace("main", "main # same")
    settle(agent, device, "apt_repository", changed=False, repo=spaced, filename="other")
    settle(agent, device, "apt_repository", repo="deb http://x/ y z", update_cache=False)
    assert "\ndeb http://x/ y z\n" in device.read("/etc/apt/sources.list")
    settle(
        agent, device, "apt_repository", repo="deb http://new/ s c", filename="site", mode="0640", update_cache=False
    )
    assert device.path("/etc/apt/sources.list.d/site.list").stat().st_mode & 0o777 == 0o640
    removed = settle(agent, device, "apt_repository", repo=REPO, state="absent", update_cache=False)
    assert removed["data"]["sources_removed"] == [path] and not device.path(path).exists()
    state = {"installed": {}, "available": {}, "fails": {"update": "E: Could not connect to nowhere:80"}}
    device.write("/fake/packages.json", json.dumps(state))
    before = device.picture()
    error = agent.refuse("apt_repository", repo="deb http://nowhere/ s c", update_cache_retries=1)
    assert "cannot reach nowhere:80" in error["what"] and device.picture() == before
    assert "ppa" in agent.refuse("apt_repository", repo="ppa:graphics-drivers/ppa")["what"]
    assert agent.refuse("apt_repository", repo="http://x y")["data"]["argument"] == "repo"


@pytest.mark.parametrize(
    "release, expected",
    [
        (
            'NAME="Ubuntu"\nVERSION="18.04.6 LTS (Bionic Beaver)"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="18.04"\n'
            "VERSION_CODENAME=bionic\n",
            ("Ubuntu", "18.04", "bionic", "18", "Debian"),
        ),
        (
            'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="12"\nVERSION="12 (bookworm)"\n',
            ("Debian", "12.4", "bookworm", "12", "Debian"),
        ),
        ('NAME="Some Image"\nID=custom\nID_LIKE="ubuntu debian"\n', ("Some Image", "NA", "NA", "NA", "Debian")),
    ],
)
def test_facts_have_ansible_s_names(start, device, release, expected):
    device.write("/etc/os-release", release)
    device.write("/etc/debian_version", "12.4\n")
    device.write("/etc/hosts", "127.0.1.1 nano-01.lab.example nano-01\n")
    device.write("/proc/sys/kernel/hostname", "nano-01\n")
    device.write("/proc/meminfo", "MemTotal:        4059292 kB\nMemFree: 1024000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")
    device.write("/proc/uptime", "81.52 300.1\n")
    device.write(
        "/proc/cpuinfo", "".join(f"processor\t: {n}\nmodel name\t: ARMv8 Processor rev 1 (v8l)\n\n" for n in range(4))
    )
    device.write("/proc/mounts", "/dev/root / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n")
    device.write("/etc/ansible/facts.d/site.fact", "[rack]\nrow = 7\n")
    device.write("/etc/ansible/facts.d/board.fact", '{"serial": 12}')
    agent = start(prefix=device.folder)
    facts = agent.call("setup")["ansible_facts"]
    names = ("distribution", "distribution_version", "distribution_release", "distribution_major_version", "os_family")
    assert tuple(facts["ansible_" + name] for name in names) == expected
    assert (facts["ansible_hostname"], facts["ansible_fqdn"], facts["ansible_domain"]) == (
        "nano-01",
        "nano-01.lab.example",
        "lab.example",
    )
    assert (facts["ansible_memtotal_mb"], facts["ansible_processor_vcpus"], facts["ansible_uptime_seconds"]) == (
        3964,
        4,
        81,
    )
    assert [mount["device"] for mount in facts["ansible_mounts"]] == ["/dev/root"]
    assert facts["ansible_local"] == {"site": {"rack": {"row": "7"}}, "board": {"serial": 12}}
    greeting = agent.greeting["python"]
    assert facts["ansible_python_version"] == greeting and facts["ansible_date_time"]["epoch"].isdigit()


def test_facts_can_be_chosen_and_a_broken_topic_leaves_the_others(start, device):
    device.write("/proc/meminfo", "nothing to see\n")
    agent = start(prefix=device.folder)
    data = agent.call("setup")
    assert any("memory" in line for line in data["warnings"]) and "ansible_kernel" in data["ansible_facts"]
    some = agent.call("setup", gather_subset=["!all", "!min", "platform"])["ansible_facts"]
    assert "ansible_hostname" in some and "ansible_env" not in some and "ansible_mounts" not in some
    least = agent.call("setup", gather_subset=["!all"])["ansible_facts"]
    assert "ansible_env" in least and "ansible_mounts" not in least
    assert "ansible_mounts" not in agent.call("setup", gather_subset=["network"])["ansible_facts"]
    assert set(agent.call("setup", filter=["ansible_kernel", "host*"])["ansible_facts"]) == {
        "ansible_kernel",
        "ansible_hostname",
    }
    assert "hardwear" in agent.refuse("setup", gather_subset=["hardwear"])["what"]
