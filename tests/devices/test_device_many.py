"""Many devices at once, what a connection costs, this machine as a device, and coming back after a reboot."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from device_settings import host_settings
from fake_agent import fake_archive

from orchestrator.devices.device import Device
from orchestrator.errors import ConnectError, UnreachableError


def test_twenty_devices_at_once(bench):
    server = bench.server()
    bench.trust(server)
    devices = [bench.device(server.port, f"d{n}") for n in range(20)]
    with ThreadPoolExecutor(20) as pool:
        replies = list(pool.map(lambda device: device.call("ping").data["time"], devices))
    assert len(replies) == 20
    assert server.logins == 20
    folder = bench.home / ".cache/fleet/agent"
    assert len(list(folder.iterdir())) == 1, "one agent, however many brought it at the same time"


def test_a_session_costs_few_round_trips(bench):
    server = bench.server()
    proxy = bench.proxy(server.port)
    bench.trust(server, proxy.port)
    warm = bench.device(proxy.port, archive=fake_archive())
    warm.connect()
    warm.close()
    there_and_back_s = 0.2

    def connect_s():
        begun = time.monotonic()
        bench.device(proxy.port, archive=fake_archive()).connect()
        return time.monotonic() - begun

    local_s = min(connect_s(), connect_s())
    proxy.delay_s = there_and_back_s / 2
    round_trips = (connect_s() - local_s) / there_and_back_s
    # The proxy accepts at once, so the round trip of TCP is not in here.
    assert round_trips < 8.5


def test_this_machine_is_a_device_too(bench):
    device = Device("here", host_settings(connection="local", root=str(bench.folder / "root")))
    bench.closers.append(device.close)
    path = bench.folder / "weights"
    path.write_bytes(b"x" * 300_000)
    digest = __import__("hashlib").sha256(path.read_bytes()).hexdigest()
    assert device.push_blob(path, digest) == 300_000
    assert device.push_blob(path, digest) == 0
    back = bench.folder / "back"
    device.fetch(f"{device.root}/blobs/{digest}", back, digest)
    assert back.read_bytes() == path.read_bytes()
    assert device.facts()["hostname"]


def test_a_local_device_needs_no_ssh_library(bench):
    script = (
        "import sys; from orchestrator.devices.device import Device; from device_settings import host_settings\n"
        "device = Device('here', host_settings(connection='local', root=sys.argv[1]))\n"
        "device.call('ping'); device.close()\n"
        "print([name for name in ('fabric', 'paramiko', 'invoke', 'numpy', 'jinja2') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(bench.folder / "root")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stdout.strip() == "[]", run.stderr


class Rebooting:
    """A device with a boot id that changes when it comes back, as the facts of the fake agent tell it."""

    def __init__(self, bench, monkeypatch, **options):
        self.boot = 1
        server = bench.server()
        self.proxy = bench.proxy(server.port)
        bench.trust(server, self.proxy.port)
        self.device = bench.device(self.proxy.port, archive=fake_archive(), **options)
        monkeypatch.setattr("orchestrator.devices.device.RETRY_S", 0.1)
        call = self.device.call
        monkeypatch.setattr(self.device, "_boot_id_now", lambda: f"boot-{self.boot}")
        self.device.call = lambda action, *rest, **more: (
            SimpleNamespace(data={"boot_id": f"boot-{self.boot}", **call("echo").data})
            if action == "facts"
            else call(action, *rest, **more)
        )

    def go_down(self):
        self.proxy.refuse = True
        self.proxy.cut()

    def come_up(self):
        self.boot += 1
        self.proxy.refuse = False


def test_a_reboot_is_waited_for(bench, monkeypatch):
    board = Rebooting(bench, monkeypatch)
    assert board.device.facts()["boot_id"] == "boot-1"
    # Still up when we come back the first time, then away, then up with another boot id.
    threading.Timer(0.4, board.go_down).start()
    threading.Timer(1.5, board.come_up).start()
    assert board.device.reconnect(rebooted=True, timeout_s=20)["boot_id"] == "boot-2"
    assert board.device.call("echo").data


def test_a_reboot_is_waited_for_where_no_facts_were_asked(bench, monkeypatch):
    board = Rebooting(bench, monkeypatch)
    board.device.connect()
    threading.Timer(0.4, board.go_down).start()
    threading.Timer(1.0, board.come_up).start()
    assert board.device.reconnect(rebooted=True, timeout_s=20)["boot_id"] == "boot-2"


def test_a_reboot_that_does_not_happen_is_said(bench, monkeypatch):
    board = Rebooting(bench, monkeypatch)
    board.device.facts()
    with pytest.raises(ConnectError, match="not back within") as caught:
        board.device.reconnect(rebooted=True, timeout_s=1)
    assert "not rebooted" in caught.value.why


def test_a_device_that_stays_away_after_a_reboot_is_said(bench, monkeypatch):
    board = Rebooting(bench, monkeypatch)
    board.device.facts()
    board.go_down()
    with pytest.raises(UnreachableError, match="not back within"):
        board.device.reconnect(rebooted=True, timeout_s=1)
