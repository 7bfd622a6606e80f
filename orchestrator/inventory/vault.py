"""Ansible Vault's own format (1.1 and 1.2, AES256): encrypting, decrypting, and where passwords come from."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import ConfigurationError, Location
from orchestrator.values import PASSWORD_FILES, VAULT_HEADER, open_vaults_with

DEFAULT_ID = "default"
_ROUNDS = 10_000  # of PBKDF2, part of the format
_WIDTH = 80


@dataclass(frozen=True)
class Password:
    """A vault password and the name (vault id) it goes by."""

    label: str
    secret: bytes = field(repr=False)


class Vault:
    """Encrypts and decrypts with a set of passwords.

    Args:
        passwords: those whose name stands in a vault's header are tried first, then the others in order.
    """

    def __init__(self, passwords: Sequence[Password]) -> None:
        self.passwords = list(passwords)
        self._known: dict[str, bytes] = {}

    def decrypt(self, text: str, location: Location | None = None) -> bytes:
        """The content of a vault.

        Raises:
            ConfigurationError: not a vault, damaged, or no password fits.
        """
        if text not in self._known:
            self._known[text] = self._decrypt(text, location)
        return self._known[text]

    def _decrypt(self, text: str, location: Location | None) -> bytes:
        label, salt, digest, ciphertext = _parts(text, location)
        for password in sorted(self.passwords, key=lambda one: one.label != label):
            key, mac_key, counter = _keys(password.secret, salt)
            if hmac.compare_digest(hmac.new(mac_key, ciphertext, hashlib.sha256).digest(), digest):
                return _unpadded(_aes(key, counter, ciphertext, encrypt=False))
        named = f" (it was encrypted as '{label}')" if label and label != DEFAULT_ID else ""
        tried = ", ".join(dict.fromkeys(f"'{one.label}'" for one in self.passwords)) or "none"
        raise ConfigurationError(
            f"no vault password fits{named}",
            f"tried the passwords of {tried}",
            f"--vault-id {label or DEFAULT_ID}@prompt",
            location=location,
        )

    def encrypt(self, content: bytes, label: str | None = None) -> str:
        """A vault with this content, as text that ends in a newline.

        Args:
            label: which password; the first without it.

        Raises:
            ConfigurationError: there is no password of that name.
        """
        chosen = [one for one in self.passwords if label is None or one.label == label]
        if not chosen:
            known = ", ".join(one.label for one in self.passwords) or "none"
            raise ConfigurationError(f"no vault password is called '{label or DEFAULT_ID}'", f"there are: {known}")
        return encrypt(content, chosen[0])


def encrypt(content: bytes, password: Password) -> str:
    """A vault with this content: format 1.1, or 1.2 where the password has a name of its own."""
    salt = os.urandom(32)
    key, mac_key, counter = _keys(password.secret, salt)
    ciphertext = _aes(key, counter, _padded(content), encrypt=True)
    digest = hmac.new(mac_key, ciphertext, hashlib.sha256).digest()
    # The body is hexadecimal twice over; that is how the format grew.
    body = binascii.hexlify(b"\n".join(map(binascii.hexlify, (salt, digest, ciphertext)))).decode()
    named = password.label != DEFAULT_ID
    header = f"{VAULT_HEADER};1.2;AES256;{password.label}" if named else f"{VAULT_HEADER};1.1;AES256"
    return "\n".join([header, *(body[at : at + _WIDTH] for at in range(0, len(body), _WIDTH))]) + "\n"


def label_of(text: str) -> str:
    """The vault id in a vault's header, `default` where it has none."""
    header = text.lstrip().partition("\n")[0].strip().split(";")
    return header[3].strip() if len(header) > 3 else DEFAULT_ID


def use(passwords: Sequence[Password]) -> None:
    """Decrypt with these passwords wherever a vault is met from now on; with none, vaults are refused."""
    open_vaults_with(Vault(passwords).decrypt if passwords else None)


