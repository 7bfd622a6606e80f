"""Packages of the release at the release's own versions, and pinned Python packages, over scripted apt and pip."""

import json
import sys

import pytest
from fake_device import FakeDevice

pytestmark = pytest.mark.agent

TOOL = """#!{python}
import json, sys
path = {state!r}
state = json.load(open(path))
name, args = {name!r}, sys.argv[1:]
state["calls"].append([name] + args)
code = 0
if name == "dpkg-query":
    for package, version in sorted(state["installed"].items()):
        held = "hi " if package in state["held"] else "ii "
        print("\\t".join([package, "arm64", version, held, ""]))
elif name == "apt-cache":
    for version in state["known"].get(args[-1], []):
        print(" | ".join([args[-1], version, "repo"]))
elif name == "apt-mark":
    if args[0] == "showhold":
        print("\\n".join(state["held"]))
    else:
        state["held"] = sorted(set(state["held"]) ^ set(args[1:]))
elif name == "apt-get":
    if "update" in args:
        state["known"].update(state["new"])
    else:
        for word in args[args.index("install") + 1:]:
            package, found, version = word.partition("=")
            if found and "::" not in package:
                state["installed"][package] = version
json.dump(state, open(path, "w"))
sys.exit(code)
"""
NEWER, OURS = "8.6.1-1+cuda12.0", "8.2.1-1+cuda10.2"


@pytest.fixture
def device(tmp_path):
    device = FakeDevice(tmp_path / "device")
    state = {
        "installed": {"nvidia-l4t-core": "32.7.1-2022", "nvidia-l4t-kernel": "4.9-32.7.1", "bash": "4.4"},
        "held": [],
        "known": {"libnvinfer8": [NEWER, OURS], "cuda-toolkit-10-2": ["10.2.460-1"]},
        "new": {"libnvinfer-bin": [OURS]},
        "calls": [],
    }
    path = device.path("/state.json")
    device.write("/state.json", json.dumps(state))
    for name in ("dpkg-query", "apt-cache", "apt-mark", "apt-get"):
        device.write(f"/usr/bin/{name}", TOOL.format(python=sys.executable, state=str(path), name=name))
        device.path(f"/usr/bin/{name}").chmod(0o755)
    return device


def state_of(device):
    return json.loads(device.read("/state.json"))


def changing(device):
    """The calls that change something."""
    return [c for c in state_of(device)["calls"] if c[0] == "apt-get" or (c[0] == "apt-mark" and c[1] != "showhold")]


PACKAGES = [{"name": "libnvinfer8", "version": "8.2.1"}, {"name": "cuda-toolkit-10-2"}]


def test_the_release_s_own_version_is_installed_though_a_newer_one_is_offered(start_as_root, device):
    agent = start_as_root(prefix=device.folder)
    predicted = agent.ask("jetpack_components", check=True, packages=PACKAGES)
    assert predicted["changed"] and predicted["data"]["installed"]["libnvinfer8"] == OURS
    assert changing(device) == []
    reply = agent.ask("jetpack_components", packages=PACKAGES)
    assert reply["ok"] and reply["changed"], reply
    assert state_of(device)["installed"]["libnvinfer8"] == OURS
    assert "libnvinfer8 " + OURS in reply["diff"]["after"]
    again = agent.ask("jetpack_components", packages=PACKAGES)
    assert not again["changed"] and again["data"]["present"]["cuda-toolkit-10-2"] == "10.2.460-1"


def test_what_is_installed_is_never_upgraded_only_told(start_as_root, device):
    state = state_of(device)
    state["installed"]["libnvinfer8"] = "8.2.10-1"
    device.write("/state.json", json.dumps(state))
    reply = start_as_root(prefix=device.folder).ask("jetpack_components", packages=PACKAGES[:1])
    assert not reply["changed"] and reply["data"]["other"] == {"libnvinfer8": "8.2.10-1"}


def test_the_lists_are_fetched_where_they_lack_a_package(start_as_root, device):
    agent = start_as_root(prefix=device.folder)
    package = [{"name": "libnvinfer-bin", "version": "8.2.1"}]
    predicted = agent.call("jetpack_components", check=True, packages=package)
    assert predicted["warnings"]
    assert agent.call("jetpack_components", packages=package)["installed"] == {"libnvinfer-bin": OURS}
    error = agent.refuse("jetpack_components", packages=[{"name": "libnvinfer9", "version": "9.0"}])
    assert "libnvinfer9 9.0" in error["what"] and "nvidia-l4t-apt-source" in error["remedy"]


def test_the_packages_of_l4t_are_held_and_let_go(start_as_root, device):
    agent = start_as_root(prefix=device.folder)
    ours = ["nvidia-l4t-core", "nvidia-l4t-kernel"]
    assert agent.ask("jetpack_components", check=True, l4t="hold")["changed"] and changing(device) == []
    assert agent.call("jetpack_components", l4t="hold")["held"] == ours
    assert not agent.ask("jetpack_components", l4t="hold")["changed"]
    assert agent.call("jetpack_components", l4t="unhold")["held"] == []
    assert changing(device) == [["apt-mark", "hold", *ours], ["apt-mark", "unhold", *ours]]


@pytest.mark.parametrize("packages", [{"numpy": "1; rm -rf"}, {"num py": "1"}, {"numpy": 1}, {"--pre": "1"}])
@pytest.mark.parametrize("action", ["python_packages", "pycuda"])
def test_a_pin_that_is_none_is_refused_before_pip_is_asked(start_as_root, device, action, packages):
    error = start_as_root(prefix=device.folder).refuse(action, packages=packages)
    assert error["kind"] == "refused" and error["data"]["argument"] == "packages"
