"""Runs plays over devices: one worker per device, none waiting for another."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ConfigurationError, FleetError, PlaybookError, UnreachableError
from orchestrator.events import HostFinished, HostState, PlayStarted, TaskFinished, TaskStarted
from orchestrator.inventory.settings import defaults
from orchestrator.playbook.context import HostContext, RunContext, TaskContext, gather
from orchestrator.playbook.expressions import condition, render, to_bool
from orchestrator.playbook.modules import Outcome, checked
from orchestrator.playbook.parse import Play, Task, selected
from orchestrator.runs.replies import failure, outcome_of

if TYPE_CHECKING:
    from orchestrator.devices.device import Device
    from orchestrator.inventory.inventory import Host, Inventory


class Runner:
    """Takes every device of an inventory through the plays that name it.

    Args:
        plays: what to run, in order.
        inventory: where hosts and variables come from.
        hosts: the devices of this run (the inventory after `--limit`).
        connect: makes a connected Device of a host, or raises an UnreachableError.
        extra: variables of the command line; they win over all others.
    """

    def __init__(
        self,
        plays: Sequence[Play],
        inventory: Inventory,
        hosts: Sequence[Host],
        run: RunContext,
        connect: Callable[[Host], Device],
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.plays = plays
        self.inventory = inventory
        self.hosts = hosts
        self.run = run
        self.connect = connect
        self.extra = dict(extra or {})
        self.misconfigured = False
        """A device failed by a mistake in the user's files, which the run met only after connecting."""
        self._stop = threading.Event()
        self._members = [{host.name for host in inventory.select(play.hosts)} for play in plays]

    def go(self) -> None:
        """Run everything. Returns when each device is done; an interrupt stops before each worker's next task.

        Raises:
            KeyboardInterrupt: passed on, after the workers were told to stop.
        """
        for play, members in zip(self.plays, self._members, strict=True):
            names = [host.name for host in self.hosts if host.name in members]
            self.run.events(PlayStarted(play=play.name, hosts=names))
        todo: queue.SimpleQueue[Host] = queue.SimpleQueue()
        for host in self.hosts:
            todo.put(host)
        # Daemon threads: a device that hangs in a system call must not keep an interrupted controller alive.
        workers = [
            threading.Thread(target=self._work, args=(todo,), name=f"worker-{i}", daemon=True)
            for i in range(min(self.run.options.forks, len(self.hosts)))
        ]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                while worker.is_alive():
                    worker.join(0.5)
        except KeyboardInterrupt:
            self._stop.set()
            raise

    def _work(self, todo: queue.SimpleQueue[Host]) -> None:
        while not self._stop.is_set():
            try:
                host = todo.get_nowait()
            except queue.Empty:
                return
            self._host(host)

    def _host(self, host: Host) -> None:
        context = HostContext(host, None)
        status, error = "ok", None
        plays = [play for play, members in zip(self.plays, self._members, strict=True) if host.name in members]
        try:
            if not plays:
                status = "skipped"
            for play in plays:
                self._play(play, context)
        except UnreachableError as problem:
            status, error = "unreachable", problem.on(host.name).to_json()
        except FleetError as problem:
            if isinstance(problem, ConfigurationError):
                self.misconfigured = True
            status, error = "failed", problem.on(host.name).to_json()
        except Exception as problem:  # a defect of ours: the other devices go on, and the report says where
            status, error = "failed", _defect(problem, self.run.directory / f"defect-{host.name}.log")
        finally:
            if context.device is not None:
                context.device.close()
        if not self._stop.is_set():
            self.run.events(HostState(host=host.name, state=status))
            self.run.events(HostFinished(host=host.name, status=status, error=error))

    def _play(self, play: Play, context: HostContext) -> None:
        name = context.host.name
        if context.device is None:
            self.run.events(HostState(host=name, state="connecting"))
            context.device = self.connect(context.host)
        if play.gather_facts:
            self.run.events(HostState(host=name, state="gathering facts"))
            gather(self.run, context)
        for task in selected(play.tasks, self.run.options.tags, self.run.options.skip_tags):
            if self._stop.is_set():
                return
            self._task(play, task, context)

    def _task(self, play: Play, task: Task, context: HostContext) -> None:
        name = context.host.name
        variables = self._variables(play, task, context)
        started = time.monotonic()

        def finished(status: str, message: str = "", diff: Any = None) -> None:
            self.run.events(
                TaskFinished(
                    host=name,
                    task=task.name,
                    module=task.module.name,
                    status=status,
                    duration_s=time.monotonic() - started,
                    message=message,
                    diff=diff,
                )
            )

        self.run.events(TaskStarted(host=name, task=task.name))
        ignore = False
        secret = False
        try:
            secret = to_bool(render(task.no_log, variables, task.location))
            ignore = to_bool(render(task.ignore_errors, variables, task.location))
            if not all(condition(expression, variables, task.location) for expression in task.when):
                self._register(task, context, Outcome(skipped="condition"), failed=False)
                finished("skipped", "condition does not hold")
                return
            become = task.become if task.become is not None else play.become
            working = TaskContext(
                run=self.run,
                state_of_host=context,
                task=task,
                variables=variables,
                check=self.run.options.check if task.check_mode is None else task.check_mode,
                become=to_bool(render(become, variables, task.location)),
            )
            args = self._args(task, variables)
            outcome = task.module.run(working, args) if task.module.run else self._on_device(working, args)
        except FleetError as problem:
            self._register(task, context, Outcome(data={"msg": problem.what}), failed=True)
            unreachable = isinstance(problem, UnreachableError)
            status = "unreachable" if unreachable else "ignored" if ignore else "failed"
            finished(status, "censored: no_log" if secret else problem.what)
            if ignore and not unreachable:
                return
            raise
        except Exception:
            finished("failed", "a defect of Fleet itself")
            raise
        self._register(task, context, outcome, failed=False)
        if secret:
            finished("changed" if outcome.changed else "ok", "censored: no_log")
        elif outcome.skipped:
            finished("skipped", outcome.skipped)
        else:
            finished("changed" if outcome.changed else "ok", outcome.message, outcome.diff)

    @staticmethod
    def _on_device(working: TaskContext, args: dict[str, Any]) -> Outcome:
        module = working.task.module
        assert module.action is not None and module.prepare is not None
        sent = {name: value for name, value in module.prepare(working, args).items() if value is not None}
        reply = working.device.call(
            module.action, sent, check=working.check, become=working.become, timeout_s=module.timeout_s
        )
        outcome = outcome_of(reply.changed, reply.data, reply.diff)
        if outcome.failed:
            raise failure(outcome, module.name)
        return outcome

    @staticmethod
    def _args(task: Task, variables: Mapping[str, Any]) -> dict[str, Any]:
        # Conditions of `assert` are expressions already, not templates.
        raw = {k: v if k in task.module.raw else render(v, variables, task.location) for k, v in task.args.items()}
        try:
            return checked(task.module, raw)
        except PlaybookError as problem:
            problem.location = problem.location or task.location
            raise

    @staticmethod
    def _register(task: Task, context: HostContext, outcome: Outcome, *, failed: bool) -> None:
        if task.register:
            context.kept[task.register] = {
                **outcome.data,
                "changed": outcome.changed,
                "failed": failed,
                "skipped": outcome.skipped is not None,
            }

    def _variables(self, play: Play, task: Task, context: HostContext) -> dict[str, Any]:
        """All variables of a task, in Ansible's order of precedence."""
        facts = context.facts or {}
        return {
            **defaults(),
            **context.host.variables,
            "ansible_facts": facts,
            "ansible_check_mode": self.run.options.check,
            "groups": {name: [host.name for host in self.inventory.select(name)] for name in self.inventory.groups},
            "inventory_hostname": context.host.name,
            **play.variables,
            **task.variables,
            **context.kept,
            **self.extra,
        }


def _defect(problem: Exception, log: Path) -> dict[str, Any]:
    import traceback

    log.write_text("".join(traceback.format_exception(problem)), encoding="utf-8")
    last = traceback.extract_tb(problem.__traceback__)[-1]
    return {
        "what": "a defect of Fleet itself stopped this device",
        "why": f"{type(problem).__name__}: {problem} ({last.filename.rsplit('/', 2)[-1]}:{last.lineno})",
        "remedy": "report it with the log below; the other devices were not touched by it",
        "log": str(log),
    }
