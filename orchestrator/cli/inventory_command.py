"""`fleet inventory`: hosts, groups and variables, as `ansible-inventory` shows them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from orchestrator.cli.common import inventory_options, load


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="everything as JSON (the default)")
    what.add_argument("--graph", action="store_true", help="groups and hosts as a tree")
    what.add_argument("--host", metavar="NAME", help="the variables of one host as JSON")
    what.add_argument("--hosts", action="store_true", help="just the names, one a line, after --limit")
    inventory_options(parser)


def run(options: argparse.Namespace) -> int:
    inventory, hosts = load(options)
    if options.graph:
        print(inventory.graph())
    elif options.host:
        print(_json(inventory.to_list()["_meta"]["hostvars"].get(inventory.host(options.host).name, {})))
    elif options.hosts:
        print("\n".join(host.name for host in hosts))
    else:
        print(_json(inventory.to_list()))
    return 0


def _json(value: Any) -> str:
    return json.dumps(value, indent=4, sort_keys=True, ensure_ascii=False, default=str)
