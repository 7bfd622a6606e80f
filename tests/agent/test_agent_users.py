"""Users, groups and their keys: changed once, predicted in check mode, with no secret in any argv."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from system_device import SystemDevice

pytestmark = pytest.mark.agent


@pytest.fixture
def device(tmp_path):
    return SystemDevice(tmp_path / "device").with_users()


def settle(agent, device, action, **args):
    """Predict, do and do again: check mode touches nothing and foretells; the second time nothing changes."""
    before = device.picture()
    predicted = agent.ask(action, check=True, **args)
    assert predicted["ok"], predicted
    assert device.picture() == before
    done = agent.ask(action, **args)
    assert done["ok"], done
    assert done["changed"] == predicted["changed"], (predicted, done)
    again = agent.ask(action, **args)
    assert again["ok"] and not again["changed"], again
    return done


def test_groups_come_change_and_go(start, device):
    agent = start(prefix=device.folder)
    assert settle(agent, device, "group", name="gpio", system=True)["data"]["gid"] == 999
    assert settle(agent, device, "group", name="gpio", gid=777)["data"]["gid"] == 777
    assert "gpio:x:777:" in device.read("/etc/group")
    assert not settle(agent, device, "group", name="video")["changed"]
    assert settle(agent, device, "group", name="gpio", state="absent")["changed"]
    assert "gpio" not in device.read("/etc/group")


def test_a_user_is_made_as_described(start, device):
    agent = start(prefix=device.folder)
    args = {
        "name": "vision",
        "uid": 1500,
        "comment": "Vision service",
        "groups": ["video", "44"],
        "home": "/home/deep/vision",
        "shell": "/usr/sbin/nologin",
        "password": "$6$salt$hash",
        "expires": 1700000000,
    }
    # (Owners of home folders are root's to give.)
    args["create_home"] = os.geteuid() == 0
    data = settle(agent, device, "user", **args)["data"]
    assert (data["uid"], data["home"], data["shell"]) == (1500, "/home/deep/vision", "/usr/sbin/nologin")
    assert data["password"] == "NOT_LOGGING_PASSWORD" and data["comment"] == "Vision service"
    assert "vision:$6$salt$hash:" in device.read("/etc/shadow")
    assert "video:x:44:vision" in device.read("/etc/group")
    assert not [call for call in device.calls("useradd") + device.calls("chpasswd") if "salt" in call]


def test_a_user_changes_only_in_what_differs(start, device):
    agent = start(prefix=device.folder)
    assert not settle(agent, device, "user", name="nano", create_home=False, shell="/bin/bash")["changed"]
    assert settle(agent, device, "user", name="nano", create_home=False, groups=["video"], append=True)["changed"]
    assert "sudo:x:27:nano" in device.read("/etc/group") and "video:x:44:nano" in device.read("/etc/group")
    assert device.calls("usermod") == ["-a -G video nano"]
    settle(agent, device, "user", name="nano", create_home=False, groups=["video"])
    assert "sudo:x:27:\n" in device.read("/etc/group")
    settle(agent, device, "user", name="nano", create_home=False, groups=[])
    assert "video:x:44:\n" in device.read("/etc/group")
    settle(agent, device, "user", name="nano", create_home=False, password_lock=True)
    assert "nano:!$6$a$b:" in device.read("/etc/shadow")
    settle(agent, device, "user", name="nano", create_home=False, password_lock=False)
    settle(agent, device, "user", name="nano", create_home=False, password="$6$c$d")
    assert "nano:$6$c$d:" in device.read("/etc/shadow")
    calls = len(device.calls("chpasswd"))
    agent.call("user", name="nano", create_home=False, password="$6$e$f", update_password="on_create")
    assert len(device.calls("chpasswd")) == calls
    assert settle(agent, device, "user", name="nano", state="absent")["changed"]
    assert "nano" not in device.read("/etc/passwd")


def test_a_user_of_a_group_that_is_not_there_is_refused_with_the_group_s_name(start, device):
    agent = start(prefix=device.folder)
    error = agent.refuse("user", name="vision", groups=["no-such-group"])
    assert "no-such-group" in error["what"] and device.calls("useradd") == []
    # In check mode an earlier task may be the one that makes it.
    assert agent.ask("user", check=True, name="vision", groups=["no-such-group"])["changed"]


def test_what_useradd_says_becomes_the_reason(start, device):
    error = start(prefix=device.folder).refuse("user", name="vision", uid=1000, create_home=False)
    assert error["what"] == "useradd failed" and "UID 1000 is not unique" in error["why"]


@pytest.mark.parametrize(
    "action, args, argument",
    [
        ("user", {"name": "-x"}, "name"),
        ("user", {"name": "a:b"}, "name"),
        ("user", {"name": "a", "comment": "x:y"}, "comment"),
        ("user", {"name": "a", "password": "x\ny:z"}, "password"),
        ("group", {"name": "a b"}, "name"),
        ("group", {"name": "a", "gid": -1}, "gid"),
        ("authorized_key", {"user": "nano", "key": "no key at all"}, "key"),
        ("authorized_key", {"user": "nano", "key": "https://example.org/me.keys"}, "key"),
    ],
)
def test_what_could_break_the_files_is_refused(start, device, action, args, argument):
    before = device.picture()
    error = start(prefix=device.folder).refuse(action, **args)
    assert error["kind"] == "refused" and error["data"]["argument"] == argument
    assert device.picture() == before


ONE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE1 one@desk"
TWO = 'from="10.0.0.0/8",no-pty ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC2 two'
OLD = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC9 old"


def test_keys_are_kept_in_a_user_s_file(start, device, tmp_path):
    uid = os.geteuid()
    device.write("/etc/passwd", f"me:x:{uid}:{os.getegid()}::/home/me:/bin/bash\n")
    agent = start(prefix=device.folder)
    keys = "/home/me/.ssh/authorized_keys"
    device.path("/home/me").mkdir(parents=True)
    assert settle(agent, device, "authorized_key", user="me", key=ONE)["data"]["keyfile"] == keys
    assert device.path(keys).stat().st_mode & 0o777 == 0o600
    assert device.path("/home/me/.ssh").stat().st_mode & 0o777 == 0o700
    settle(agent, device, "authorized_key", user="me", key=f"# mine\n{ONE}\n{TWO}\n")
    assert device.read(keys).splitlines() == [ONE, TWO]
    settle(agent, device, "authorized_key", user="me", key=ONE, key_options="no-agent-forwarding", comment="desk")
    assert device.read(keys).splitlines()[0] == "no-agent-forwarding " + ONE.replace("one@desk", "desk")
    device.write(keys, f"# by hand\n{OLD}\n{device.read(keys)}")
    settle(agent, device, "authorized_key", user="me", key=OLD, state="absent")
    assert "old" not in device.read(keys) and "# by hand" in device.read(keys)
    diff = settle(agent, device, "authorized_key", user="me", key=TWO, exclusive=True)["diff"]
    assert device.read(keys) == TWO + "\n" == diff["after"]


def test_keys_of_a_user_who_is_not_there_are_refused(start, device):
    agent = start(prefix=device.folder)
    assert "no user ghost" in agent.refuse("authorized_key", user="ghost", key=ONE)["what"]
    assert agent.ask("authorized_key", check=True, user="ghost", key=ONE)["changed"]


def _private_root():
    """A command prefix under which /etc and /home are copies that nobody else sees, or None."""
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("useradd"):
        return None
    return None if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode else ["unshare", "-m"]


def test_the_real_shadow_tools_agree(start, tmp_path):
    prefix = _private_root()
    if prefix is None:
        pytest.skip("needs root, unshare and useradd, to work on a private copy of /etc")
    copy = tmp_path / "copy"
    (copy / "home").mkdir(parents=True)
    shutil.copytree("/etc", copy / "etc", symlinks=True, ignore_dangling_symlinks=True)
    script = tmp_path / "enter"
    script.write_text(f'#!/bin/sh\nset -e\nmount --bind {copy}/etc /etc\nmount --bind {copy}/home /home\nexec "$@"\n')
    script.chmod(0o755)
    before = Path("/etc/passwd").read_text()
    agent = start(argv_before=[*prefix, "sh", str(script)])
    assert agent.call("group", name="fleetgpio", system=True)["gid"] < 1000
    made = agent.ask("user", name="fleetvision", groups=["fleetgpio"], password="$6$salt$hash", shell="/bin/sh")
    assert made["ok"], made
    assert (copy / "home/fleetvision/.").exists() and "fleetvision:$6$salt$hash:" in (copy / "etc/shadow").read_text()
    again = agent.ask("user", name="fleetvision", groups=["fleetgpio"], password="$6$salt$hash", shell="/bin/sh")
    assert not again["changed"]
    assert agent.ask("user", name="fleetvision", groups=[], expires=1700000000)["changed"]
    assert not agent.ask("user", name="fleetvision", groups=[], expires=1700000000)["changed"]
    assert agent.ask("user", name="fleetvision", expires=-1)["changed"]
    assert not agent.ask("user", name="fleetvision", expires=-1)["changed"]
    key = agent.ask("user", name="fleetvision", generate_ssh_key=True, ssh_key_type="ed25519")
    assert key["changed"] and key["data"]["ssh_public_key"].startswith("ssh-ed25519 ")
    assert not agent.ask("user", name="fleetvision", generate_ssh_key=True, ssh_key_type="ed25519")["changed"]
    assert agent.ask("user", name="fleetvision", state="absent", remove=True)["changed"]
    assert not (copy / "home/fleetvision").exists()
    assert agent.ask("group", name="fleetgpio", state="absent")["changed"]
    assert Path("/etc/passwd").read_text() == before and "fleetvision" not in before
