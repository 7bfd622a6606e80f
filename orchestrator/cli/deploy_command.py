"""`fleet deploy`: from checkpoints to proved, active engines on every device."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.common import (
    connection_options,
    extra_variables,
    inventory_options,
    load,
    output_options,
    shipped,
    words,
)
from orchestrator.cli.listing import listing, listing_wanted
from orchestrator.documents import nearest
from orchestrator.errors import InventoryError, UsageError
from orchestrator.playbook.specifications import Specifications
from orchestrator.runs.retry import LATEST, leftover

if TYPE_CHECKING:
    from orchestrator.playbook.structure import Play


def arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what to deploy")
    what.add_argument(
        "-m",
        "--model",
        action="append",
        metavar="SPEC",
        help="model specification instead of the inventory's fleet_models; may be repeated",
    )
    what.add_argument("--force", action="store_true", help="build even what could be reused")
    what.add_argument("--playbook", metavar="FILE", help="another playbook than the shipped playbooks/deploy.yml")
    playbook_options(parser)
    inventory_options(parser)
    connection_options(parser)
    output_options(parser)


def playbook_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how")
    group.add_argument("-C", "--check", action="store_true", help="change nothing, say what would change")
    group.add_argument("-D", "--diff", action="store_true", help="show what changes inside")
    group.add_argument("-t", "--tags", metavar="TAGS", help="only tasks with these tags")
    group.add_argument("--skip-tags", metavar="TAGS", help="all but tasks with these tags")
    group.add_argument("--start-at-task", metavar="NAME", help="leave out the tasks before this one; globs too")
    group.add_argument(
        "--retry",
        nargs="?",
        const=LATEST,
        metavar="RUN",
        help="only devices that the latest run of this command (or RUN) did not get through, and handlers it owes",
    )
    listed = parser.add_argument_group("only look")
    listed.add_argument("--list-tasks", action="store_true", help="show the tasks")
    listed.add_argument("--list-tags", action="store_true", help="show the tags")
    listed.add_argument("--list-hosts", action="store_true", help="show the devices")


def run(options: argparse.Namespace) -> int:
    return run_playbook(
        options, Path(options.playbook) if options.playbook else shipped("playbooks") / "deploy.yml", "deploy"
    )


def specifications(playbooks: Path) -> Specifications:
    """Models are found by path from here, or by name in the `models` folders beside playbooks."""
    return Specifications((Path.cwd(), playbooks / "models", Path("playbooks/models"), shipped("playbooks") / "models"))


def run_playbook(options: argparse.Namespace, playbook: Path, command: str) -> int:
    """Load a playbook and its inventory, look for mistakes in both, then run it."""
    from orchestrator.inventory.settings import settings
    from orchestrator.playbook.parse import load_playbook

    extra = extra_variables(options)
    plays = load_playbook(playbook, extra)
    listed = listing_wanted(options)
    if listed and not options.list_hosts:  # tasks and tags need no devices
        return _list(options, playbook, plays, [() for _ in plays])
    inventory, hosts = load(options, playbook_dir=playbook.parent)
    if not options.limit:
        # `localhost` need not stand in an inventory, and `all` does not mean it.
        named = {host.name: host for play in plays for host in inventory.select(play.hosts)}
        hosts += [host for name, host in named.items() if name not in inventory.hosts]
    owed: Mapping[str, Sequence[str]] = {}
    if options.retry:
        left = leftover(Path(options.runs), command, options.retry)
        hosts, owed = [host for host in hosts if host.name in left.hosts], left.owed
        if not hosts:
            print(f"run {left.run} left nothing to retry here")
            return 0
        told = ", ".join(f"{host.name} ({left.hosts[host.name]})" for host in hosts)
        print(f"retrying run {left.run}: {told}", file=sys.stderr)
    if listed:
        remaining = {host.name for host in hosts}
        members = [[h.name for h in inventory.select(play.hosts) if h.name in remaining] for play in plays]
        return _list(options, playbook, plays, members)
    if not hosts:
        raise InventoryError("there is no device to work on", "the inventory has no hosts", "fleet inventory --graph")
    _refuse_unknown_tags(plays, words(options.tags))
    models = specifications(playbook.parent)
    # A mistake in a variable or a specification ends the run before any device is touched.
    for host in hosts:
        wanted = settings(host).models
        if any(task.module.name == "engine_plan" for play in plays for task in play.tasks):
            for name in getattr(options, "model", None) or wanted:
                models.find(name, host)
    from orchestrator.cli.execute import execute

    return execute(options, plays, inventory, hosts, command=command, extra=extra, models=models, owed=owed)


def _refuse_unknown_tags(plays: Sequence[Play], asked: Sequence[str]) -> None:
    """A tag that no task carries is a slip of the keys; tasks that are included later may carry any."""
    tasks = [task for play in plays for task in play.tasks]
    known = {tag for task in tasks for tag in task.tags} | {"all", "tagged", "untagged", "always", "never"}
    unknown = [tag for tag in asked if tag not in known]
    if unknown and not any(task.module.name.startswith("include_") for task in tasks):
        why = f"tags here: {', '.join(sorted(known - {'all', 'tagged', 'untagged', 'always', 'never'})) or 'none'}"
        raise UsageError(f"no task has the tag '{unknown[0]}'", why, nearest(unknown[0], known))


def _list(options: argparse.Namespace, playbook: Path, plays: Sequence[Play], hosts: Sequence[Sequence[str]]) -> int:
    print(listing(options, playbook, plays, hosts, words(options.tags), words(options.skip_tags)))
    return 0
