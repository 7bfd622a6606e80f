"""Turns what paramiko raises while connecting into errors that a person can act on."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import paramiko

from orchestrator.devices.knownhosts import HostKey
from orchestrator.errors import AuthenticationError, ConnectError, FleetError

if TYPE_CHECKING:
    from orchestrator.devices.connection import Connection

REMEDIES = {
    errno.ECONNREFUSED: "start the SSH server on the device, or mend ansible_port",
    errno.EHOSTUNREACH: "check power, cable and network, or mend ansible_host",
    errno.ENETUNREACH: "check the network of this machine",
    errno.ETIMEDOUT: "check power, cable and network, or mend ansible_host",
}


def is_dropped_login(problem: Exception) -> bool:
    """Whether a server cut us off before the login began, as an sshd with too many logins at a time does."""
    if isinstance(problem, (ConnectionResetError, BrokenPipeError, EOFError)):
        return True
    if not isinstance(problem, paramiko.SSHException) or isinstance(problem, paramiko.AuthenticationException):
        return False
    # Paramiko says the same of a peer that closes and of one that stays silent; only the first is worth another try.
    return "reading SSH protocol banner" in str(problem) and not isinstance(problem.__context__, TimeoutError)


def explain(problem: Exception, connection: Connection) -> FleetError:
    """The FleetError for what `Connection.open` ran into."""
    where = f"{connection.user}@{connection.host}:{connection.port}"
    device = connection.device or None
    if isinstance(problem, FleetError):
        problem.device = problem.device or device
        return problem
    if isinstance(problem, paramiko.BadHostKeyException):
        known = connection.known_hosts.lookup(connection.lookup_name)
        offered = HostKey(problem.key.get_name(), problem.key.get_base64())
        return connection.changed_key(offered, known)
    if isinstance(problem, paramiko.AuthenticationException) or "authentication methods" in str(problem):
        return _refused_login(problem, where, connection)
    if isinstance(problem, paramiko.ChannelException):
        gateway = getattr(connection.gateway, "host", "")
        why = f"the jump host {gateway} says: {problem.text or problem}"
        return ConnectError(
            f"cannot reach {where}", why, f"try `ssh {gateway} nc -zv {connection.host}`", device=device
        )
    what = f"cannot connect to {where}"
    if isinstance(problem, socket.gaierror):
        return ConnectError(what, f"no address for '{connection.host}'", "mend ansible_host", device=device)
    if isinstance(problem, paramiko.ssh_exception.NoValidConnectionsError):
        cause = next(iter(problem.errors.values()))
        number = getattr(cause, "errno", None) or 0
        return ConnectError(what, getattr(cause, "strerror", "") or str(cause), REMEDIES.get(number, ""), device=device)
    silent = isinstance(problem, TimeoutError) or isinstance(problem.__context__, TimeoutError)
    if silent or "timed out" in str(problem).lower():
        remedy = REMEDIES[errno.ETIMEDOUT]
        return ConnectError(what, f"no answer within {connection.connect_timeout} s", remedy, device=device)
    if isinstance(problem, paramiko.ssh_exception.IncompatiblePeer):
        return ConnectError(what, f"no algorithm in common: {problem}", "update the device's SSH server", device=device)
    if "protocol banner" in str(problem):
        why = "what listens there is no SSH server, or closed the connection at once"
        return ConnectError(what, why, "mend ansible_port, or look at the SSH server's log", device=device)
    if isinstance(problem, OSError):
        why = problem.strerror or str(problem)
        return ConnectError(what, why, REMEDIES.get(problem.errno or 0, ""), device=device)
    why = str(problem).splitlines()[0] if str(problem) else "the connection was closed while it was being set up"
    return ConnectError(
        what, why, f"try `ssh -v -p {connection.port} {connection.user}@{connection.host}`", device=device
    )


def _offered(arguments: Mapping[str, Any]) -> str:
    """What was offered at a login, in words."""
    parts = [f"the key {file}" for file in arguments.get("key_filename", ())]
    if "pkey" in arguments:
        parts.append("a key of the SSH agent")
    if arguments.get("allow_agent"):
        parts.append("the SSH agent's keys and ~/.ssh/id_*")
    if "password" in arguments:
        parts.append("the password")
    return ", ".join(parts) or "nothing"


def _refused_login(problem: Exception, where: str, connection: Connection) -> AuthenticationError:
    allowed = ", ".join(getattr(problem, "allowed_types", []) or [])
    why = f"it refused what we offered: {_offered(connection.connect_kwargs)}"
    if "authentication methods" in str(problem):
        why = "there is no key and no password to offer"
    if allowed:
        why += f"; it takes {allowed}"
    remedy = "set ansible_user, ansible_ssh_private_key_file or ansible_password (--ask-pass)"
    return AuthenticationError(f"cannot log in to {where}", why, remedy, device=connection.device or None)
