"""`fleet exec`: one module on many devices, without a playbook."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.cli.common import (
    chosen,
    connection_options,
    connections,
    extra_variables,
    inventory_options,
    load,
    project_home,
    shipped,
)
from orchestrator.errors import InventoryError
from orchestrator.events import Event, HostFinished, Note, TaskFinished

_WORDS = {
    "ok": ("SUCCESS", "32"),
    "changed": ("CHANGED", "33"),
    "skipped": ("SKIPPED", "36"),
    "failed": ("FAILED!", "31"),
    "unreachable": ("UNREACHABLE!", "1;31"),
}
# These are read for what they print; the rest is shown as JSON.
_COMMANDS = ("command", "shell", "script")
# What follows the cause of an error, and under which key.
_AFTER = (("try", "remedy"), ("log", "log"))


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", help="hosts: all, a group, a name, a:b, a:&b, a:!b, globs")
    what = parser.add_argument_group("what to do")
    what.add_argument("-m", "--module-name", default="command", metavar="MODULE", help="the module (command)")
    what.add_argument(
        "-a", "--args", default="", metavar="ARGS", help="its arguments: name=value ..., a command line, or JSON"
    )
    what.add_argument("-b", "--become", action="store_true", help="as root, through sudo")
    what.add_argument("--become-user", metavar="NAME", help="as this user instead of root")
    what.add_argument("-C", "--check", action="store_true", help="change nothing, say what would change")
    what.add_argument("-D", "--diff", action="store_true", help="show what changes inside")
    what.add_argument(
        "-B", "--background", type=int, default=0, metavar="SECONDS", help="detached, for at most so long"
    )
    what.add_argument(
        "-P", "--poll", type=int, default=15, metavar="SECONDS", help="look after a detached one so often; 0: do not"
    )
    inventory_options(parser)
    connection_options(parser)
    output = parser.add_argument_group("output")
    output.add_argument("-o", "--one-line", action="store_true", help="one line a host")
    output.add_argument("--json", action="store_true", help="one JSON object: host to result")
    output.add_argument("-v", "--verbose", action="count", default=0, help="say more")


def run(options: argparse.Namespace) -> int:
    from orchestrator.cli.execute import CONFIGURATION, FAILED, UNREACHABLE
    from orchestrator.events import Events
    from orchestrator.models.exports import Exports
    from orchestrator.playbook.adhoc import RESULT, ad_hoc
    from orchestrator.playbook.context import RunContext, RunOptions
    from orchestrator.playbook.specifications import Specifications
    from orchestrator.runs.runner import Runner
    from orchestrator.store import Store

    play = ad_hoc(
        options.pattern,
        options.module_name,
        options.args,
        become=options.become or bool(options.become_user),
        become_user=options.become_user,
        async_s=options.background,
        poll_s=options.poll,
    )
    inventory, _ = load(options, playbook_dir=Path.cwd())
    hosts = chosen(inventory, options.pattern, options.limit)
    if not hosts:
        raise InventoryError(f"'{options.pattern}' matches no host", "", "fleet inventory --graph")
    asked = RunOptions(check=options.check, diff=options.diff, verbosity=options.verbose, forks=options.forks)
    links = connections(options)
    store = Store(project_home() / "store")
    # Nothing of it is kept: what a playbook does has a report, this is a look or a nudge.
    folder = Path(tempfile.mkdtemp(prefix="fleet-exec-"))
    with Exports(store, Path.cwd()) as exports:
        report = Report(options, lambda host: runner.registered(host, RESULT))
        models = Specifications((shipped("playbooks") / "models",))
        context = RunContext("exec", folder, asked, Events(report), store, exports, models)
        runner = Runner([play], inventory, hosts, context, links.connect, extra_variables(options))
        try:
            links.prepare(hosts)
            runner.go()
        finally:
            links.close()
            if not any(folder.iterdir()):  # a defect's log stays
                folder.rmdir()
    report.close()
    found = set(report.statuses.values())
    if runner.misconfigured:
        return CONFIGURATION
    return FAILED * ("failed" in found) + UNREACHABLE * ("unreachable" in found)


class Report:
    """A listener that prints each host's result as it comes, as `ansible` does.

    Args:
        registered: gives the result that a host registered, or None.
    """

    def __init__(self, options: argparse.Namespace, registered: Callable[[str], Any]) -> None:
        self.options = options
        self.registered = registered
        self.statuses: dict[str, str] = {}
        """ok, failed or unreachable, by host."""
        self._finished: dict[str, TaskFinished] = {}
        self._all: dict[str, Any] = {}
        self._colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, TaskFinished):
                self._finished[event.host] = event
            elif isinstance(event, Note) and (event.level == "warning" or self.options.verbose):
                print(f"{event.host}: {event.text}" if event.host else event.text, file=sys.stderr)
            elif isinstance(event, HostFinished):
                self.statuses[event.host] = event.status
                self._host(event)

    def _host(self, event: HostFinished) -> None:
        from orchestrator.values import mask

        task = self._finished.get(event.host)
        status = event.status if event.status in ("failed", "unreachable") or task is None else task.status
        result = dict(mask(self.registered(event.host) or {}))
        if not result.pop("failed", False) and event.error:
            result = {"changed": False, "msg": event.error["what"], "error": event.error}
        if status in ("failed", "unreachable"):
            result[status] = True
        if self.options.json:
            self._all[event.host] = result
            return
        self._show(event.host, status, result, event.error)
        if self.options.diff and task and task.diff:
            from orchestrator.reports.console import diff_lines

            print("\n".join(diff_lines(task.diff)))
        sys.stdout.flush()

    def _show(self, host: str, status: str, result: Mapping[str, Any], error: Mapping[str, Any] | None) -> None:
        word, colour = _WORDS.get(status, (status.upper(), "0"))
        if "rc" in result and self.options.module_name.rpartition(".")[2] in _COMMANDS:
            said = [str(result.get(stream) or "") for stream in ("stdout", "stderr")]
            if self.options.one_line:
                said = [f"({name}) {text!r}" for name, text in zip(("stdout", "stderr"), said, strict=True) if text]
                said = said or [str(result.get("msg") or "")]
                text = f"{host} | {word} | rc={result['rc']} | {' '.join(said)}"
            else:
                said = [text for text in said if text] or [str(result.get("msg") or "")]
                text = "\n".join([f"{host} | {word} | rc={result['rc']} >>", *said])
        elif "error" in result and error and not self.options.one_line:
            # It never got to the module: what, why and what to do, as everywhere.
            rest = [
                error["why"],
                error["remedy"] and f"try: {error['remedy']}",
                error["log"] and f"log: {error['log']}",
            ]
            text = "\n".join([f"{host} | {word} => {error['what']}", *(f"  {line}" for line in rest if line)])
        else:
            text = f"{host} | {word} => {_json(result, None if self.options.one_line else 4)}"
            if error and error["remedy"] and not self.options.one_line:
                text += f"\n  try: {error['remedy']}"
        print(f"\033[{colour}m{text.rstrip()}\033[0m" if self._colours else text.rstrip())

    def close(self) -> None:
        """Print what waits for the end: the JSON."""
        if self.options.json:
            print(_json(self._all, 1))


def _json(value: Any, indent: int | None) -> str:
    return json.dumps(value, indent=indent, sort_keys=True, ensure_ascii=False, default=str)
