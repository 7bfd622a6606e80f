"""What a person sees of a run on the terminal: a live view or plain lines, and the recap."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from orchestrator import events
from orchestrator.reports import text
from orchestrator.reports.recap import STATUS_STYLES, VIRTUAL_STYLE, recap
from orchestrator.reports.result import HOST_STATUSES

if TYPE_CHECKING:
    from orchestrator.reports.live import LiveView

_NOTE_STYLES = {"warning": "yellow", "debug": "dim", "info": ""}
_BAD = ("failed", "unreachable")
# What plain output says of a long state, so that a log shows life without a line per per cent.
_QUARTER = 0.25


class ConsoleReport:
    """A listener that prints; a context manager, so that an interrupted run leaves the terminal as it was.

    Args:
        stream: where to print, standard output by default.
        live: redraw one line per device where that can be: on a terminal, unless NO_COLOR is set or TERM is dumb.
        verbosity: 0 shows what matters; 1 adds every task, debug notes and diffs.
        diffs: show diffs in any case, with the task that each belongs to.
        directory: the run's folder as the user would type it; what RunStarted says where None.
        width: columns; the terminal's where None.
    """

    def __init__(
        self,
        stream: IO[str] | None = None,
        *,
        live: bool = True,
        verbosity: int = 0,
        diffs: bool = False,
        directory: str | None = None,
        width: int | None = None,
    ) -> None:
        stream = stream or sys.stdout
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:  # a device's text must not end a run because the terminal lacks a character
            reconfigure(errors="replace")
        self.console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
        live = live and self.console.is_terminal and not self.console.is_dumb_terminal
        live = live and not os.environ.get("NO_COLOR")
        self.verbosity = verbosity
        self.diffs = diffs or verbosity > 0
        self._view: LiveView | None = None
        if live:
            from orchestrator.reports.live import LiveView

            self._view = LiveView(self.console)
        self._directory = directory
        self._started = 0.0
        self._name_width = 10
        self._virtual: set[str] = set()
        self._last: dict[str, tuple[str, int]] = {}
        """Per device the state and the quarter of its progress that plain output printed last."""
        self._said: dict[str, str] = {}
        """Per device the last message of a task."""

    def __enter__(self) -> ConsoleReport:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Take the live view off the screen. Safe to call twice."""
        if self._view:
            self._view.stop()

    def __call__(self, event: events.Event) -> None:
        handle = _HANDLERS.get(type(event))
        if handle:
            handle(self, event)

    def _run_started(self, event: events.RunStarted) -> None:
        self._directory = self._directory or event.directory
        self._started = event.time
        self._virtual = set(event.virtual)
        self._name_width = min(24, max([10, *map(len, event.hosts)]))
        line = Text.assemble((event.command, "bold"), "  ", text.plural(len(event.hosts), "device"))
        if self._virtual:
            line.append(f" ({len(self._virtual)} virtual)", VIRTUAL_STYLE)
        line.append(f"  run {event.run}", "dim")
        self.console.print(line, soft_wrap=True)
        if self._view:
            self._view.start(event.hosts, event.virtual, event.time)

    def _play_started(self, event: events.PlayStarted) -> None:
        self.console.print(Rule(f"play: {event.play}", style="dim", align="left"))

    def _host_state(self, event: events.HostState) -> None:
        if self._view:
            self._view.state(event.host, event.state, event.detail, event.fraction, event.time)
            return
        if event.state in HOST_STATUSES:  # HostFinished says it, with the reason
            return
        quarter = int((event.fraction or 0.0) / _QUARTER)
        if self._last.get(event.host) == (event.state, quarter):
            return
        self._last[event.host] = (event.state, quarter)
        progress = f" {100 * event.fraction:.0f} %" if event.fraction else ""
        self._line(event, event.host, f"{event.state}{progress}", event.detail, STATUS_STYLES.get(event.state, ""))

    def _facts_gathered(self, event: events.FactsGathered) -> None:
        if event.facts.get("virtual"):
            self._virtual.add(event.host)
            if self._view:
                self._view.virtual(event.host)
        if self.verbosity:
            known = [str(event.facts[name]) for name in ("module", "jetpack", "tensorrt") if event.facts.get(name)]
            self._line(event, event.host, "facts", ", ".join(known))

    def _task_started(self, event: events.TaskStarted) -> None:
        if self._view:
            self._view.task(event.host, event.task, event.time)
        elif self.verbosity:
            self._line(event, event.host, "task", event.task)

    def _task_finished(self, event: events.TaskFinished) -> None:
        if event.status == "skipped" and not self.verbosity:
            return  # the recap counts them
        shown = self.diffs and bool(event.diff)
        if not self._view or self.verbosity or shown or event.status in _BAD:
            message = f"{event.task} ({text.duration(event.duration_s)})"
            if event.message:
                message += f": {event.message}"
                self._said[event.host] = event.message
            self._line(event, event.host, event.status, message, STATUS_STYLES[event.status])
        if shown:
            for line in diff_lines(event.diff):
                style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "dim")
                self.console.print(Text(f"    {line}", style=style), soft_wrap=True)

    def _engine_finished(self, event: events.EngineFinished) -> None:
        if self._view and not self.verbosity:
            return
        engine = event.engine
        parts = [f"{text.engine_name(engine)} {engine.get('precision') or ''}".rstrip()]
        if engine.get("reason"):
            parts.append(engine["reason"])
        if engine.get("verdict"):
            parts.append(f"verdict {text.verdict_word(engine)}")
        if engine.get("latency_ms"):
            kind = " (virtual, not a Jetson's time)" if event.host in self._virtual else ""
            parts.append(f"p50 {text.milliseconds(engine['latency_ms'].get('p50'))}{kind}")
        self._line(event, event.host, engine["action"], ", ".join(parts), STATUS_STYLES[engine["action"]])

    def _note(self, event: events.Note) -> None:
        if event.level != "debug" or self.verbosity:
            level = "warning" if event.level == "warning" else "note"
            self._line(event, event.host or "", level, event.text, _NOTE_STYLES[event.level])

    def _host_finished(self, event: events.HostFinished) -> None:
        detail = (event.error or {}).get("what") or ""
        if self._view:
            self._view.state(event.host, event.status, detail, None, event.time)
            if event.status not in _BAD:
                return
        if detail and detail in self._said.get(event.host, ""):
            detail = ""  # the task that failed has just said it
        self._line(event, event.host, event.status, detail, STATUS_STYLES[event.status])

    def _run_finished(self, event: events.RunFinished) -> None:
        self.close()
        self.recap(event.result, self._directory)

    def recap(self, result: Mapping[str, Any], directory: str | None = None) -> None:
        """Print the recap of a result, of this run or of an earlier one."""
        self.console.print(recap(result, directory))

    def _line(self, event: events.Event, host: str, word: str, detail: str, style: str = "") -> None:
        since = text.clock(event.time - self._started) if self._started else ""
        line = Text.assemble((f"{since:>6}  ", "dim"), f"{host:<{self._name_width}}  ", (f"{word:<11}", style))
        if detail:
            line.append(f"  {detail}")
        line.rstrip()
        self.console.print(line, soft_wrap=True)


_HANDLERS: dict[type, Any] = {
    events.RunStarted: ConsoleReport._run_started,
    events.PlayStarted: ConsoleReport._play_started,
    events.HostState: ConsoleReport._host_state,
    events.FactsGathered: ConsoleReport._facts_gathered,
    events.TaskStarted: ConsoleReport._task_started,
    events.TaskFinished: ConsoleReport._task_finished,
    events.EngineFinished: ConsoleReport._engine_finished,
    events.Note: ConsoleReport._note,
    events.HostFinished: ConsoleReport._host_finished,
    events.RunFinished: ConsoleReport._run_finished,
}


def diff_lines(diff: Any) -> list[str]:
    """A diff as lines that begin with `+`, `-`, `@` or a blank.

    Args:
        diff: text that is shown as it is, a (before, after) pair, or a mapping with `before` and `after`.
    """
    if isinstance(diff, Mapping):
        diff = (diff.get("before"), diff.get("after"))
    if isinstance(diff, (list, tuple)) and len(diff) == 2:
        before, after = ("" if part is None else str(part) for part in diff)
        return list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]
    return str(diff).splitlines()
