"""The link to a virtual Jetson: the lab starts it where it is off, then it is SSH as to any board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.devices.knownhosts import KnownHosts, PinnedKey
from orchestrator.errors import FleetError

if TYPE_CHECKING:
    from orchestrator.inventory.settings import HostSettings


def up(devices: Mapping[str, HostSettings]) -> dict[str, tuple[HostSettings, KnownHosts]]:
    """Have virtual devices run, all at once.

    A device that runs under OpenSSH because somebody started it so stays there.

    Returns:
        per device its settings as those of an SSH host, and the one key that it may show.

    Raises:
        ConfigurationError: this machine cannot run the lab, or there is no such profile.
        FleetError: a device that does not boot.
    """
    from orchestrator.lab.lab import Lab, LabDevice

    lab = Lab()
    serving = {status.name: status.endpoint.server for status in lab.list() if status.endpoint}
    by_server: dict[str, dict[str, LabDevice]] = {}
    for name, settings in devices.items():
        wanted = by_server.setdefault(serving.get(name, "embedded"), {})
        wanted[name] = LabDevice(str(settings.lab_profile), faults=tuple(settings.lab_faults))
    result: dict[str, tuple[HostSettings, KnownHosts]] = {}
    for server, wanted in by_server.items():
        for name, found in lab.up(wanted, server).items():
            reachable = replace(
                devices[name],
                connection="ssh",
                host=found.host,
                port=found.port,
                user=found.user,
                password=None,
                private_key_file=found.key_file,
                proxy_jump="none",
                host_key_alias=None,
            )
            result[name] = (reachable, PinnedKey(found.host_key_line, str(lab.directory / "lab.json")))
    return result


def reach(device: str, settings: HostSettings) -> tuple[HostSettings, KnownHosts]:
    """`up` for one device, with its name on errors."""
    try:
        return up({device: settings})[device]
    except FleetError as error:
        raise error.on(device) from None
