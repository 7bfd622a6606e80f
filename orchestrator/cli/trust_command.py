"""`fleet trust`: a device's host keys, shown with their fingerprints and trusted from then on."""

from __future__ import annotations

import argparse
import os
import sys

from orchestrator.cli.common import chosen, inventory_options, load, project_home
from orchestrator.errors import FleetError, UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", help="host or pattern of the inventory, or an address")
    parser.add_argument("--replace", action="store_true", help="the device was flashed anew: drop its old keys")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    inventory_options(parser)


def run(options: argparse.Namespace) -> int:
    from orchestrator.devices.knownhosts import KnownHosts
    from orchestrator.devices.scan import scan, trust
    from orchestrator.inventory.settings import settings

    if not options.inventory and not os.environ.get("FLEET_INVENTORY"):
        options.inventory = [f"{options.host},"]
    inventory, _ = load(options)
    known_hosts = KnownHosts(project_home() / "known_hosts")
    code = 0
    for host in chosen(inventory, options.host, options.limit):
        try:
            found = scan(host.name, settings(host), known_hosts)
            print(f"{host.name} ({found.name}) offers")
            for key in found.offered:
                print(f"  {key}{'' if key in found.known.keys else '  (not trusted yet)'}")
            if not _agreed(options):
                print("nothing was changed")
                code = 1
                continue
            done = trust(found, known_hosts, options.replace)
            words = [f"{len(done.added)} added"] if done.added else []
            words += [f"{len(done.removed)} removed"] if done.removed else []
            print(f"  trusted: {', '.join(words) or 'known already'} ({known_hosts.path})")
        except FleetError as problem:
            print(problem.on(host.name), file=sys.stderr)
            code = problem.exit_code
    return code


def _agreed(options: argparse.Namespace) -> bool:
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("nobody to ask", "standard input is no terminal", "compare the fingerprints, then add --yes")
    return input(
        "Compare with the device's own (ssh-keygen -lf /etc/ssh/ssh_host_*.pub there). Trust? [y/N] "
    ).lower() in ("y", "yes")
