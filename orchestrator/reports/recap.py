"""The recap at the end of a run, from its result: counts as Ansible prints them, engines, reasons, errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from orchestrator.reports import text

STATUS_STYLES = {
    "ok": "green",
    "changed": "yellow",
    "failed": "red",
    "unreachable": "red",
    "skipped": "cyan",
    "ignored": "magenta",
    "passed": "green",
    "built": "yellow",
    "reused": "green",
    "revalidated": "green",
    "would build": "yellow",
    "would revalidate": "yellow",
    "blocked": "red",
}
VIRTUAL_STYLE = "magenta"
_UNBOUNDED = 10_000
VIRTUAL_NOTICE = "* virtual: emulated on this machine; these are not a Jetson's times."


@dataclass(frozen=True)
class _Column:
    """A column of the engine table; `rank` says what goes first where the terminal is narrow (0 stays always)."""

    title: str
    cell: Callable[[str, Mapping[str, Any], Mapping[str, Any]], Text]
    rank: int
    right: bool = False


def recap(result: Mapping[str, Any], directory: str | None = None) -> RenderableType:
    """Everything that the console shows after a run.

    Args:
        result: what result.json holds.
        directory: the run's folder, named in the last lines; None leaves them out.
    """
    parts: list[RenderableType] = [Rule("recap", style="dim", align="left"), _Hosts(result)]
    if text.engines(result):
        parts += [Text(), _Engines(result)]
        if any(entry["virtual"] and engine.get("latency_ms") for _, entry, engine in text.engines(result)):
            parts.append(Text(VIRTUAL_NOTICE, style=VIRTUAL_STYLE))
        parts += _reasons(result)
    parts += _errors(result)
    parts += [Text(), _totals(result)]
    if directory:
        parts += [
            Text.assemble(("report  ", "dim"), f"{directory}/report.html", overflow="fold"),
            Text.assemble(("result  ", "dim"), f"{directory}/result.json", overflow="fold"),
        ]
    return Group(*parts)


class _Hosts:
    """One line per device, as `ansible-playbook` ends with."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self._result = result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        hosts = self._result["hosts"]
        shown = ["ok", "changed", "unreachable", "failed", "skipped"]
        if any(entry["tasks"]["ignored"] for entry in hosts.values()):
            shown.append("ignored")
        width = max(map(len, hosts), default=0)
        digits = max((len(str(count)) for entry in hosts.values() for count in entry["tasks"].values()), default=1)
        for host, entry in hosts.items():
            counts = dict(entry["tasks"])
            if entry["status"] in ("failed", "unreachable"):  # also where no task was there to be counted
                counts[entry["status"]] = max(1, counts[entry["status"]])
            line = Text.assemble((host.ljust(width), STATUS_STYLES[entry["status"]]), (" :", "dim"))
            for name in shown:
                cell = f" {name}={counts[name]}".ljust(len(name) + digits + 2)
                line.append(cell, STATUS_STYLES[name] if counts[name] else "dim")
            if entry["virtual"]:
                line.append(" virtual", VIRTUAL_STYLE)
            yield line


class _Engines:
    """The table of engines; it drops its least important columns until it fits."""

    def __init__(self, result: Mapping[str, Any]) -> None:
        self._rows = text.engines(result)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = list(_COLUMNS)
        while True:
            table = self._table(columns)
            least = max(columns, key=lambda column: column.rank)
            natural = console.measure(table, options=options.update(max_width=_UNBOUNDED)).maximum
            if natural <= options.max_width or least.rank == 0:
                break
            columns.remove(least)
        yield table

    def _table(self, columns: list[_Column]) -> Table:
        table = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False, collapse_padding=True)
        for column in columns:
            table.add_column(
                column.title, justify="right" if column.right else "left", no_wrap=True, overflow="ellipsis"
            )
        for host, entry, engine in self._rows:
            table.add_row(*(column.cell(host, entry, engine) for column in columns))
        return table


def _device(host: str, entry: Mapping[str, Any], engine: Mapping[str, Any]) -> Text:
    return Text(host)