def _parts(text: str, location: Location | None) -> tuple[str, bytes, bytes, bytes]:
    lines = text.split()
    header = lines[0].split(";") if lines else []
    if len(header) < 3 or header[0] != VAULT_HEADER or header[1] not in ("1.1", "1.2"):
        why = f"it begins with '{' '.join(lines[:1])[:40]}', not with {VAULT_HEADER};1.1;AES256"
        raise ConfigurationError("not a vault", why, location=location)
    if header[2] != "AES256":
        raise ConfigurationError(
            f"a vault with cipher {header[2]}", "AES256 is the only one that is in use", location=location
        )
    try:
        salt, digest, ciphertext = binascii.unhexlify("".join(lines[1:])).split(b"\n", 2)
        parts = [binascii.unhexlify(part) for part in (salt, digest, ciphertext)]
    except ValueError:
        raise ConfigurationError("a damaged vault", "its body is not what it should be", location=location) from None
    return header[3] if len(header) > 3 else "", parts[0], parts[1], parts[2]


def _keys(secret: bytes, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """Cipher key, authentication key and first counter."""
    derived = hashlib.pbkdf2_hmac("sha256", secret, salt, _ROUNDS, 80)
    return derived[:32], derived[32:64], derived[64:]


def _aes(key: bytes, counter: bytes, data: bytes, *, encrypt: bool) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    cipher = Cipher(algorithms.AES(key), modes.CTR(counter))
    worker = cipher.encryptor() if encrypt else cipher.decryptor()
    return worker.update(data) + worker.finalize()


def _padded(data: bytes) -> bytes:
    missing = 16 - len(data) % 16
    return data + bytes([missing]) * missing


def _unpadded(data: bytes) -> bytes:
    return data[: -data[-1]] if data else data


def password_from(source: str, label: str = DEFAULT_ID, *, ask: Callable[[str], str]) -> Password:
    """The password that a source names.

    Args:
        source: `prompt`, a file, or a program that prints the password (`NAME-client` is told the vault id).
        ask: asks a person, given the prompt.

    Raises:
        ConfigurationError: no such file, a program that fails, or an empty password.
    """
    if source in ("prompt", "prompt_ask_vault_pass"):
        secret = ask("Vault password: " if label == DEFAULT_ID else f"Vault password ({label}): ").strip().encode()
        name = "what was typed"
    else:
        path = Path(os.path.expandvars(source)).expanduser()
        name = str(path)
        secret = _from_program(path, label) if path.is_file() and os.access(path, os.X_OK) else _from_file(path)
    if not secret:
        raise ConfigurationError("the vault password is empty", f"it came from {name}")
    return Password(label, secret)


def _from_file(path: Path) -> bytes:
    try:
        content = path.read_bytes().strip()
    except OSError as problem:
        why = problem.strerror or str(problem)
        raise ConfigurationError(f"cannot read the vault password file {path}", why) from None
    if content.startswith(VAULT_HEADER.encode()):
        raise ConfigurationError(f"the vault password file {path} is encrypted itself")
    return content


def _from_program(path: Path, label: str) -> bytes:
    argv = [str(path.absolute())]
    if path.stem.endswith("-client"):
        argv += ["--vault-id", label]
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    except OSError as problem:
        remedy = f"chmod -x {path}, if it holds the password itself"
        what = f"cannot run the vault password program {path}"
        raise ConfigurationError(what, problem.strerror or str(problem), remedy) from None
    if done.returncode:
        raise ConfigurationError(f"the vault password program {path} failed", f"exit code {done.returncode}")
    return done.stdout.strip()


def passwords_from(
    identities: Sequence[str], files: Sequence[str], asked: bool, *, ask: Callable[[str], str]
) -> list[Password]:
    """All passwords that a command line and the environment name.

    Args:
        identities: `label@source` or `source`, as of --vault-id.
        files: as of --vault-password-file.
        asked: whether to ask for one, as of --ask-vault-pass.

    Raises:
        ConfigurationError: as `password_from`.
    """
    found = []
    for identity in identities:
        label, at, source = identity.rpartition("@")
        found.append(password_from(source, label if at and label else DEFAULT_ID, ask=ask))
    found += [password_from(file, ask=ask) for file in files]
    if asked:
        found.append(password_from("prompt", ask=ask))
    named = next((os.environ[name] for name in PASSWORD_FILES if os.environ.get(name)), None)
    if named and not found:
        found.append(password_from(named, ask=ask))
    return found
