"""Units of systemd: what is changed, what is left alone, and what check mode predicts."""

import json

import pytest
from system_device import SystemDevice

pytestmark = pytest.mark.agent

UNITS = {
    "vision": {"active": True, "enabled": True},
    "idle": {"active": False, "enabled": False},
    "sick": {"active": False, "enabled": True, "fails": True},
    "gone": {"active": False, "masked": True},
}


@pytest.fixture
def device(tmp_path):
    device = SystemDevice(tmp_path / "device")
    device.write("/fake/units.json", json.dumps(UNITS))
    device.put_tool("/bin/systemctl", "systemctl.py")
    return device


CASES = [
    # (action, arguments, changed, the one call that changes something)
    ("systemd", {"name": "vision", "state": "started"}, False, None),
    ("systemd", {"name": "idle", "state": "started"}, True, "start idle"),
    ("systemd", {"name": "vision", "state": "stopped"}, True, "stop vision"),
    ("systemd", {"name": "idle", "state": "stopped"}, False, None),
    ("systemd", {"name": "vision", "state": "restarted"}, True, "restart vision"),
    ("systemd", {"name": "vision", "state": "reloaded"}, True, "reload vision"),
    ("systemd", {"name": "idle", "state": "reloaded"}, True, "start idle"),
    ("systemd", {"name": "idle", "enabled": True}, True, "enable idle"),
    ("systemd", {"name": "vision", "enabled": True, "state": "started"}, False, None),
    ("systemd", {"name": "vision", "enabled": False}, True, "disable vision"),
    ("systemd", {"name": "vision", "masked": True}, True, "mask vision"),
    ("systemd", {"name": "gone", "masked": False}, True, "unmask gone"),
    ("systemd", {"name": "gone", "masked": True}, False, None),
    ("systemd", {"name": "idle", "state": "started", "no_block": True}, True, "--no-block start idle"),
    ("systemd", {"name": "idle", "enabled": True, "scope": "user"}, True, "--user enable idle"),
    ("service", {"name": "idle", "state": "started"}, True, "start idle"),
    ("service", {"name": "vision", "enabled": True}, False, None),
]


def test_a_unit_is_brought_to_its_state_once(start, device):
    agent = start(prefix=device.folder)
    for action, args, changed, call in CASES:
        device.write("/fake/units.json", json.dumps(UNITS))
        device.write("/fake/systemctl.calls", "")
        predicted = agent.ask(action, check=True, **args)
        assert (predicted["changed"], _changing(device)) == (changed, []), args
        done = agent.ask(action, **args)
        assert done["ok"] and done["changed"] == changed, args
        assert _changing(device) == ([call] if call else []), args
        if args.get("state") not in ("restarted", "reloaded"):
            assert not agent.ask(action, **args)["changed"], args


def _changing(device):
    """The calls of systemctl that change something."""
    questions = {"show", "is-enabled", "is-active"}
    return [call for call in device.calls("systemctl") if not questions & set(call.split())]


def test_a_restarted_unit_is_looked_at(start, device):
    data = start(prefix=device.folder).call("service", name="vision", state="restarted")
    assert (data["active"], data["state"], data["status"]["LoadState"]) == ("active", "started", "loaded")


def test_what_systemctl_says_becomes_the_reason(start, device):
    agent = start(prefix=device.folder)
    error = agent.refuse("service", name="sick", state="started")
    assert "sick could not be started" in error["what"] and "control process exited" in error["why"]
    assert "journalctl -u sick" in error["remedy"]
    assert "no unit viison" in agent.refuse("systemd", name="viison", state="started")["what"]


def test_check_mode_says_that_a_unit_is_still_to_come(start, device):
    reply = start(prefix=device.folder).ask("systemd", check=True, name="viison", state="started", daemon_reload=True)
    assert reply["changed"] and "no unit viison yet" in reply["data"]["warnings"][0]
    assert "daemon-reload" not in " ".join(device.calls("systemctl"))


def test_units_are_read_anew_without_a_name(start, device):
    reply = start(prefix=device.folder).ask("systemd", daemon_reload=True)
    assert not reply["changed"] and device.calls("systemctl") == ["daemon-reload"]


@pytest.mark.parametrize(
    "args, argument", [({}, "state"), ({"state": "started"}, "name"), ({"name": "a", "state": "up"}, "state")]
)
def test_a_unit_that_is_not_asked_for_properly_is_refused(start, device, args, argument):
    error = start(prefix=device.folder).refuse("systemd", **args)
    assert error["kind"] == "refused" and error["data"]["argument"] == argument
    assert device.calls("systemctl") == []
