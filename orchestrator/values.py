"""Texts that are more than their characters: data that is never a template, values encrypted in a file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.errors import ConfigurationError, Location

VAULT_HEADER = "$ANSIBLE_VAULT"
# Environment variables that name a file with the vault password, the first that is set.
PASSWORD_FILES = ("FLEET_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_PASSWORD_FILE")
_SHORTEST_MASKED = 3  # a shorter secret would turn every other word of a report into stars
_SHORTEST_MASKED_LINE = 8
_SECRET_WORDS = ("pass", "secret", "token", "key", "credential")

# Decrypts the text of a vault; installed by whoever knows the passwords (orchestrator.inventory.vault.use).
Opener = Callable[[str, Location | None], bytes]
_opener: Opener | None = None
_revealed: set[str] = set()
_lock = threading.Lock()


class Unsafe(str):
    """Text that is data whatever it looks like: braces in it are never evaluated (YAML's `!unsafe`)."""

    __slots__ = ()


def unsafe(value: Any, *, every: bool = False) -> Any:
    """`value` with every text in it that looks like a template made Unsafe (or `every` text).

    What devices say, and what a template has become, goes through this, so that nobody's output is ever run.
    """
    if isinstance(value, str):
        marked = every or "{{" in value or "{%" in value or "{#" in value
        return Unsafe(value) if marked and type(value) is str else value
    if isinstance(value, dict):
        return {unsafe(key): unsafe(item, every=every) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [unsafe(item, every=every) for item in value]
    return value


class Vaulted:
    """A value that stands encrypted in a user's file (`!vault`); it prints as `***` and is decrypted when used."""

    __slots__ = ("ciphertext", "location")

    def __init__(self, ciphertext: str, location: Location | None = None) -> None:
        self.ciphertext = ciphertext
        self.location = location

    def reveal(self) -> str:
        """The decrypted text, which reports show as `***` from now on.

        Raises:
            ConfigurationError: no password was given, none fits, or it is not a vault.
        """
        text = open_vault(self.ciphertext, self.location).decode("utf-8", "surrogateescape")
        remember(text)
        return text

    def __str__(self) -> str:
        return "***"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vaulted) and self.ciphertext == other.ciphertext

    def __hash__(self) -> int:
        return hash(self.ciphertext)


def is_vault(text: str) -> bool:
    return text.startswith(VAULT_HEADER)


def open_vaults_with(opener: Opener | None) -> None:
    """Say who decrypts vaults from now on; None takes it back."""
    global _opener
    _opener = opener


def open_vault(text: str, location: Location | None = None) -> bytes:
    """The content of a vault.

    Raises:
        ConfigurationError: no password was given, none fits, or it is not a vault.
    """
    if _opener is None:
        raise ConfigurationError(
            "encrypted by Ansible Vault",
            "no vault password was given",
            "--ask-vault-pass, --vault-password-file FILE, or set FLEET_VAULT_PASSWORD_FILE",
            location=location,
        )
    return _opener(text, location)


def remember(text: str) -> None:
    """A secret that is known from now on: `mask` hides it, and the lines of one that has several."""
    lines = [line for line in text.splitlines() if len(line) >= _SHORTEST_MASKED_LINE]
    with _lock:
        _revealed.update(part for part in (text, text.strip(), *lines) if len(part) >= _SHORTEST_MASKED)


def remember_named(value: Any, name: str = "") -> None:
    """Remember the texts of a decrypted file that stand under a name like `password` or `api_token`."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            remember_named(item, f"{name} {key}")
    elif isinstance(value, list):
        for item in value:
            remember_named(item, name)
    elif isinstance(value, str) and any(word in name.lower() for word in _SECRET_WORDS):
        remember(value)


def has_secrets() -> bool:
    return bool(_revealed)


def mask(value: Any) -> Any:
    """`value` with every secret revealed so far replaced by `***`, in nested lists and mappings too."""
    if isinstance(value, str):
        with _lock:
            secrets = sorted(_revealed, key=len, reverse=True)
        for secret in secrets:
            if secret in value:
                value = value.replace(secret, "***")
        return value
    if isinstance(value, Mapping):
        return {mask(key): mask(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([mask(item) for item in value]) if type(value) in (list, tuple) else value
    return value
