"""Makes connected devices of hosts, with what the command line says about users, passwords and host keys."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from orchestrator.errors import ChangedHostKeyError, FleetError, UnknownHostKeyError
from orchestrator.inventory.settings import settings

if TYPE_CHECKING:
    from orchestrator.devices.device import Device
    from orchestrator.inventory.inventory import Host

Value = TypeVar("Value")


@dataclass(frozen=True)
class LoginOptions:
    """What a command line says about connections; it fills in what the inventory leaves open."""

    user: str | None = None
    passwords: Mapping[str, str] | None = None
    """`ansible_password`, `ansible_become_password` asked for on the terminal."""
    accept_new: bool = False
    inventory: tuple[str, ...] = ()
    """The inventories of the command line, so that a remedy can be typed as it stands."""


class Connections:
    """Connects to devices; starts the virtual ones among them first.

    Args:
        home: the project's `.fleet`.
    """

    def __init__(self, home: Path, login: LoginOptions) -> None:
        from orchestrator.devices.knownhosts import KnownHosts

        self.home = home
        self.login = login
        self._known_hosts = KnownHosts(home / "known_hosts")

    def prepare(self, hosts: Iterable[Host]) -> None:
        """Have the lab run all virtual devices among `hosts`, at once.

        Raises:
            ConfigurationError: this machine cannot run them.
        """
        virtual = {host.name: settings(host) for host in hosts if settings(host).connection == "lab"}
        if virtual:
            from orchestrator.devices.lab import up

            up(virtual)

    def connect(self, host: Host) -> Device:
        """A device with an open session.

        Raises:
            UnreachableError: by subclass, why there is none. ActionError: the agent cannot run there.
        """
        from orchestrator.devices.device import Device

        # As in Ansible, what the inventory says of a host is closer to it than what the command line says of all.
        variables = {**(self.login.passwords or {}), **host.variables}
        if self.login.user:
            variables.setdefault("ansible_user", self.login.user)
        if self.login.accept_new:
            variables["fleet_host_key_checking"] = "accept-new"
        device = Device(host.name, settings(replace(host, variables=variables)), known_hosts=self._known_hosts)
        try:
            device.connect()
        except (UnknownHostKeyError, ChangedHostKeyError) as problem:
            if problem.remedy.startswith("fleet trust"):
                problem.remedy += "".join(f" -i {shlex.quote(source)}" for source in self.login.inventory)
            raise
        return device

    def close(self) -> None:
        """Close what devices share; for the end of a command."""
        from orchestrator.devices.links import close_shared

        close_shared()


def for_each(
    hosts: Iterable[Host], connections: Connections, work: Callable[[Host, Device], Value], forks: int
) -> dict[str, Value | FleetError]:
    """Do something with every device, many at a time; a device's error takes its value's place."""
    hosts = list(hosts)
    connections.prepare(hosts)

    def one(host: Host) -> Value | FleetError:
        device = None
        try:
            device = connections.connect(host)
            return work(host, device)
        except FleetError as problem:
            return problem.on(host.name)
        finally:
            if device is not None:
                device.close()

    with ThreadPoolExecutor(max_workers=min(forks, max(1, len(hosts)))) as pool:
        found = dict(zip((host.name for host in hosts), pool.map(one, hosts), strict=True))
    connections.close()
    return found


def statuses(found: Mapping[str, Any]) -> int:
    """The exit code: 1 for a mistake of the user's, else 2 for a failed device plus 4 for an unreachable one."""
    codes = {problem.exit_code for problem in found.values() if isinstance(problem, FleetError)}
    return 1 if 1 in codes else sum(codes)
