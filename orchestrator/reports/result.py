"""The result of a run, collected from its events into the dictionary that result.json holds."""

from __future__ import annotations

import json
import math
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orchestrator
from orchestrator import events

FORMAT = 1
CONTROLLER = "controller"
HOST_STATUSES = ("ok", "failed", "unreachable", "skipped")
ENGINE_ACTIONS = ("built", "reused", "revalidated", "blocked", "failed")

# As Ansible counts: what changed is also ok, and so is a failure that the playbook ignores.
_COUNTED_AS = {
    "ok": ("ok",),
    "changed": ("ok", "changed"),
    "failed": ("failed",),
    "skipped": ("skipped",),
    "ignored": ("ok", "ignored"),
    "unreachable": ("unreachable",),
}
_TASK_COUNTS = ("ok", "changed", "unreachable", "failed", "skipped", "ignored")


class _Host:
    """What is known of one device so far."""

    def __init__(self, virtual: bool) -> None:
        self.virtual = virtual
        self.status: str | None = None
        self.error: dict[str, Any] | None = None
        self.facts: dict[str, Any] = {}
        self.tasks: Counter[str] = Counter()
        self.steps: list[dict[str, Any]] = []
        self.phases: list[dict[str, Any]] = []
        self.engines: list[dict[str, Any]] = []
        self.bytes_pushed = 0
        self.first: float | None = None
        self.last: float | None = None
        self._phase_since = 0.0

    def seen(self, time: float) -> None:
        self.first = time if self.first is None else self.first
        self.last = time

    def enter(self, state: str, time: float) -> None:
        if self.phases and self.phases[-1]["state"] == state:
            return
        self.leave(time)
        self.phases.append({"state": state, "duration_s": 0.0})
        self._phase_since = time

    def leave(self, time: float) -> None:
        if self.phases:
            self.phases[-1]["duration_s"] = round(max(0.0, time - self._phase_since), 3)

    def finish(self, status: str, error: Mapping[str, Any] | None, time: float) -> None:
        self.leave(time)
        if self.phases and self.phases[-1]["state"] in HOST_STATUSES:
            self.phases.pop()
        self.status = status
        self.error = _error(error) if error else None
        if status in ("failed", "unreachable") and self.error is None:
            self.error = self._from_last_failure(status)

    def _from_last_failure(self, status: str) -> dict[str, Any]:
        for step in reversed(self.steps):
            if step["status"] in ("failed", "unreachable"):
                return _error({"what": f"task failed: {step['task']}", "why": step["message"]})
        return _error({"what": f"the device is {status}", "why": "no cause was recorded"})

    def to_json(self) -> dict[str, Any]:
        return {
            "status": self.status or "skipped",
            "virtual": self.virtual,
            "facts": self.facts,
            "tasks": {name: self.tasks[name] for name in _TASK_COUNTS},
            "engines": self.engines,
            "bytes_pushed": self.bytes_pushed,
            "duration_s": round(self.last - self.first, 3) if self.first is not None and self.last is not None else 0.0,
            "steps": self.steps,
            "phases": self.phases,
            "error": self.error,
        }