def _kind(host: str, entry: Mapping[str, Any], engine: Mapping[str, Any]) -> Text:
    return Text("virtual", style=VIRTUAL_STYLE) if entry["virtual"] else Text("device")


def _styled(word: str) -> Text:
    return Text(word, style=STATUS_STYLES.get(word, "dim"))


def _verdict(host: str, entry: Mapping[str, Any], engine: Mapping[str, Any]) -> Text:
    return _styled(text.verdict_word(engine))


def _measured(value: Callable[[Mapping[str, Any]], str]) -> Callable[..., Text]:
    """A cell with a measured time; a virtual device's is marked, so that it is never read as a Jetson's."""

    def cell(host: str, entry: Mapping[str, Any], engine: Mapping[str, Any]) -> Text:
        shown = value(engine)
        if shown == text.UNKNOWN:
            return Text(shown, style="dim")
        return Text(f"{shown}*", style=VIRTUAL_STYLE) if entry["virtual"] else Text(shown)

    return cell


def _latency(name: str) -> Callable[..., Text]:
    return _measured(lambda engine: text.significant((engine.get("latency_ms") or {}).get(name)))


_COLUMNS = (
    _Column("device", _device, 0),
    _Column("kind", _kind, 2),
    _Column("engine", lambda h, e, engine: Text(text.engine_name(engine)), 0),
    _Column("precision", lambda h, e, engine: Text(engine["precision"] or text.UNKNOWN), 0),
    _Column("opset", lambda h, e, engine: Text(str(engine["opset"] or text.UNKNOWN)), 4, right=True),
    _Column("action", lambda h, e, engine: _styled(engine["action"]), 0),
    _Column("verdict", _verdict, 0),
    _Column("p50 ms", _latency("p50"), 0, right=True),
    _Column("p99 ms", _latency("p99"), 3, right=True),
    _Column("throughput", _measured(lambda engine: text.per_second(engine.get("throughput_per_s"))), 1, right=True),
)


def _reasons(result: Mapping[str, Any]) -> list[RenderableType]:
    """Why each engine was built, reused or blocked; devices with the same reason share a line."""
    everywhere = list(dict.fromkeys(host for host, _, _ in text.engines(result)))
    groups: dict[tuple[str, str], list[str]] = {}
    for host, _, engine in text.engines(result):
        if engine["reason"]:
            hosts = groups.setdefault((engine["action"], engine["reason"]), [])
            if host not in hosts:
                hosts.append(host)
    lines: list[RenderableType] = [Text()] if groups else []
    for (action, reason), hosts in groups.items():
        where = f"all {len(hosts)} devices" if hosts == everywhere and len(hosts) > 1 else text.names(hosts)
        lines.append(Text.assemble((f"{action}: ", STATUS_STYLES[action]), reason, (f"  ({where})", "dim")))
    return lines


def _errors(result: Mapping[str, Any]) -> list[RenderableType]:
    lines: list[RenderableType] = []
    for hosts, error in text.grouped_errors(result):
        first, *rest = text.error_lines(error, text.names(hosts))
        lines += [Text(), Text(first, style="bold red", overflow="fold")]
        lines += [Text(line, overflow="fold") for line in rest]
    return lines


def _totals(result: Mapping[str, Any]) -> Text:
    summary = result["summary"]
    line = Text()
    counts = [(name, count) for name, count in summary["hosts"].items() if count]
    for name, count in counts:
        line.append(f"{', ' if line else ''}{count} {name}", STATUS_STYLES[name])
    if summary["virtual"]:
        line.append(f" ({summary['virtual']} virtual)", VIRTUAL_STYLE)
    engines = [f"{count} {action}" for action, count in summary["engines"].items() if count]
    if engines:
        line.append(f"; engines: {', '.join(engines)}")
    if engines or summary["bytes_pushed"]:
        line.append(f"; {text.size(summary['bytes_pushed'])} pushed")
    line.append(f"; {text.duration(result['duration_s'])}")
    return line
