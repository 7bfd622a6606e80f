"""`fleet play`: run a playbook of yours."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.cli.common import connection_options, inventory_options, output_options, shipped
from orchestrator.cli.deploy_command import playbook_options, run_playbook


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("playbook", help="the playbook's file")
    playbook_options(parser)
    inventory_options(parser)
    connection_options(parser)
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    playbook = Path(options.playbook)
    # A playbook that comes with Fleet is found by its usual name from anywhere.
    if (
        not playbook.exists()
        and playbook.parent.name == "playbooks"
        and (shipped("playbooks") / playbook.name).is_file()
    ):
        playbook = shipped("playbooks") / playbook.name
    return run_playbook(options, playbook, "play")
