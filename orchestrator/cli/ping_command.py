"""`fleet ping`: a session with every device, and how long it took."""

from __future__ import annotations

import argparse
import json
import sys
import time

from orchestrator.cli.common import connection_options, connections, inventory_options, load
from orchestrator.errors import FleetError


def arguments(parser: argparse.ArgumentParser) -> None:
    inventory_options(parser)
    connection_options(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


def run(options: argparse.Namespace) -> int:
    from orchestrator.runs.connections import for_each, statuses

    _, hosts = load(options)

    def ask(host: object, device: object) -> dict[str, object]:
        started = time.monotonic()
        device.call("ping", {})  # type: ignore[attr-defined]
        trip = time.monotonic() - started
        greeting = device.greeting  # type: ignore[attr-defined]
        return {"ping": "pong", "python": greeting["python"], "round_trip_ms": round(trip * 1000, 2)}

    found = for_each(hosts, connections(options), ask, options.forks)
    if options.json:
        plain = {n: {"error": v.to_json()} if isinstance(v, FleetError) else v for n, v in found.items()}
        print(json.dumps(plain, indent=1))
        return statuses(found)
    width = max((len(name) for name in found), default=0)
    for name, answer in found.items():
        if isinstance(answer, FleetError):
            print(answer, file=sys.stderr)
        else:
            print(f"{name:<{width}}  pong  python {answer['python']}, {answer['round_trip_ms']} ms")
    return statuses(found)
