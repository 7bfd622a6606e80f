"""Where a command gets its vault passwords from."""

from __future__ import annotations

import argparse
import os

from orchestrator.values import PASSWORD_FILES


def vault_options(parser: argparse.ArgumentParser) -> None:
    """The options that name vault passwords."""
    group = parser.add_argument_group("vaults")
    group.add_argument("-J", "--ask-vault-pass", "--ask-vault-password", action="store_true", help="ask for it")
    group.add_argument(
        "--vault-password-file",
        "--vault-pass-file",
        action="append",
        default=[],
        metavar="FILE",
        help="file with the password, or a program that prints it (else FLEET_VAULT_PASSWORD_FILE)",
    )
    group.add_argument(
        "--vault-id", action="append", default=[], metavar="[NAME@]SOURCE", help="a named one; SOURCE: a file or prompt"
    )


def use_vaults(options: argparse.Namespace) -> None:
    """Decrypt with the passwords that the options and the environment name, from now on.

    Raises:
        ConfigurationError: a password that cannot be had.
    """
    given = options.vault_id or options.vault_password_file or options.ask_vault_pass
    if not given and not any(os.environ.get(name) for name in PASSWORD_FILES):
        return
    from getpass import getpass

    from orchestrator.inventory.vault import passwords_from, use

    use(passwords_from(options.vault_id, options.vault_password_file, options.ask_vault_pass, ask=getpass))