class ResultCollector:
    """A listener that gathers a run's events; `result()` gives what result.json holds, at any time.

    Feed it the events of a journal to get the result of an earlier run.
    """

    def __init__(self) -> None:
        self._run = ""
        self._command = ""
        self._directory = ""
        self._started: float | None = None
        self._latest = 0.0
        self._plays: list[str] = []
        self._notes: list[dict[str, Any]] = []
        self._hosts: dict[str, _Host] = {}

    def __call__(self, event: events.Event) -> None:
        self._latest = max(self._latest, event.time)
        host = getattr(event, "host", None)
        if host and host != CONTROLLER:
            self._host(host).seen(event.time)
        if isinstance(event, events.RunStarted):
            self._run, self._command, self._started = event.run, event.command, event.time
            self._directory = event.directory
            for name in event.hosts:
                self._hosts.setdefault(name, _Host(name in event.virtual))
        elif isinstance(event, events.PlayStarted):
            self._plays.append(event.play)
        elif isinstance(event, events.Note):
            if event.level != "debug":
                self._notes.append({"host": event.host, "level": event.level, "text": event.text})
        elif host and host != CONTROLLER:
            self._of_host(self._host(host), event)

    def _of_host(self, host: _Host, event: events.Event) -> None:
        if isinstance(event, events.HostState):
            host.enter(event.state, event.time)
        elif isinstance(event, events.FactsGathered):
            host.facts = plain({name: value for name, value in event.facts.items() if name != "virtual"})
            host.virtual = host.virtual or bool(event.facts.get("virtual"))
        elif isinstance(event, events.BytesPushed):
            host.bytes_pushed += event.size_bytes
        elif isinstance(event, events.TaskFinished):
            host.tasks.update(_COUNTED_AS[event.status])
            step = asdict(event)
            host.steps.append(
                {name: step[name] for name in ("task", "module", "status", "message")}
                | {"duration_s": round(event.duration_s, 3)}
            )
        elif isinstance(event, events.EngineFinished):
            engine = plain(event.engine)
            for name in ("artifact", "passport"):
                if engine.get(name):
                    engine[name] = self._relative(engine[name])
            host.engines.append(engine)
        elif isinstance(event, events.HostFinished):
            host.finish(event.status, event.error, event.time)

    def _relative(self, path: str) -> str:
        """A path below the run's folder relative to it, so that a run can be moved and its page's links hold."""
        try:
            return Path(path).absolute().relative_to(Path(self._directory).absolute()).as_posix()
        except ValueError:
            return path

    def _host(self, name: str) -> _Host:
        return self._hosts.setdefault(name, _Host(virtual=False))

    def result(self, finished: float | None = None) -> dict[str, Any]:
        """The result so far, ready for `json.dumps` and valid under result.schema.json.

        A device that began and never finished counts as failed (the run was cut short); one that never began
        counts as skipped.

        Args:
            finished: seconds since the epoch; the time of the latest event where it is left out.
        """
        end = self._latest if finished is None else finished
        start = end if self._started is None else self._started
        for host in self._hosts.values():
            if host.status is None and host.first is not None:
                host.finish("failed", {"what": "not finished", "why": "the run ended before this device did"}, end)
        hosts = {name: host.to_json() for name, host in self._hosts.items()}
        return {
            "format": FORMAT,
            "run": self._run,
            "started": _iso(start),
            "finished": _iso(end),
            "duration_s": round(max(0.0, end - start), 3),
            "controller": {
                "version": orchestrator.__version__,
                "python": platform.python_version(),
                "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
                "command": self._command,
            },
            "plays": list(self._plays),
            "summary": summarize(hosts),
            "hosts": hosts,
            "notes": list(self._notes),
        }


def summarize(hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Counts over all hosts: devices by status, engines by action, bytes pushed."""
    statuses = Counter(host["status"] for host in hosts.values())
    actions = Counter(engine["action"] for host in hosts.values() for engine in host["engines"])
    return {
        "hosts": {status: statuses[status] for status in HOST_STATUSES},
        "engines": {action: actions[action] for action in ENGINE_ACTIONS},
        "virtual": sum(1 for host in hosts.values() if host["virtual"]),
        "bytes_pushed": sum(host["bytes_pushed"] for host in hosts.values()),
    }


def plain(value: Any) -> Any:
    """`value` as strict JSON: NaN and infinities become null, paths and unknown objects their text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return plain(value.tolist())
    return str(value)


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of result.json."""
    return json.loads(Path(__file__).with_name("result.schema.json").read_text(encoding="utf-8"))


def _error(error: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "what": str(error.get("what") or "unknown failure"),
        "why": str(error.get("why") or ""),
        "remedy": str(error.get("remedy") or ""),
        "log": str(error["log"]) if error.get("log") else None,
    }


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
