"""What the commands share: options, the inventory, connections, and a run with its listeners."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.vaults import vault_options
from orchestrator.errors import InventoryError, UsageError

if TYPE_CHECKING:
    from orchestrator.inventory.inventory import Host, Inventory
    from orchestrator.runs.connections import Connections


def project_home() -> Path:
    """Where the project's state lies: FLEET_HOME, or `.fleet` of the working directory."""
    return Path(os.environ.get("FLEET_HOME") or ".fleet").absolute()


def shipped(kind: str) -> Path:
    """Folder of the inventories or playbooks that come with Fleet (in the wheel, or in the source tree)."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "defaults" / kind
    return installed if installed.is_dir() else package.parent / kind


def inventory_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("devices")
    group.add_argument(
        "-i", "--inventory", action="append", metavar="FILE", help="inventory file, folder or 'host,'; may be repeated"
    )
    group.add_argument("-l", "--limit", metavar="PATTERN", help="only these hosts: a:b, a:&b, a:!b, globs, @file")
    group.add_argument(
        "-e", "--extra-vars", action="append", default=[], metavar="NAME=VALUE", help="a variable, or @file.yml"
    )
    vault_options(parser)


def connection_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("connections")
    group.add_argument("-f", "--forks", type=_positive, default=20, metavar="N", help="devices worked on at once (20)")
    group.add_argument("-u", "--user", metavar="NAME", help="login user where the inventory names none")
    group.add_argument("-k", "--ask-pass", action="store_true", help="ask for the login password")
    group.add_argument("-K", "--ask-become-pass", action="store_true", help="ask for the sudo password")
    group.add_argument(
        "--accept-new-host-keys",
        action="store_true",
        help="trust host keys never seen before; changed ones are always refused",
    )


def output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument("-v", "--verbose", action="count", default=0, help="say more")
    group.add_argument("--no-live", action="store_true", help="plain lines instead of the live view")
    group.add_argument("--json", metavar="FILE", help="write the result as JSON here too; - for standard output")
    group.add_argument("--junit", metavar="FILE", help="write a JUnit report here")
    group.add_argument("--runs", default="runs", metavar="DIR", help="where runs are kept (runs)")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def words(text: str | None) -> tuple[str, ...]:
    """The words of `a,b`, as `--tags` takes them."""
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def extra_variables(options: argparse.Namespace) -> dict[str, Any]:
    """The variables of `-e`: `name=value name=value` (values are YAML scalars), or `@file.yml`.

    Raises:
        UsageError: neither; ConfigurationError: a file that cannot be read.
    """
    from orchestrator.documents import Document

    values: dict[str, Any] = {}
    for text in options.extra_vars:
        if text.startswith("@"):
            document = Document.read(text[1:])
            if not isinstance(document.data, dict):
                raise document.fail("variables are a mapping")
            values.update(document.data)
        elif text.lstrip().startswith("{"):
            values.update(Document("--extra-vars", text, UsageError).data or {})
        else:
            for name, value in _pairs(text).items():
                values[name] = value if "{{" in value else Document("--extra-vars", value, UsageError).data
    return values


def _pairs(text: str) -> dict[str, str]:
    from orchestrator.playbook.keyvalue import parse_key_values

    try:
        return parse_key_values(text)
    except ValueError:
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            why = "it is neither name=value nor @file.yml"
            raise UsageError(f"--extra-vars cannot be '{text}'", why) from None
        return {name.strip(): value}  # one value with blanks


def load(options: argparse.Namespace, playbook_dir: Path | None = None) -> tuple[Inventory, list[Host]]:
    """The inventory that the options name, and the hosts that `--limit` leaves.

    Raises:
        InventoryError: no inventory, an unreadable one, a limit that matches nothing.
    """
    from orchestrator.inventory.inventory import load_inventory

    sources = options.inventory or ([os.environ["FLEET_INVENTORY"]] if os.environ.get("FLEET_INVENTORY") else None)
    if not sources:
        raise InventoryError(
            "no inventory",
            "--inventory was not given and FLEET_INVENTORY is not set",
            "fleet ... --inventory inventory/lab.yml",
        )
    # An inventory that comes with Fleet is found by its usual name from anywhere.
    sources = [source if "," in source or Path(source).exists() else _shipped_inventory(source) for source in sources]
    inventory = load_inventory(sources, playbook_dir=playbook_dir, extra_vars=extra_variables(options))
    return inventory, inventory.select("all", options.limit)


def chosen(inventory: Inventory, pattern: str, limit: str | None) -> list[Host]:
    """The hosts of a pattern that stands on the command line; it must match something.

    Raises:
        InventoryError: it matches nothing.
    """
    from orchestrator.documents import nearest

    hosts = inventory.select(pattern, limit)
    if not hosts:
        known = ", ".join(list(inventory.hosts)[:8]) or "none"
        remedy = nearest(pattern, [*inventory.hosts, *inventory.groups])
        raise InventoryError(f"'{pattern}' matches no host", f"hosts: {known}", remedy or "fleet inventory --graph")
    return hosts


def _shipped_inventory(source: str) -> str:
    path = shipped("inventory") / Path(source).name
    return str(path) if Path(source).parent.name in ("", "inventory") and path.is_file() else source


def connections(options: argparse.Namespace) -> Connections:
    """Connections with what the command line says about users, passwords and host keys."""
    from orchestrator.runs.connections import Connections, LoginOptions

    login = LoginOptions(options.user, passwords(options), options.accept_new_host_keys, tuple(options.inventory or ()))
    return Connections(project_home(), login)


def passwords(options: argparse.Namespace) -> dict[str, str]:
    """Passwords asked for on the terminal, as the connection variables that they stand for."""
    from getpass import getpass

    values = {}
    if getattr(options, "ask_pass", False):
        values["ansible_password"] = getpass("SSH password: ")
    if getattr(options, "ask_become_pass", False):
        values["ansible_become_password"] = getpass("BECOME password: ")
    return values
