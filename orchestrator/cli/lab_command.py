"""`fleet lab`: virtual Jetsons up, down, listed or flashed anew."""

from __future__ import annotations

import argparse

from orchestrator.cli.common import inventory_options, load, project_home
from orchestrator.errors import InventoryError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("up", "down", "list", "reset"), help="reset: as just flashed")
    parser.add_argument(
        "--server", choices=("embedded", "openssh"), default="embedded", help="who serves SSH (embedded)"
    )
    inventory_options(parser)


def run(options: argparse.Namespace) -> int:
    from orchestrator.inventory.settings import settings
    from orchestrator.lab.lab import Lab, LabDevice

    lab = Lab(project_home() / "lab")
    if options.what in ("down", "list") and not options.inventory:
        names = None
    else:
        _, hosts = load(options)
        virtual = {host.name: settings(host) for host in hosts}
        virtual = {name: found for name, found in virtual.items() if found.connection == "lab"}
        if not virtual:
            raise InventoryError(
                "no virtual device here", "no host has fleet_connection: lab", "fleet lab up -i inventory/lab.yml"
            )
        names = list(virtual)
    if options.what == "down":
        lab.down(names)
    elif options.what == "reset":
        for name in names or ():
            lab.reset(name)
    elif options.what == "up":
        lab.up({n: LabDevice(f.lab_profile or "") for n, f in virtual.items()}, options.server)
    _show(lab, names)
    return 0


def _show(lab: object, names: list[str] | None) -> None:
    found = [status for status in lab.list() if names is None or status.name in names]  # type: ignore[attr-defined]
    if not found:
        print("no virtual devices here yet: fleet lab up -i inventory/lab.yml")
        return
    width = max(len(status.name) for status in found)
    for status in found:
        where = f"{status.endpoint.user}@{status.endpoint.host}:{status.endpoint.port}" if status.endpoint else ""
        python = f"python {status.python}" + (
            "" if status.python.startswith(status.python_asked) else f" (for {status.python_asked})"
        )
        print(f"{status.name:<{width}}  {status.state:<7}  {status.title}, {python}  {where}  {status.why}".rstrip())
