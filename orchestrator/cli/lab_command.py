"""`fleet lab`: virtual Jetsons up, down, listed, flashed anew, or broken on purpose."""

from __future__ import annotations

import argparse

from orchestrator.cli.common import inventory_options, load, project_home
from orchestrator.errors import InventoryError, UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _faults()
    parser.add_argument(
        "what",
        choices=("up", "down", "list", "reset", "fault"),
        help="reset: as just flashed; fault: break a running device in a known way",
    )
    parser.add_argument("device", nargs="?", help="for a fault: the device's name")
    parser.add_argument("fault", nargs="?", metavar="fault", help="its name, see below")
    parser.add_argument("value", nargs="?", default="", help="what the fault takes, or off to end it")
    parser.add_argument(
        "--server", choices=("embedded", "openssh"), default="embedded", help="who serves SSH (embedded)"
    )
    inventory_options(parser)


def run(options: argparse.Namespace) -> int:
    from orchestrator.inventory.settings import settings
    from orchestrator.lab.lab import Lab, LabDevice

    lab = Lab(project_home() / "lab")
    if options.what == "fault":
        if not options.device or not options.fault:
            raise UsageError("a fault needs a device and a name", "", "fleet lab fault nano-01 apt_lock 20")
        lab.fault(options.device, options.fault, options.value)
        return 0
    if options.device:
        raise UsageError(f"'{options.device}' is one word too many", "", f"fleet lab {options.what} --limit NAME")
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
        known = {status.name for status in lab.list()}
        lab.down(names if names is None else [name for name in names if name in known])
    elif options.what == "reset":
        for name in names or ():
            lab.reset(name)
    elif options.what == "up":
        lab.up(
            {n: LabDevice(f.lab_profile or "", faults=tuple(f.lab_faults)) for n, f in virtual.items()}, options.server
        )
    _show(lab, names)
    return 0


def _faults() -> str:
    from orchestrator.lab.tools.fault_names import FAULTS

    width = max(map(len, FAULTS))
    return "faults:\n" + "\n".join(f"  {name:<{width}}  {text}" for name, text in FAULTS.items())


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
