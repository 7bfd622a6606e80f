"""`fleet vault`: files and values encrypted in Ansible Vault's format."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from getpass import getpass
from pathlib import Path

from orchestrator.cli.vaults import vault_options
from orchestrator.errors import ConfigurationError, Location, UsageError
from orchestrator.inventory.vault import DEFAULT_ID, Password, Vault, encrypt, label_of, password_from, passwords_from
from orchestrator.values import is_vault

STANDARD = "-"


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, function in ACTIONS.items():
        summary = (function.__doc__ or "").strip().splitlines()[0].rstrip(".")
        action = actions.add_parser(name, help=summary[0].lower() + summary[1:], description=summary + ".")
        vault_options(action)
        if name in ("encrypt", "decrypt"):
            action.add_argument("files", nargs="*", default=[STANDARD], help="files, or - for standard input")
            action.add_argument("--output", metavar="FILE", help="write here (one file only); - for standard output")
        elif name == "encrypt_string":
            action.add_argument("text", nargs="?", default=STANDARD, help="the value, or - for standard input")
            action.add_argument("-n", "--name", metavar="NAME", help="the variable's name, for the line to paste")
        else:
            action.add_argument("files", nargs="+", help="encrypted files")
        if name in ("encrypt", "encrypt_string", "create"):
            action.add_argument("--encrypt-vault-id", metavar="NAME", help="which password, where there are several")
        if name == "rekey":
            action.add_argument("--new-vault-password-file", metavar="FILE", help="file with the new password")
            action.add_argument("--new-vault-id", metavar="[NAME@]SOURCE", help="the new password, named")


def run(options: argparse.Namespace) -> int:
    ACTIONS[options.action](options)
    return 0


def encrypt_files(options: argparse.Namespace) -> None:
    """Encrypt files in place."""
    vault = _vault(options, new=True)
    for name in _files(options):
        content = _read(name)
        if is_vault(content.decode("utf-8", "replace")):
            raise ConfigurationError(f"{name} is encrypted already", "", f"fleet vault rekey {name}")
        _write(options.output or name, vault.encrypt(content, options.encrypt_vault_id).encode())


def decrypt_files(options: argparse.Namespace) -> None:
    """Decrypt files in place."""
    vault = _vault(options)
    for name in _files(options):
        _write(options.output or name, vault.decrypt(_vault_text(name), Location(name)))


def view(options: argparse.Namespace) -> None:
    """Print the content of encrypted files."""
    vault = _vault(options)
    for name in options.files:
        sys.stdout.write(vault.decrypt(_vault_text(name), Location(name)).decode("utf-8", "replace"))


def edit(options: argparse.Namespace) -> None:
    """Edit encrypted files with $EDITOR."""
    vault = _vault(options)
    for name in options.files:
        text = _vault_text(name)
        content = vault.decrypt(text, Location(name))
        changed = _edited(content, Path(name).suffix)
        if changed != content:
            _write(name, vault.encrypt(changed, _same_label(vault, text)).encode())


def create(options: argparse.Namespace) -> None:
    """Write new encrypted files with $EDITOR."""
    vault = _vault(options, new=True)
    for name in options.files:
        if Path(name).exists():
            raise UsageError(f"{name} exists", "", f"fleet vault edit {name}")
        _write(name, vault.encrypt(_edited(b"", Path(name).suffix), options.encrypt_vault_id).encode())


def encrypt_string(options: argparse.Namespace) -> None:
    """Print a value encrypted, to be pasted into a YAML file."""
    vault = _vault(options, new=True)
    content = _read(STANDARD) if options.text == STANDARD else options.text.encode()
    lines = vault.encrypt(content, options.encrypt_vault_id).splitlines()
    print(f"{options.name}: !vault |" if options.name else "!vault |")
    print("\n".join(f"          {line}" for line in lines))


def rekey(options: argparse.Namespace) -> None:
    """Encrypt files anew with another password."""
    vault = _vault(options)
    texts = {name: _vault_text(name) for name in options.files}
    contents = {name: vault.decrypt(text, Location(name)) for name, text in texts.items()}
    label, at, source = (options.new_vault_id or "").rpartition("@")
    source = options.new_vault_password_file or source or "prompt"
    chosen = password_from(source, label if at and label else DEFAULT_ID, ask=_asked_twice)
    for name, content in contents.items():
        # Without a new name a file keeps the one it has.
        password = chosen if at else Password(label_of(texts[name]), chosen.secret)
        _write(name, encrypt(content, password).encode())


ACTIONS: dict[str, Callable[[argparse.Namespace], None]] = {
    "encrypt": encrypt_files,
    "decrypt": decrypt_files,
    "view": view,
    "edit": edit,
    "create": create,
    "encrypt_string": encrypt_string,
    "rekey": rekey,
}


def _vault(options: argparse.Namespace, new: bool = False) -> Vault:
    """The passwords that the options name; one is asked for where they name none."""
    ask = _asked_twice if new else getpass
    asked = options.ask_vault_pass
    passwords = passwords_from(options.vault_id, options.vault_password_file, asked, ask=ask)
    return Vault(passwords or [password_from("prompt", ask=ask)])


def _asked_twice(prompt: str) -> str:
    first = getpass(f"New {prompt[0].lower()}{prompt[1:]}")
    if getpass("Once more: ") != first:
        raise UsageError("the two passwords differ")
    return first


def _same_label(vault: Vault, text: str) -> str | None:
    label = label_of(text)
    return label if any(one.label == label for one in vault.passwords) else None


def _files(options: argparse.Namespace) -> list[str]:
    if options.output and len(options.files) > 1:
        raise UsageError("--output is for one file", f"there are {len(options.files)}")
    return options.files


def _vault_text(name: str) -> str:
    text = _read(name).decode("utf-8", "replace")
    if not is_vault(text):
        raise ConfigurationError(f"{name} is not encrypted", "it does not begin with $ANSIBLE_VAULT")
    return text


def _read(name: str) -> bytes:
    if name == STANDARD:
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as problem:
        raise ConfigurationError(f"cannot read {name}", problem.strerror or str(problem)) from None


def _write(name: str, content: bytes) -> None:
    """Replace a file at once, with its mode; what is new can be read by its owner only."""
    if name == STANDARD:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    from orchestrator.store.atomic import replacing

    path = Path(name).resolve()
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
        with replacing(path) as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
    except OSError as problem:
        raise ConfigurationError(f"cannot write {name}", problem.strerror or str(problem)) from None


def _edited(content: bytes, suffix: str) -> bytes:
    """What a person makes of the content in their editor; the plain text leaves no file behind."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="fleet-vault-") as folder:  # mode 0700
        path = Path(folder) / f"vault{suffix}"
        path.write_bytes(content)
        try:
            done = subprocess.run([*shlex.split(editor), str(path)], check=False)
        except OSError as problem:
            raise UsageError(f"cannot run {editor}", problem.strerror or str(problem), "set EDITOR") from None
        if done.returncode:
            raise ConfigurationError(f"{editor} ended with exit code {done.returncode}", "nothing was changed")
        return path.read_bytes()
