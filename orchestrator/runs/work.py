"""One task on one host, from its loop and conditions to the result that is kept and shown."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import FleetError, UnreachableError
from orchestrator.events import Note, TaskFinished, TaskStarted
from orchestrator.language.expressions import condition, render
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Outcome
from orchestrator.runs.calls import Call, detached, failed, flag, holds, number, perform, prepare_call, unmet
from orchestrator.runs.flow import TaskFailedError
from orchestrator.runs.loops import Item, items_of
from orchestrator.runs.replies import failure
from orchestrator.runs.results import CENSORED, judged, kept, looped

if TYPE_CHECKING:
    from orchestrator.playbook.structure import Task
    from orchestrator.runs.host import HostRun


@dataclass
class Turn:
    """One execution of a task: the whole of it, or one item of its loop."""

    item: Item | None
    variables: dict[str, Any]
    outcome: Outcome | None = None
    call: Call | None = None


@dataclass
class Work:
    """A task that is being carried out on one host."""

    host: HostRun
    task: Task
    variables: dict[str, Any]
    turns: list[Turn] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    broken: Outcome | None = None
    """The task could not even be begun."""
    secret: bool = False

    def open(self) -> Work:
        """Evaluate the loop; whatever is wrong becomes the outcome."""
        task = self.task
        try:
            self.secret = flag(task.settings.no_log, self.variables, task)
            self.turns = self._turns()
        except FleetError as problem:
            self.broken = failed(problem)
        return self

    def announce(self) -> Work:
        self.started = time.monotonic()
        self.host.emit(TaskStarted(host=self.host.name, task=self.task.full_name))
        return self

    def _turns(self) -> list[Turn]:
        loop = self.task.loop
        if loop is None:
            return [Turn(None, self.variables)]
        try:
            items = items_of(self.task, loop, self.variables)
        except FleetError:
            # A condition that does not hold spares the loop, which may need what is not there.
            expression = self._unmet_without_item()
            if expression is None:
                raise
            self.broken = unmet(expression)
            return []
        return [Turn(item, {**self.variables, **item.variables}) for item in items]

    def _unmet_without_item(self) -> Any:
        for expression in self.task.settings.when:
            try:
                if not condition(expression, self.variables, self.task.location):
                    return expression
            except FleetError:
                return None
        return None

    def prepare(self, turn: Turn) -> None:
        """Evaluate one turn's condition and arguments, to a call or to an outcome."""
        try:
            expression = holds(self.task, turn.variables)
            if expression is not None:
                turn.outcome = unmet(expression)
                return
            turn.call = prepare_call(self.task, self._context(turn.variables))
        except UnreachableError:
            raise
        except FleetError as problem:
            turn.outcome = failed(problem)

    def _context(self, variables: dict[str, Any]) -> TaskContext:
        said, run = self.task.settings, self.host.run
        return TaskContext(
            run=run,
            state_of_host=self.host.context,
            task=self.task,
            variables=variables,
            check=flag(said.check_mode, variables, self.task, run.options.check),
            become=flag(said.become, variables, self.task),
            target=self.host.delegate(said.delegate_to, variables, self.task),
        )

    def run(self) -> None:
        """Do all turns, one after the other.

        Raises:
            UnreachableError: there is no connection any more. Stopped: the run was interrupted.
        """
        loop = self.task.loop
        for i, turn in enumerate(self.turns):
            if i and loop and loop.pause_s:
                self.host.pause(number(loop.pause_s, turn.variables, self.task, "pause"))
            before = dict(self.host.context.kept)
            self.prepare(turn)
            if turn.call is not None:
                turn.outcome = self._attempts(turn, turn.call)
            self._pass_on(before, self.turns[i + 1 :])
            if loop and loop.break_when and self._breaks(turn):
                del self.turns[i + 1 :]
                break

    def _pass_on(self, before: Mapping[str, Any], later: Sequence[Turn]) -> None:
        """Variables that a turn set (set_fact collecting items, say) are known to the turns after it."""
        kept_now = self.host.context.kept
        fresh = {name: value for name, value in kept_now.items() if name not in before or before[name] is not value}
        for turn in later if fresh else ():
            own = turn.item.variables if turn.item else {}
            turn.variables.update({name: value for name, value in fresh.items() if name not in own})

    def _breaks(self, turn: Turn) -> bool:
        assert turn.outcome and self.task.loop
        seen = {**turn.variables, **({self.task.register: kept(turn.outcome)} if self.task.register else {})}
        return all(condition(c, seen, self.task.location) for c in self.task.loop.break_when)

    def _attempts(self, turn: Turn, call: Call) -> Outcome:
        task = self.task
        outcome = self._once(turn, call)
        if not task.until and task.retries is None:
            return outcome
        tries = int(number(3 if task.retries is None else task.retries, turn.variables, task, "retries"))
        delay_s = number(task.delay_s, turn.variables, task, "delay")
        for attempt in range(1, tries + 2):
            outcome.data["attempts"] = attempt
            try:
                if outcome.skipped is not None or self._enough(turn, outcome):
                    return outcome
            except FleetError as problem:
                return failed(problem)
            if attempt > tries:
                break
            left = tries + 1 - attempt
            self.host.emit(Note(host=self.host.name, level="info", text=f"{task.name}: trying again, {left} left"))
            self.host.pause(delay_s)
            outcome = self._once(turn, call)
        outcome.failed = True
        outcome.data["attempts"] = tries
        return outcome

    def _enough(self, turn: Turn, outcome: Outcome) -> bool:
        if not self.task.until:
            return not outcome.failed
        seen = {**turn.variables, **({self.task.register: kept(outcome)} if self.task.register else {})}
        return all(condition(c, seen, self.task.location) for c in self.task.until)

    def _once(self, turn: Turn, call: Call) -> Outcome:
        task = self.task
        async_s = number(task.async_s or 0, turn.variables, task, "async")
        if async_s and task.module.action is not None:
            poll_s = number(task.poll_s, turn.variables, task, "poll")
            outcome = detached(call, async_s, poll_s, self.host.pause)
        else:
            outcome = perform(call)
        return judged(task, outcome, turn.variables)

    @property
    def outcome(self) -> Outcome:
        """What came of the whole task."""
        if self.broken is not None:
            return self.broken
        if self.task.loop is None:
            outcome = self.turns[0].outcome
            assert outcome is not None
            return outcome
        outcomes = []
        for turn in self.turns:
            assert turn.outcome is not None and turn.item is not None
            turn.outcome.data.update(turn.item.marks(self.task.loop))
            outcomes.append(turn.outcome)
        return looped(outcomes)

    def finish(self) -> Outcome:
        """Keep, show and pass on the outcome.

        Raises:
            TaskFailedError: it failed, and the task does not say to ignore that.
        """
        outcome = self.outcome
        task = self.task
        result = kept(outcome)
        if self.secret:
            result = {"censored": CENSORED, "changed": outcome.changed, "failed": outcome.failed}
        try:
            ignored = outcome.failed and flag(task.settings.ignore_errors, self.variables, task)
            if outcome.changed and not outcome.failed:
                self.host.notify(task, self.variables)
        except FleetError as problem:
            outcome, ignored = failed(problem), False
        self.host.keep(task, kept(outcome) if self.secret else result, outcome)
        if not outcome.failed:
            self._show("skipped" if outcome.skipped is not None else "changed" if outcome.changed else "ok", outcome)
            return outcome
        error = outcome.error or failure(outcome, task.module.name)
        self._show("ignored" if ignored else "failed", outcome, error.what)
        if ignored:
            return outcome
        raise TaskFailedError(error, task, result)

    def unreachable(self, problem: UnreachableError) -> None:
        """Keep and show that the device could not be reached; raises it again unless that is to be ignored."""
        task = self.task
        self._show("unreachable", Outcome(), problem.what)
        data = {"unreachable": True, "msg": problem.what, "changed": False}
        if not flag(task.settings.ignore_unreachable, self.variables, task):
            raise problem
        self.host.keep(task, data, Outcome(data=data))

    def _show(self, status: str, outcome: Outcome, message: str = "") -> None:
        options = self.host.run.options
        task = self.task
        shown = flag(task.settings.diff, self.variables, task, True) and not self.secret
        text = message or (outcome.skipped if status == "skipped" else outcome.message) or ""
        self.host.emit(
            TaskFinished(
                host=self.host.name,
                task=task.full_name,
                module=task.module.name,
                status=status,
                duration_s=time.monotonic() - self.started,
                message="censored: no_log" if self.secret else text,
                diff=outcome.diff if shown and (options.diff or options.verbosity or options.check) else None,
            )
        )
        if task.loop is not None and not self.secret:
            self._show_items()

    def _show_items(self) -> None:
        loop = self.task.loop
        assert loop is not None
        for turn in self.turns:
            outcome = turn.outcome
            if outcome is None or turn.item is None:
                continue
            try:
                label = render(loop.label, turn.variables, self.task.location) if loop.label else turn.item.value
            except FleetError:
                label = turn.item.value
            status = "failed" if outcome.failed else "skipped" if outcome.skipped else "ok"
            status = "changed" if status == "ok" and outcome.changed else status
            said = outcome.data.get("msg") if outcome.failed else None
            text = f"{self.task.name}: {label}: {status}" + (f": {said}" if said else "")
            self.host.emit(Note(host=self.host.name, level="info" if outcome.failed else "debug", text=text))
