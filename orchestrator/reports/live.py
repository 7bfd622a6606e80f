"""The live view of a run: one line per device, redrawn in place while things happen."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from orchestrator.reports.recap import STATUS_STYLES, VIRTUAL_STYLE
from orchestrator.reports.result import CONTROLLER, HOST_STATUSES
from orchestrator.reports.text import clock

REFRESH_PER_S = 6
WORKING = "working"
"""The state of a device while a task runs that names no better one."""
_WIDE = 96


@dataclass
class Row:
    """One line: a device or the controller."""

    name: str
    virtual: bool = False
    state: str = "waiting"
    detail: str = ""
    fraction: float | None = None
    started: float | None = None
    finished: float | None = None

    def elapsed(self, now: float) -> float | None:
        if self.started is None:
            return None
        return (self.finished or now) - self.started


class LiveView:
    """Rows that callers change and a background thread draws; safe to use from any thread.

    A terminal too low for all devices shows those at work first and counts the others.
    """

    def __init__(self, console: Console) -> None:
        self._rows: dict[str, Row] = {}
        self._lock = threading.Lock()
        self._started = time.time()
        self._spinner = Spinner("line" if console.options.ascii_only else "dots", style="cyan")
        self._live = Live(
            get_renderable=lambda: self,
            console=console,
            refresh_per_second=REFRESH_PER_S,
            transient=True,
            vertical_overflow="crop",
        )
        self._running = False

    def start(self, hosts: Sequence[str], virtual: Sequence[str], now: float) -> None:
        with self._lock:
            self._rows = {host: Row(host, host in virtual) for host in hosts}
            self._started = now
        if not self._running:
            self._running = True
            self._live.start()

    def stop(self) -> None:
        """Take the view off the screen; harmless when it is not there."""
        if self._running:
            self._running = False
            self._live.stop()

    def state(self, host: str, state: str, detail: str, fraction: float | None, now: float) -> None:
        with self._lock:
            row = self._row(host)
            row.state, row.detail, row.fraction = state, detail, fraction
            row.started = now if row.started is None else row.started
            row.finished = now if state in HOST_STATUSES else None

    def task(self, host: str, task: str, now: float) -> None:
        with self._lock:
            row = self._row(host)
            row.state, row.detail, row.fraction = WORKING, task, None
            row.started = now if row.started is None else row.started

    def virtual(self, host: str) -> None:
        with self._lock:
            self._row(host).virtual = True

    def _row(self, host: str) -> Row:
        if host == CONTROLLER and host not in self._rows:  # above the devices, and only where it has work
            self._rows = {CONTROLLER: Row(CONTROLLER), **self._rows}
        return self._rows.setdefault(host, Row(host))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now = time.time()
        with self._lock:
            rows = [Row(**vars(row)) for row in self._rows.values()]
        room = max(3, console.height - 3)
        shown = rows if len(rows) <= room else sorted(rows, key=_urgency)[:room]
        wide = options.max_width >= _WIDE
        yield self._table(shown, now, wide, any(row.virtual for row in rows))
        yield _footer(rows, len(rows) - len(shown), now - self._started)

    def _table(self, rows: Sequence[Row], now: float, wide: bool, mark_virtual: bool) -> Table:
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(width=1)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=32 if wide else 20)
        if mark_virtual:
            table.add_column(no_wrap=True, width=7)
        table.add_column(no_wrap=True, overflow="ellipsis", min_width=15, max_width=24 if wide else 16)
        table.add_column(width=24 if wide else 10)
        table.add_column(no_wrap=True, justify="right", width=5)
        table.add_column(no_wrap=True, justify="right", width=7)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row in rows:
            style = STATUS_STYLES.get(row.state, "dim" if row.state == "waiting" else "")
            busy = row.state not in HOST_STATUSES and row.state != "waiting"
            elapsed = row.elapsed(now)
            fraction = None if row.fraction is None or not busy else min(1.0, max(0.0, row.fraction))
            cells = [
                self._spinner if busy else Text("-" if row.state == "waiting" else "*", style=style),
                Text(row.name, style="bold" if row.name == CONTROLLER else ""),
                *([Text("virtual" if row.virtual else "", style=VIRTUAL_STYLE)] if mark_virtual else []),
                Text(row.state, style=style),
                ProgressBar(1.0, fraction, complete_style="cyan", finished_style="cyan", style="bright_black")
                if fraction is not None
                else Text(),
                Text(f"{100 * fraction:.0f} %" if fraction is not None else ""),
                Text(clock(elapsed) if elapsed is not None else "", style="dim"),
                Text(row.detail, style="dim"),
            ]
            table.add_row(*cells)
        return table


def _urgency(row: Row) -> int:
    """Sort key: at work, then in trouble, then waiting, then done."""
    if row.state in ("failed", "unreachable"):
        return 1
    if row.state == "waiting":
        return 2
    return 3 if row.state in HOST_STATUSES else 0


def _footer(rows: Sequence[Row], hidden: int, elapsed: float) -> Text:
    counts: Counter[str] = Counter()
    for row in rows:
        if row.name != CONTROLLER:
            counts[row.state if row.state in HOST_STATUSES or row.state == "waiting" else "at work"] += 1
    line = Text("  ")
    for name in ("at work", "waiting", *HOST_STATUSES):
        if counts[name]:
            line.append(f"{counts[name]} {name}  ", STATUS_STYLES.get(name, "dim"))
    if hidden:
        line.append(f"{hidden} not shown  ", "dim")
    line.append(clock(elapsed), "dim")
    return line
