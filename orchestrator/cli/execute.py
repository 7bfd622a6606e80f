"""Carries out a run for a command: its folder, listeners, devices, plays, reports and exit code."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.cli.common import connections, project_home, words
from orchestrator.errors import UsageError
from orchestrator.events import Events, RunFinished, RunStarted
from orchestrator.inventory.settings import settings
from orchestrator.playbook.context import RunContext, RunOptions
from orchestrator.reports.console import ConsoleReport
from orchestrator.reports.result import ResultCollector
from orchestrator.runs.directory import new_run, write_atomically
from orchestrator.runs.journal import Journal
from orchestrator.runs.runner import Runner

if TYPE_CHECKING:
    from orchestrator.inventory.inventory import Host, Inventory
    from orchestrator.playbook.parse import Play
    from orchestrator.playbook.specifications import Specifications

CONFIGURATION, FAILED, UNREACHABLE = 1, 2, 4


def run_options(options: argparse.Namespace) -> RunOptions:
    """The parsed command line as what a run needs of it."""
    return RunOptions(
        check=getattr(options, "check", False),
        diff=getattr(options, "diff", False),
        verbosity=options.verbose,
        force=getattr(options, "force", False),
        forks=options.forks,
        tags=words(getattr(options, "tags", None)),
        skip_tags=words(getattr(options, "skip_tags", None)),
        start_at=getattr(options, "start_at_task", None),
        models=tuple(getattr(options, "model", None) or ()),
    )


def execute(
    options: argparse.Namespace,
    plays: Sequence[Play],
    inventory: Inventory,
    hosts: Sequence[Host],
    *,
    command: str,
    extra: Mapping[str, Any],
    models: Specifications,
    owed: Mapping[str, Sequence[str]] | None = None,
) -> int:
    """Run plays over hosts and write every report.

    Args:
        owed: handlers, by host, that the run which is retried did not get to.

    Returns:
        the exit code: 0 all well, 1 a mistake in the user's files, 2 a device failed, 4 a device unreachable, 6 both.
    """
    from orchestrator.models.exports import Exports
    from orchestrator.store import Store

    _check_outputs(options)
    run, directory = new_run(Path(options.runs))
    store = Store(project_home() / "store")
    results = ResultCollector()
    journal = Journal(directory / "journal.jsonl")
    events = Events(journal, results)
    # Standard output belongs to the JSON when it is asked for there.
    console = ConsoleReport(
        stream=sys.stderr if options.json == "-" else sys.stdout,
        live=not options.no_live,
        verbosity=options.verbose,
        diffs=getattr(options, "diff", False),
        directory=os.path.relpath(directory),
    )
    links = connections(options)
    with Exports(store, Path.cwd()) as exports, console:
        events.add(console)
        names = [host.name for host in hosts]
        virtual = [host.name for host in hosts if settings(host).connection == "lab"]
        line = f"fleet {command} {shlex.join(sys.argv[2:])}" if sys.argv[1:] else f"fleet {command}"
        events(RunStarted(run=run, command=line.strip(), hosts=names, virtual=virtual, directory=str(directory)))
        context = RunContext(run, directory, run_options(options), events, store, exports, models)
        links.prepare(hosts)
        runner = Runner(plays, inventory, hosts, context, links.connect, extra, owed)
        try:
            runner.go()
        finally:
            result = results.result(time.time())
            write_reports(result, directory, options)
            events(RunFinished(run=run, result=result))
            journal.close()
            links.close()
    return CONFIGURATION if runner.misconfigured else exit_code(result)


def write_reports(result: dict[str, Any], directory: Path, options: argparse.Namespace) -> None:
    """`result.json` and `report.html` in the run's folder, and what the options ask for beside them."""
    from orchestrator.reports.html import render_html

    text = json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    write_atomically(directory / "result.json", text)
    write_atomically(directory / "report.html", render_html(result))
    if options.json == "-":
        sys.stdout.write(text)
    elif options.json:
        _write(options.json, text)
    if options.junit:
        from orchestrator.reports.junit import render_junit

        _write(options.junit, render_junit(result))


def _check_outputs(options: argparse.Namespace) -> None:
    """A report that cannot be written is better known before the run than after it."""
    for path in filter(None, (options.json, options.junit)):
        if path != "-" and (Path(path).is_dir() or not Path(path).absolute().parent.is_dir()):
            why = "it is a folder" if Path(path).is_dir() else "its folder does not exist"
            raise UsageError(f"cannot write {path}", why, "name a file in a folder that exists")


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise UsageError(f"cannot write {path}", problem.strerror or str(problem)) from None


def exit_code(result: Mapping[str, Any]) -> int:
    """0, or the sum of 2 for a device that failed and 4 for one that was unreachable."""
    statuses = {host["status"] for host in result["hosts"].values()}
    return FAILED * ("failed" in statuses) + UNREACHABLE * ("unreachable" in statuses)
