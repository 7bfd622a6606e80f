"""Opens the link that a host's settings ask for: SSH, this machine, or a virtual Jetson of the lab."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from orchestrator.devices.keepalive import INTERVAL_S
from orchestrator.devices.knownhosts import KnownHosts
from orchestrator.devices.link import Link
from orchestrator.errors import InventoryError

if TYPE_CHECKING:
    from orchestrator.inventory.settings import HostSettings


def open_link(device: str, settings: HostSettings, known_hosts: KnownHosts, *, keepalive_s: float = INTERVAL_S) -> Link:
    """Connect to a host of the inventory.

    Raises:
        UnreachableError: by subclass, why. InventoryError: a connection type that Fleet does not have.
    """
    if settings.connection == "local":
        from orchestrator.devices.local import LocalLink

        return LocalLink()
    if settings.connection not in ("ssh", "lab"):
        raise InventoryError(
            f"no connection '{settings.connection}'", "known: ssh, local, lab", "mend fleet_connection", device=device
        )
    if settings.connection == "lab":
        from orchestrator.devices.lab import reach

        settings, known_hosts = reach(device, settings)
    # Fabric and paramiko take 150 ms to import: only those who need them pay.
    from orchestrator.devices.connection import connect
    from orchestrator.devices.ssh import SshLink

    return SshLink(connect(device, settings, known_hosts, keepalive_s=keepalive_s))


def close_shared() -> None:
    """Close what devices share: the jump hosts. For the end of a command."""
    connection = sys.modules.get("orchestrator.devices.connection")
    if connection is not None:  # nobody used SSH otherwise
        connection.close_gateways()
