"""`fleet provision`: from a bare JetPack to a device that is ready for `fleet deploy`."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.cli.common import connection_options, inventory_options, output_options, shipped
from orchestrator.cli.deploy_command import playbook_options, run_playbook


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what to do")
    what.add_argument("--playbook", metavar="FILE", help="another playbook than the shipped playbooks/provision.yml")
    playbook_options(parser)
    inventory_options(parser)
    connection_options(parser)
    output_options(parser)


def run(options: argparse.Namespace) -> int:
    playbook = Path(options.playbook) if options.playbook else shipped("playbooks") / "provision.yml"
    return run_playbook(options, playbook, "provision")
