"""The lab's daemon: starts, stops and watches the virtual devices of one directory.

It listens on `control.sock` (one JSON object a line each way), writes `lab.json` at each change, and ends when its
last device is off or its directory is gone. One thread, one loop: devices are forked from it.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigurationError, FleetError
from orchestrator.lab.device import Device
from orchestrator.lab.root import remove_root

_CHECK_S = 5.0
"""How often the daemon looks whether its directory is still there."""

_LINGER_S = 1.0
"""How long a daemon without devices stays, for a command that follows at once."""


class Daemon:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.devices: dict[str, Device] = {}
        self.sshd: str | None = None
        self.selector = selectors.DefaultSelector()
        self.stopping = False
        self.idle_since = time.monotonic()
        folder = directory / "devices"
        folder.mkdir(parents=True, exist_ok=True)
        for place in sorted(folder.iterdir()):
            if (place / "device.json").exists():
                self.devices[place.name] = Device(place)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with short_path(directory / "control.sock") as path:
            Path(path).unlink(missing_ok=True)
            self.listener.bind(path)
        self.listener.listen(64)
        self.identity = os.stat(directory / "control.sock").st_ino
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)

    def run(self) -> None:
        """Serve until told to stop, or until there is nothing left to serve."""
        self.publish()
        try:
            while not self.stopping:
                for key, _ in self.selector.select(self._pause_s()):
                    key.data(key.fileobj)
                self._boot_due()
                self.stopping |= self._pointless()
        finally:
            for device in self.devices.values():
                device.power_off()
            if self._directory_is_mine():
                self.publish()
                (self.directory / "control.sock").unlink(missing_ok=True)

    def _pause_s(self) -> float:
        now = time.monotonic()
        due = [device.boot_at - now for device in self.devices.values() if device.boot_at is not None]
        linger = [] if self._busy() else [self.idle_since + _LINGER_S - now]
        return max(0.0, min([_CHECK_S, *due, *linger]))

    def _busy(self) -> bool:
        busy = any(d.running or d.boot_at is not None for d in self.devices.values())
        if busy:
            self.idle_since = time.monotonic()
        return busy

    def _pointless(self) -> bool:
        if not self._directory_is_mine():
            return True
        return not self._busy() and time.monotonic() >= self.idle_since + _LINGER_S

    def _directory_is_mine(self) -> bool:
        try:
            return os.stat(self.directory / "control.sock").st_ino == self.identity
        except OSError:
            return False

    def publish(self) -> None:
        """Write lab.json, by rename: what clients read."""
        devices = {name: device.to_json() for name, device in self.devices.items()}
        temporary = self.directory / "lab.json.new"
        temporary.write_text(json.dumps({"pid": os.getpid(), "devices": devices}, indent=1), encoding="utf-8")
        temporary.replace(self.directory / "lab.json")

    def _accept(self, _: Any) -> None:
        client, _address = self.listener.accept()
        client.settimeout(5)
        with client:
            try:
                with client.makefile("rw", encoding="utf-8") as stream:
                    line = stream.readline()
                    if not line:
                        return  # only a look whether the daemon lives
                    stream.write(json.dumps(self._answer(json.loads(line))) + "\n")
                    stream.flush()
            except (OSError, ValueError) as problem:
                print(f"control: {problem}", file=sys.stderr, flush=True)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        actions: dict[str, Callable[..., None]] = {
            "up": self.up,
            "down": self.down,
            "reset": self.reset,
            "reboot": self.reboot,
            "power_cut": self.power_cut,
            "cut_connections": self.cut_connections,
            "fault": self.fault,
        }
        try:
            actions[request.pop("action")](**request)
        except FleetError as problem:
            return {"error": problem.to_json()}
        except OSError as problem:
            return {"error": FleetError("the lab could not do it", str(problem)).to_json()}
        finally:
            self.publish()
        return {}

    def up(self, devices: dict[str, Any], server: str) -> None:
        if server == "openssh":
            from orchestrator.lab.openssh import find_sshd

            self.sshd = find_sshd()
        for name, wanted in devices.items():
            device = self.devices.get(name) or Device(self.directory / "devices" / name)
            self.devices[name] = device
            define = partial(device.define, wanted["profile"], wanted["python"], server, wanted["stamp"])
            self._quietly(device, define)
            if device.running is None and device.boot_at is None:
                self._boot(device)

    def down(self, names: list[str]) -> None:
        for name in names or list(self.devices):
            self._off(self._device(name))
        self.stopping = not self._busy()

    def reset(self, name: str, new_host_key: bool) -> None:
        device = self._device(name)
        was_on = device.running is not None or device.boot_at is not None
        self._off(device)
        device.flash(new_host_key=new_host_key)
        if was_on:
            self._boot(device)

    def reboot(self, name: str) -> None:
        self._running(name).send("reboot")

    def power_cut(self, name: str, off_s: float) -> None:
        device = self._running(name)
        self._off(device)
        device.state, device.boot_at = "booting", time.monotonic() + off_s

    def cut_connections(self, name: str) -> None:
        self._running(name).send("cut")

    def fault(self, name: str, fault: str, value: str) -> None:
        self._running(name).send(f"fault={fault}:{value}")

    def _device(self, name: str) -> Device:
        if name not in self.devices:
            raise ConfigurationError(f"the lab has no device '{name}'", f"it has: {', '.join(self.devices) or 'none'}")
        return self.devices[name]

    def _running(self, name: str) -> Device:
        device = self._device(name)
        if not device.running:
            raise ConfigurationError(f"the virtual device {name} is off", "", "fleet lab up")
        return device

    def _boot(self, device: Device) -> None:
        try:
            device.boot(self.sshd)
        except (OSError, ImportError, FleetError) as problem:
            device.state = "failed"
            error = problem if isinstance(problem, FleetError) else _start_error(device.name, problem)
            device.error = error.to_json()
            return
        assert device.running
        self.selector.register(device.running.report, selectors.EVENT_READ, lambda _: self._listen(device))

    def _listen(self, device: Device) -> None:
        assert device.running
        report = device.running.report
        changed = device.take_report()
        if device.running is None:
            self.selector.unregister(report)
        if changed:
            self.publish()

    def _off(self, device: Device) -> None:
        self._quietly(device, device.power_off)

    def _quietly(self, device: Device, work: Callable[[], Any]) -> None:
        """Do what may end the device, without hearing of it again from the selector."""
        running = device.running
        if running:
            self.selector.unregister(running.report)
        work()
        if running and device.running is running:
            self.selector.register(running.report, selectors.EVENT_READ, lambda _: self._listen(device))

    def _boot_due(self) -> None:
        now = time.monotonic()
        for device in self.devices.values():
            if device.boot_at is not None and device.boot_at <= now:
                device.boot_at = None
                self._boot(device)


def _start_error(name: str, problem: Exception) -> FleetError:
    if isinstance(problem, ImportError):
        return ConfigurationError(
            "the embedded SSH server of the lab is not installed", str(problem), 'pip install "fleet-jetson[lab]"'
        )
    return FleetError(f"the virtual device {name} cannot start", str(problem), "fleet lab down, then try again")


class short_path:
    """A path for a Unix socket, however deep its folder: such paths are limited to about 100 bytes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> str:
        self.folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self.folder}/{self.path.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self.folder)


def main() -> None:
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    # Held for life: one daemon per directory.
    lock = os.open(directory / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not wait_for_lock(lock, 10):
        sys.exit("another daemon serves this lab")
    os.umask(0o022)
    daemon = Daemon(directory)

    def stop(*_: object) -> None:
        daemon.stopping = True

    wake_read, wake_write = socket.socketpair()
    wake_read.setblocking(False)
    wake_write.setblocking(False)
    signal.set_wakeup_fd(wake_write.fileno())
    daemon.selector.register(wake_read, selectors.EVENT_READ, lambda _: wake_read.recv(4096))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    daemon.run()


def wait_for_lock(handle: int, timeout_s: float) -> bool:
    """Take an exclusive flock; false if somebody else held it all the time."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)


def forget(directory: Path) -> None:
    """Delete a lab's directory with all its devices; its daemon must have ended."""
    for root in (directory / "devices").glob("*/root*"):
        remove_root(root)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
