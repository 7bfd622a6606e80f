"""The same against a virtual Jetson: no difference but that it is started on demand."""

import threading

import pytest
from device_settings import host_settings

from orchestrator.devices.device import Device
from orchestrator.errors import ConfigurationError, ConnectError

pytestmark = pytest.mark.lab
NAME = "nano"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    from orchestrator.lab.lab import Lab

    folder = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLEET_HOME", str(folder))
        lab = Lab()
        yield lab
        lab.down()


@pytest.fixture
def device(lab):
    settings = host_settings(
        NAME, connection="lab", lab_profile="nano-jetpack-4.6.1", user=None, python_interpreter=None
    )
    device = Device(NAME, settings)
    try:
        device.connect()
    except ConfigurationError as error:
        pytest.skip(f"virtual devices cannot run here: {error.what}: {error.why}")
    yield device
    device.close()


def test_a_virtual_device_is_started_on_demand(device):
    facts = device.facts()
    assert facts["virtual"] is True
    assert facts["l4t"]["version"] == "32.7.1"


def test_root_without_a_password(device):
    assert device.call("command", {"argv": ["id", "-u"]}, become=True).data["stdout"].strip() == "0"


def test_its_reboot_is_waited_for(device, lab):
    before = device.facts()["boot_id"]
    rebooting = threading.Thread(target=lab.reboot, args=(NAME,))
    rebooting.start()
    assert device.reconnect(rebooted=True, timeout_s=60)["boot_id"] != before
    rebooting.join(60)


def test_a_cut_link_ends_a_call_and_the_next_one_works(device, lab):
    future = device.submit("command", {"argv": ["sleep", "20"], "timeout_s": 30})
    lab.cut_connections(NAME)
    with pytest.raises(ConnectError):
        future.result(15)
    assert device.call("ping").data


def test_a_job_that_cannot_work_is_followed_to_its_failure(device):
    spec = {"key": "0" * 64, "shapes": {}, "warmup_ms": 1, "duration_s": 1, "iterations": 1}
    started = device.call("job_start", {"id": "no-engine", "kind": "measure", "spec": spec}).data
    assert started["attached"] is False
    ended = device.follow_job("no-engine")
    assert ended["state"] == "failed"
    assert ended["error"]["what"]
