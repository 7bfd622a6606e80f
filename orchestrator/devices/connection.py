"""SSH connections: Fabric's, with host keys checked everywhere, jump hosts shared and dead peers noticed."""

from __future__ import annotations

import functools
import logging
import random
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fabric
import paramiko

from orchestrator.devices.keepalive import INTERVAL_S, Keepalive, WatchedSocket
from orchestrator.devices.knownhosts import HostKey, Known, KnownHosts, changed, lookup_name
from orchestrator.devices.login import login_arguments
from orchestrator.devices.refusals import explain, is_dropped_login
from orchestrator.errors import ChangedHostKeyError, ConfigurationError, UnknownHostKeyError

if TYPE_CHECKING:
    from orchestrator.inventory.settings import HostSettings

CONNECT_TIMEOUT_S = 10
BANNER_TIMEOUT_S = 15
AUTH_TIMEOUT_S = 30
CHANNEL_TIMEOUT_S = 30
WINDOW_BYTES = 4 << 20  # twice paramiko's: faster over real distances; larger windows cost more CPU than they give
LOGINS_AT_ONCE = 6  # per server: below the 10 unauthenticated connections after which sshd starts dropping some
LOGIN_TRIES = 4

# Without a handler of its own, paramiko's tracebacks would reach the terminal through logging's last resort.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_registry = threading.RLock()
_logins: dict[tuple[str, int], threading.Semaphore] = {}
_gateways: dict[tuple[Any, ...], Connection] = {}


