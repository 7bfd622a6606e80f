"""The devices of one command: virtual ones started, each connected when asked for, all closed at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from orchestrator.devices.device import Device
from orchestrator.devices.knownhosts import KnownHosts
from orchestrator.inventory.secrets import Secret
from orchestrator.inventory.settings import HostSettings, settings

if TYPE_CHECKING:
    from orchestrator.events import Event
    from orchestrator.inventory.inventory import Host


class Connections:
    """Makes devices of hosts; a context manager that closes them all.

    Args:
        home: where Fleet's known_hosts lies.
        options: of the command line: `user` and `accept_new_host_keys` are looked at, where there are such.
        passwords: asked for at the terminal: `ansible_password`, `ansible_become_password`. As with Ansible, what
            the inventory says wins over these and over `--user`.
        render: evaluates templates in connection variables, see `inventory.settings`.
    """

    def __init__(
        self,
        home: Path,
        options: Any = None,
        passwords: Mapping[str, str] | None = None,
        render: Callable[[Any, Mapping[str, Any]], Any] | None = None,
    ) -> None:
        self.known_hosts = KnownHosts(home / "known_hosts")
        self._user: str | None = getattr(options, "user", None)
        self._accept_new: bool = getattr(options, "accept_new_host_keys", False)
        self._passwords = {name: Secret(text) for name, text in (passwords or {}).items()}
        self._render = render
        self._devices: list[Device] = []
        self._lock = threading.Lock()
        self._closed = False

    def settings(self, host: Host) -> HostSettings:
        """How to reach a host, with what the command line adds. Raises InventoryError."""
        said = settings(host, render=self._render)
        return replace(
            said,
            user=said.user or self._user,
            password=said.password or self._passwords.get("ansible_password"),
            become_password=said.become_password or self._passwords.get("ansible_become_password"),
            host_key_checking="accept-new" if self._accept_new else said.host_key_checking,
        )

    def prepare(self, hosts: Iterable[Host], events: Callable[[Event], None] | None = None) -> None:
        """Start the virtual devices among `hosts`, all at once, and check every host's settings.

        Raises:
            InventoryError: a variable that makes no sense. ConfigurationError: the lab cannot run here.
            FleetError: a virtual device does not boot.
        """
        virtual = {}
        for host in hosts:
            found = self.settings(host)
            if found.connection == "lab":
                virtual[host.name] = found
        if virtual:
            from orchestrator.devices.lab import up

            if events:
                from orchestrator.events import HostState

                for name in virtual:
                    events(HostState(host=name, state="connecting", detail="starting the virtual device"))
            up(virtual)

    def device(self, host: Host) -> Device:
        """The host as a device, not connected yet. Raises InventoryError."""
        device = Device(host.name, self.settings(host), known_hosts=self.known_hosts)
        with self._lock:
            self._devices.append(device)
            closed = self._closed
        if closed:
            device.close()
        return device

    def connect(self, host: Host) -> Device:
        """The host as a connected device. Raises UnreachableError, ActionError, InventoryError."""
        device = self.device(host)
        device.connect()
        return device

    def __enter__(self) -> Connections:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every device, and the jump hosts; jobs on the devices go on."""
        with self._lock:
            self._closed = True
            devices, self._devices = self._devices, []
        for device in devices:
            device.close()
        from orchestrator.devices.links import close_shared

        close_shared()
