"""What this room needs to know of a host to reach it."""

from __future__ import annotations

from typing import Any, Protocol


class Settings(Protocol):
    """The connection part of a host's inventory variables; None means "not said"."""

    @property
    def connection(self) -> str:
        """`ssh`, `local` or `lab`."""

    @property
    def host(self) -> str:
        """Address or ~/.ssh/config alias."""

    @property
    def port(self) -> int | None: ...
    @property
    def user(self) -> str | None: ...
    @property
    def password(self) -> Any:
        """A string, a secret that gives its text with `reveal()`, or None."""

    @property
    def become_password(self) -> Any: ...
    @property
    def private_key_file(self) -> str | None: ...
    @property
    def python_interpreter(self) -> str | None: ...
    @property
    def root(self) -> str | None:
        """fleet_root on the device; None lets the agent choose."""

    @property
    def host_key_alias(self) -> str | None: ...
    @property
    def host_key_checking(self) -> Any:
        """True or `strict`: unknown keys are refused; `accept-new`: they are added."""

    @property
    def proxy_jump(self) -> str | None:
        """`[user@]host[:port][,...]` in the order of ProxyJump."""

    @property
    def lab_profile(self) -> str | None: ...
