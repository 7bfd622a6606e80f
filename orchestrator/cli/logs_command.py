"""`fleet logs`: the newest job log of a device: what a build printed."""

from __future__ import annotations

import argparse
import sys

from orchestrator.cli.common import chosen, connection_options, connections, inventory_options, load
from orchestrator.errors import FleetError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", help="host or pattern")
    parser.add_argument("-n", "--lines", type=int, default=40, help="last lines to show (40)")
    parser.add_argument("--job", metavar="ID", help="this job instead of the newest")
    parser.add_argument("--list", action="store_true", help="list the device's jobs instead")
    inventory_options(parser)
    connection_options(parser)


def run(options: argparse.Namespace) -> int:
    from orchestrator.runs.connections import for_each, statuses

    inventory, _ = load(options)
    hosts = chosen(inventory, options.host, options.limit)
    action, args = ("job_list", {}) if options.list else ("logs", {"job": options.job, "lines": options.lines})
    found = for_each(hosts, connections(options), lambda _, device: device.call(action, args).data, options.forks)
    for name, data in found.items():
        if isinstance(data, FleetError):
            print(data, file=sys.stderr)
        elif options.list:
            print(f"{name}:")
            for job in data["jobs"]:
                print(f"  {job['id']}  {job.get('kind') or ''}  {job.get('state') or ''}")
        elif not data.get("job"):
            print(f"{name}: no job has run here")
        else:
            print(f"{name}: {data['job']}")
            print("\n".join(f"  {line}" for line in data["lines"]))
    return statuses(found)