class Connection(fabric.Connection):
    """A Fabric connection that trusts only known host keys, on its jump hosts too.

    Args:
        host: address or ~/.ssh/config alias.
        known_hosts: the trusted keys.
        device: inventory name, for messages; empty for a jump host.
        accept_new: trust a host never seen before, and remember its key. A changed key is refused all the same.
        host_key_alias: the name under which the key is kept, for boards that share one address.
        proxy_jump: `[user@]host[:port][,...]`; None asks ~/.ssh/config, `none` means direct.
        private_key_file, password: see `login_arguments`.
        keepalive_s: seconds between the keepalives; three unanswered ones mean that the peer is gone.
    """

    known_hosts: KnownHosts
    device = ""
    accept_new = False
    lookup_name = ""
    keepalive: Keepalive | None = None
    _proxy_jump: str | None = None
    _guard: Any = None
    _keepalive_s = INTERVAL_S
    _socket: WatchedSocket | None = None
    _login: Any = None

    def __init__(
        self,
        host: str,
        known_hosts: KnownHosts,
        *,
        device: str = "",
        user: str | None = None,
        port: int | None = None,
        accept_new: bool = False,
        host_key_alias: str | None = None,
        proxy_jump: str | None = None,
        private_key_file: str | None = None,
        password: Any = None,
        gateway: Connection | None = None,
        keepalive_s: float = INTERVAL_S,
    ) -> None:
        config = ssh_config()
        self._set(known_hosts=known_hosts, device=device, _proxy_jump=proxy_jump, _guard=threading.RLock())
        self._set(accept_new=accept_new, _keepalive_s=keepalive_s)
        super().__init__(host, user=user, port=port, config=config, gateway=gateway, connect_timeout=CONNECT_TIMEOUT_S)
        options = self.ssh_config
        if options.get("stricthostkeychecking", "").lower() in ("accept-new", "no", "off"):
            self._set(accept_new=True)
        alias = host_key_alias or options.get("hostkeyalias")
        self._set(lookup_name=lookup_name(self.host, self.port, alias))
        self._set(_login=functools.partial(self._arguments, private_key_file, password))

    def resolve_connect_kwargs(self, connect_kwargs: Any) -> dict[str, Any]:
        return {}  # made afresh at every open, since key files and the SSH agent may have changed

    def _arguments(self, private_key_file: str | None, password: Any) -> dict[str, Any]:
        arguments = login_arguments(self.user, private_key_file, password, self.ssh_config.get("identityfile", []))
        return {
            **arguments,
            "banner_timeout": BANNER_TIMEOUT_S,
            "auth_timeout": AUTH_TIMEOUT_S,
            "channel_timeout": CHANNEL_TIMEOUT_S,
            "transport_factory": self._transport_factory,
        }

    def get_gateway(self) -> Any:
        """The jump host, of this very class and shared by all devices behind it, or a ProxyCommand, or None."""
        jump = self._proxy_jump or self.ssh_config.get("proxyjump")
        if not jump:
            return self.ssh_config.get("proxycommand")
        if jump.lower() == "none":
            return None
        gateway: Connection | None = None
        for hop in jump.split(","):
            place = self.derive_shorthand(hop.strip().removeprefix("ssh://"))
            if place["host"] == self.original_host and place["port"] in (None, self.port):
                return None  # a `Host *` that names the jump host as its own
            key = (
                place["host"],
                place["user"],
                place["port"],
                str(self.known_hosts.path),
                id(gateway) if gateway else 0,
            )
            with _registry:
                shared = _gateways.get(key)
                if shared is None:
                    shared = _gateways[key] = Connection(
                        place["host"],
                        self.known_hosts,
                        user=place["user"],
                        port=place["port"],
                        accept_new=self.accept_new,
                        keepalive_s=self._keepalive_s,
                        # Without one, a first hop may have a ProxyJump of its own in ~/.ssh/config.
                        gateway=gateway,
                    )
            gateway = shared
        return gateway

    def open(self) -> None:
        """Connect and log in, once however many threads ask.

        Raises:
            UnreachableError: whose subclass says why.
        """
        with self._guard:
            if self.is_connected:
                return
            gate = _login_gate(self)
            for attempt in range(1, LOGIN_TRIES + 1):
                try:
                    with gate:
                        self._open_once()
                    return
                except Exception as problem:
                    self.client.close()
                    if attempt < LOGIN_TRIES and is_dropped_login(problem):
                        # A server with too many logins at a time drops some: come again, not all at the same moment.
                        time.sleep(attempt * random.uniform(0.2, 0.8))
                        continue
                    raise explain(problem, self) from None

    def open_gateway(self) -> Any:
        if isinstance(self.gateway, Connection) and self.gateway.keepalive:
            # A jump host that went silent is closed here, so that it is opened anew instead of waited for.
            self.gateway.keepalive.lost()
        return super().open_gateway()

    def _open_once(self) -> None:
        self.connect_kwargs = self._login()
        known = self.known_hosts.lookup(self.lookup_name)
        # Paramiko looks keys up by address; ours are under the alias, so it gets a table with this host alone.
        self.client.get_host_keys().clear()
        address = self.host if self.port == paramiko.config.SSH_PORT else f"[{self.host}]:{self.port}"
        for key in known.keys:
            entry = paramiko.hostkeys.HostKeyEntry.from_line(f"{address} {key.type} {key.base64}")
            if entry:
                self.client.get_host_keys().add(address, entry.key.get_name(), entry.key)
        self.client.set_missing_host_key_policy(_Policy(self))
        super().open()
        assert self._socket is not None
        self._set(keepalive=Keepalive(self.transport, self._socket, self._keepalive_s))

    def _transport_factory(self, sock: Any, **arguments: Any) -> paramiko.Transport:
        if isinstance(sock, socket.socket):
            # Requests are small: without this each waits up to 40 ms for the acknowledgement of the one before.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        watched: Any = WatchedSocket(sock)
        self._set(_socket=watched)
        transport = paramiko.Transport(watched, default_window_size=WINDOW_BYTES, **arguments)
        options = transport.get_security_options()
        fast = "aes128-gcm@openssh.com"
        if fast in options.ciphers:
            options.ciphers = (fast, *(cipher for cipher in options.ciphers if cipher != fast))
        # Ask for the types we know, so that a server with several keys shows one that we can compare.
        known = {key.type for key in self.known_hosts.lookup(self.lookup_name).keys}
        if "ssh-rsa" in known:
            known |= {"rsa-sha2-512", "rsa-sha2-256"}
        options.key_types = sorted(options.key_types, key=lambda name: name not in known)
        return transport

    def changed_key(self, offered: HostKey, known: Known) -> ChangedHostKeyError:
        """The error for a key that is not the one we trusted; a jump host is in no inventory, so ssh-keygen helps."""
        remedy = "" if self.device else f"ssh-keygen -R '{self.lookup_name}' -f {known.source}"
        return changed(self.lookup_name, offered, known.keys, known.source, self.device, remedy)

    def close(self) -> None:
        """Close this connection; a jump host stays open for the other devices until `close_gateways`."""
        with self._guard:
            if self.keepalive:
                self.keepalive.stop()
            self.client.close()


