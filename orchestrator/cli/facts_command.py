"""`fleet facts`: what the devices are and what they carry."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from orchestrator.cli.common import connection_options, connections, inventory_options, load
from orchestrator.errors import FleetError

if TYPE_CHECKING:
    from orchestrator.devices.device import Device
    from orchestrator.inventory.inventory import Host

SHOWN = (
    "module", "soc", "compute_capability", "jetpack", "l4t", "tensorrt", "cuda", "cudnn", "python", "trtexec",
    "precisions", "dla_cores", "power_mode", "clocks", "ram_bytes", "swap_bytes", "disk_free_bytes",
)  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    inventory_options(parser)
    connection_options(parser)
    parser.add_argument("--json", action="store_true", help="everything, as JSON")
    parser.add_argument("--raw", action="store_true", help="as the agent read it, not interpreted; as JSON")


def run(options: argparse.Namespace) -> int:
    from orchestrator.platforms.facts import resolve
    from orchestrator.runs.connections import for_each, statuses

    _, hosts = load(options)

    def ask(host: Host, device: Device) -> dict[str, Any]:
        raw = device.facts()
        return raw if options.raw else resolve(raw)

    found = for_each(hosts, connections(options), ask, options.forks)
    if options.json or options.raw:
        plain = {n: {"error": v.to_json()} if isinstance(v, FleetError) else v for n, v in found.items()}
        print(json.dumps(plain, indent=1, ensure_ascii=False))
        return statuses(found)
    for name, facts in found.items():
        if isinstance(facts, FleetError):
            print(facts, file=sys.stderr)
            continue
        print(f"{name}{'  (virtual)' if facts['virtual'] else ''}")
        for key in SHOWN:
            print(f"  {key.removesuffix('_bytes'):<19} {_shown(key, facts.get(key))}")
    return statuses(found)


def _shown(key: str, value: Any) -> str:
    if value is None:
        return "none"
    if key.endswith("_bytes"):
        return f"{value / 2**30:.1f} GiB"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return "locked" if value.get("locked") else "not locked" if value.get("locked") is False else "unknown"
    return str(value)
