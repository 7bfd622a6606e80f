"""Asks a device for its host keys, for `fleet trust`; logs in nowhere but on jump hosts."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import paramiko

from orchestrator.devices.connection import BANNER_TIMEOUT_S, CONNECT_TIMEOUT_S, LOGIN_TRIES, Connection, make
from orchestrator.devices.knownhosts import HostKey, Known, KnownHosts, Trusted
from orchestrator.devices.refusals import explain, is_dropped_login
from orchestrator.errors import ChangedHostKeyError, UsageError

if TYPE_CHECKING:
    from orchestrator.inventory.settings import HostSettings

# One of each kind, the strongest first: what servers have by default.
KINDS = (("ssh-ed25519",), ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"), ("rsa-sha2-512",))


@dataclass(frozen=True)
class Scan:
    """What a device offers, and what is known of it."""

    device: str
    name: str
    """Under which its keys stand in known_hosts."""
    offered: tuple[HostKey, ...]
    known: Known

    @property
    def changed(self) -> bool:
        """Whether keys are trusted and the device offers others of the same kinds."""
        kinds = {key.type for key in self.known.keys}
        return any(key.type in kinds and key not in self.known.keys for key in self.offered)


def scan(device: str, settings: HostSettings, known_hosts: KnownHosts) -> Scan:
    """The host keys that a device offers now, through its jump hosts where it has some.

    Raises:
        UsageError: a device that is not reached over SSH, or a virtual one, whose key is known from its making.
        ConnectError: it cannot be reached. UnreachableError: a jump host refused us.
    """
    if settings.connection != "ssh":
        why = "the lab made its key itself" if settings.connection == "lab" else "it is this machine"
        raise UsageError(f"{device} needs no trust", why, device=device)
    connection = make(device, settings, known_hosts)
    offered = []
    for kinds in KINDS:
        for attempt in range(1, LOGIN_TRIES + 1):
            try:
                key = _ask(connection, kinds)
                break
            except Exception as problem:
                if attempt == LOGIN_TRIES or not is_dropped_login(problem):
                    raise explain(problem, connection) from None
                # Each question is a login that is not gone through with: a server may find them too many.
                time.sleep(0.2 * attempt)
        if key:
            offered.append(key)
    known = known_hosts.lookup(connection.lookup_name)
    return Scan(device, connection.lookup_name, tuple(offered), known)


def trust(found: Scan, known_hosts: KnownHosts, replace: bool = False) -> Trusted:
    """Trust what a scan found. Raises ChangedHostKeyError where other keys are trusted and `replace` is not set."""
    try:
        return known_hosts.trust(found.name, found.offered, replace)
    except ChangedHostKeyError as error:
        error.device, error.remedy = found.device, f"fleet trust --replace {found.device}"
        raise


def _ask(connection: Connection, kinds: tuple[str, ...]) -> HostKey | None:
    if connection.gateway:
        sock = connection.open_gateway()
    else:
        sock = socket.create_connection((connection.host, connection.port), CONNECT_TIMEOUT_S)
    with contextlib.closing(paramiko.Transport(sock)) as transport:
        transport.banner_timeout = BANNER_TIMEOUT_S
        options = transport.get_security_options()
        options.key_types = [kind for kind in kinds if kind in options.key_types]
        try:
            transport.start_client(timeout=CONNECT_TIMEOUT_S)
        except paramiko.ssh_exception.IncompatiblePeer:
            return None
        key = transport.get_remote_server_key()
        return HostKey(key.get_name(), key.get_base64())