class _Policy(paramiko.MissingHostKeyPolicy):
    """Refuses a host never seen before, or remembers its key where that was asked for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def missing_host_key(self, client: Any, hostname: str, key: paramiko.PKey) -> None:
        connection = self._connection
        offered = HostKey(key.get_name(), key.get_base64())
        name = connection.lookup_name
        known = connection.known_hosts.lookup(name)
        if offered in known.revoked:
            raise ChangedHostKeyError(f"the host key of {name} is revoked", f"it offers {offered}", "remove the device")
        if known.keys:
            raise connection.changed_key(offered, known)
        if connection.accept_new:
            connection.known_hosts.trust(name, [offered])
            return
        raise UnknownHostKeyError(
            f"the host key of {name} is not known",
            f"it offers {offered}",
            # A jump host is in no inventory; what ssh remembers counts here too.
            f"fleet trust {connection.device}"
            if connection.device
            else f"ssh -p {connection.port} {connection.user}@{connection.host} true",
        )


def connect(
    device: str, settings: HostSettings, known_hosts: KnownHosts, *, keepalive_s: float = INTERVAL_S
) -> Connection:
    """An open SSH connection to a host of the inventory. Raises UnreachableError, ConfigurationError."""
    connection = make(device, settings, known_hosts, keepalive_s=keepalive_s)
    connection.open()
    return connection


def make(
    device: str, settings: HostSettings, known_hosts: KnownHosts, *, keepalive_s: float = INTERVAL_S
) -> Connection:
    """As `connect`, not opened yet."""
    return Connection(
        settings.host,
        known_hosts,
        device=device,
        user=settings.user,
        port=settings.port,
        accept_new=settings.host_key_checking == "accept-new",
        host_key_alias=settings.host_key_alias,
        proxy_jump=settings.proxy_jump,
        private_key_file=settings.private_key_file,
        password=settings.password,
        keepalive_s=keepalive_s,
    )


def close_gateways() -> None:
    """Close all jump hosts; for the end of a run."""
    with _registry:
        gateways = list(_gateways.values())
        _gateways.clear()
    for gateway in reversed(gateways):
        gateway.close()


def ssh_config() -> fabric.Config:
    """Fabric's configuration with ~/.ssh/config and nothing else: a user's fabric.yaml is not ours to obey."""
    files = [Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config")]
    stamps = tuple((str(file), file.stat().st_mtime_ns if file.is_file() else 0) for file in files)
    return _ssh_config(stamps)


@functools.lru_cache(maxsize=4)
def _ssh_config(stamps: tuple[tuple[str, int], ...]) -> fabric.Config:
    config = fabric.Config(lazy=True, overrides={"run": {"in_stream": False, "hide": True, "warn": True}})
    try:
        config.load_ssh_config()
    except (paramiko.ConfigParseError, OSError, UnicodeDecodeError) as problem:
        why = str(problem).splitlines()[0]
        raise ConfigurationError("cannot read ~/.ssh/config", why, "mend the file; `ssh -G HOST` checks it") from None
    return config


def _login_gate(connection: Connection) -> threading.Semaphore:
    with _registry:
        return _logins.setdefault((connection.host, connection.port), threading.Semaphore(LOGINS_AT_ONCE))
