"""`fleet plan`: what a deploy would do on each device, and why; nothing is changed, pushed or built."""

from __future__ import annotations

import argparse

from orchestrator.cli import deploy_command
from orchestrator.cli.common import shipped


def arguments(parser: argparse.ArgumentParser) -> None:
    deploy_command.arguments(parser)


def run(options: argparse.Namespace) -> int:
    options.check = True
    options.tags = "plan"
    return deploy_command.run_playbook(options, shipped("playbooks") / "deploy.yml", "plan")
