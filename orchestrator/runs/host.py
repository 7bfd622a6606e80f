"""Takes one host through plays: blocks, includes, handlers, task by task or several at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from orchestrator.errors import FleetError, UnreachableError
from orchestrator.events import Event, HandlersDue, HostState, Note, TaskFinished, TaskStarted
from orchestrator.language.expressions import is_omitted, render, to_bool
from orchestrator.playbook.context import HostContext, RunContext, fact_name, gather
from orchestrator.playbook.modules import Outcome
from orchestrator.playbook.reader import Reader
from orchestrator.playbook.selection import chosen, named
from orchestrator.playbook.structure import Block, Node, Role, Task, walk
from orchestrator.runs.batch import Batch, can_join
from orchestrator.runs.calls import flag, holds
from orchestrator.runs.flow import EndOfPlay, Stopped, TaskFailedError
from orchestrator.runs.handlers import Handlers
from orchestrator.runs.links import Links
from orchestrator.runs.work import Work

if TYPE_CHECKING:
    import threading

    from orchestrator.devices.device import Device
    from orchestrator.runs.lockstep import Key, Lockstep
    from orchestrator.runs.variables import Variables, Wave


@dataclass
class HostRun:
    """One host of a run."""

    run: RunContext
    context: HostContext
    all_variables: Variables
    links: Links
    stop: threading.Event
    extra: Mapping[str, Any]
    owed: list[str] = field(default_factory=list)
    """Names of handlers that an earlier run did not get to."""
    error: FleetError | None = None
    status: str = "skipped"
    """ok, failed, unreachable, or skipped where no play was for this host."""
    handlers: Handlers = field(init=False)

    def __post_init__(self) -> None:
        self._start_at = self.run.options.start_at
        self._layers: list[Mapping[str, Any]] = []
        self._exposed: list[Role] = []
        self._ran: dict[str, Role] = {}
        self._wave: Wave | None = None
        self._step: Lockstep | None = None
        self._shown_due: list[str] = []
        self._last_kept: tuple[dict[str, Any], Outcome] | None = None
        self.handlers = Handlers([], self._name_of)

    @property
    def name(self) -> str:
        return self.context.host.name

    @property
    def alive(self) -> bool:
        return self.error is None

    @property
    def device(self) -> Device:
        assert self.context.device is not None
        return self.context.device

    def emit(self, event: Event) -> None:
        self.run.events(event)

    def pause(self, seconds: float) -> None:
        """Wait, unless the run is interrupted. Raises Stopped then."""
        if self.stop.wait(seconds):
            raise Stopped

    # One play

    def play(self, wave: Wave, step: Lockstep | None) -> None:
        """Do a play.

        Raises:
            TaskFailedError, UnreachableError, Stopped: how it ended for this host.
        """
        play = wave.play
        self._wave, self._step = wave, step
        self._layers, self._exposed, self._ran = [], [], {}
        self.all_variables.enter(self.name, wave)
        self.handlers = Handlers(play.handlers, self._name_of)
        self.owed = self.handlers.remember(self.owed)
        self._show_due()
        self.context.device = self.links.of_play(self.context, play, self.variables(None))
        self._gather(wave)
        try:
            self._nodes(play.nodes, ())
        except EndOfPlay:
            pass
        except TaskFailedError:
            if flag(play.force_handlers, self.variables(None), _nameless(play.nodes)):
                self._flush((len(play.nodes),))
            raise
        finally:
            self._show_due()

    def _gather(self, wave: Wave) -> None:
        play, options = wave.play, self.run.options
        wanted = to_bool(render(play.gather_facts, self.variables(None), play.location))
        if not wanted or not chosen(play.tags or frozenset({"always"}), options.tags, options.skip_tags):
            return
        self.emit(HostState(host=self.name, state="gathering facts"))
        self.emit(TaskStarted(host=self.name, task="Gathering Facts"))
        self.context.facts = None
        status, message = "ok", ""
        try:
            gather(self.run, self.context, ansible=True)
        except FleetError as problem:
            status = "unreachable" if isinstance(problem, UnreachableError) else "failed"
            message = problem.what
            raise
        finally:
            event = TaskFinished(
                host=self.name, task="Gathering Facts", module="setup", status=status, duration_s=0.0, message=message
            )
            self.emit(event)

    # Nodes

    def _nodes(self, nodes: Sequence[Node], prefix: Key) -> None:
        i = 0
        while i < len(nodes):
            if self.stop.is_set():
                raise Stopped
            node, key = nodes[i], (*prefix, i)
            if isinstance(node, Block):
                self._block(node, key)
            elif not self.wanted(node):
                pass
            elif node.meta is not None:
                self._meta(node, key)
            elif node.include is not None:
                self._include(node, key)
            elif self._step is None and can_join(node):
                i += self._batch(nodes, i)
                continue
            else:
                self._task(node, key)
            i += 1

    def wanted(self, task: Task) -> bool:
        """Whether tags, --start-at-task and roles that ran already leave the task."""
        options = self.run.options
        if not chosen(task.tags, options.tags, options.skip_tags):
            return False
        if self._start_at is not None and not task.meta:
            inner = walk(task.include.nodes) if task.include and task.include.nodes else ()
            if not named(task, self._start_at):
                return any(named(inside, self._start_at) for inside in inner)
            self._start_at = None
        role = task.settings.role
        return not (role and role.key) or self._ran.setdefault(role.key, role) is role

    def _batch(self, nodes: Sequence[Node], start: int) -> int:
        batch = Batch(self)
        covered = batch.collect(nodes, start)
        stopped_at = batch.run()
        return covered if stopped_at is None else stopped_at - start

    def _block(self, block: Block, key: Key) -> None:
        try:
            try:
                self._nodes(block.tasks, (*key, 0))
            except TaskFailedError as problem:
                if not block.rescue:
                    raise
                self._rescue(block, problem, key)
        except TaskFailedError:
            self._nodes(block.always, (*key, 2))
            raise
        self._nodes(block.always, (*key, 2))

    def _rescue(self, block: Block, problem: TaskFailedError, key: Key) -> None:
        about = {
            "name": problem.task.name,
            "action": problem.task.module.name,
            "args": dict(problem.task.args),
            "tags": sorted(problem.task.tags),
        }
        self.context.kept["ansible_failed_task"] = about
        self.context.kept["ansible_failed_result"] = problem.result
        self.emit(
            Note(host=self.name, level="info", text=f"{problem.task.name} failed; running the rescue of its block")
        )
        self._nodes(block.rescue, (*key, 1))
        for name in ("ansible_failed_task", "ansible_failed_result"):
            self.context.kept.pop(name, None)

    # Tasks

    def variables(self, task: Task | None) -> dict[str, Any]:
        assert self._wave is not None
        return self.all_variables.of(self.context, self._wave.play, task, self._layers, self._exposed)

    def _task(self, task: Task, key: Key) -> None:
        if self._step is None:
            self._carry_out(task)
            return
        cohort = self._step.arrive(self.name, key)
        if not flag(task.settings.run_once, self.variables(task), task):
            self._carry_out(task)
        elif cohort[0] == self.name:
            shared: Any = None
            try:
                shared = ("kept", self._carry_out(task))
            except TaskFailedError as problem:
                shared = ("failed", problem)
                raise
            finally:
                self._step.share(key, shared)
        else:
            self._share(task, self._step.shared(key))

    def _share(self, task: Task, shared: Any) -> None:
        """Take over what another host's `run_once` gave."""
        if shared is None:
            raise Stopped
        how, value = shared
        if how == "failed":
            raise TaskFailedError(value.error, task, value.result)
        if value is not None:
            self.keep(task, *value)

    def _carry_out(self, task: Task) -> tuple[dict[str, Any], Outcome] | None:
        work = Work(self, task, self.variables(task)).open().announce()
        try:
            if work.broken is None:
                work.run()
        except UnreachableError as problem:
            work.unreachable(problem)
            return None
        work.finish()
        return self._last_kept

    def keep(self, task: Task, result: dict[str, Any], outcome: Outcome) -> None:
        """Register a result, and take the facts in it."""
        self._last_kept = (result, outcome)
        if task.register:
            self.context.kept[task.register] = result
        if task.module.action is None:
            return
        for data in (outcome.data, *(outcome.data.get("results") or () if task.loop else ())):
            facts = data.get("ansible_facts") if isinstance(data, dict) else None
            if isinstance(facts, dict):
                self.context.ansible_facts.update({fact_name(k): v for k, v in facts.items()})

    def delegate(self, written: Any, variables: Mapping[str, Any], task: Task) -> Device | None:
        """The device that a task is delegated to, None for the host's own."""
        if written is None:
            return None
        name = render(written, variables, task.location)
        if is_omitted(name) or not name or str(name) == self.name:
            return None
        return self.links.delegate(str(name), task)

    # Handlers

    def notify(self, task: Task, variables: Mapping[str, Any]) -> None:
        """The task changed something: its handlers are due. Raises PlaybookError where there is no such handler."""
        for written in task.settings.notify:
            found = render(written, variables, task.location)
            for name in found if isinstance(found, list) else [found]:
                if not is_omitted(name):
                    self.handlers.notify(str(name), task)
        self._show_due()

    def _show_due(self) -> None:
        due = self.handlers.due
        if due != self._shown_due:
            self._shown_due = due
            self.emit(HandlersDue(host=self.name, handlers=tuple(due)))

    def _name_of(self, handler: Task) -> str | None:
        try:
            return str(render(handler.name, self.variables(handler), handler.location))
        except FleetError:
            return None

    def _flush(self, key: Key) -> None:
        turn = 0
        while (handler := self.handlers.take()) is not None:
            if chosen(handler.tags, self.run.options.tags, self.run.options.skip_tags):
                self._nodes([handler], (*key, turn))
            self._show_due()
            turn += 1

    # What changes the course

    def _meta(self, task: Task, key: Key) -> None:
        if self._step is not None:
            self._step.arrive(self.name, key)
        if holds(task, self.variables(task)) is not None:
            if task.meta == "end_host":
                work = Work(self, task, self.variables(task)).open().announce()
                work.run()
                work.finish()
            return
        if task.meta == "flush_handlers":
            self._flush(key)
        elif task.meta == "clear_facts":
            self.context.facts = None
            self.context.ansible_facts.clear()
        elif task.meta == "end_play":
            if self._step is not None:
                self._step.end()
            raise EndOfPlay
        elif task.meta == "end_host":
            raise EndOfPlay

    def _include(self, task: Task, key: Key) -> None:
        assert self._wave is not None and task.include is not None
        if self._step is not None:
            self._step.arrive(self.name, key)
        work = Work(self, task, self.variables(task)).open().announce()
        found: list[tuple[Sequence[Node], Mapping[str, Any]]] = []
        for turn in work.turns if work.broken is None else ():
            work.prepare(turn)
            if turn.call is None:
                continue
            try:
                nodes, roles = task.include.nodes, task.include.roles
                if nodes is None:
                    nodes, roles = self._read(task, turn.call.args)
                self._exposed += [role for role in roles if role not in self._exposed]
            except FleetError as problem:
                turn.outcome = Outcome(data={"msg": problem.what}, failed=True, error=problem)
                continue
            turn.outcome = Outcome(message=str(turn.call.args.get("file") or turn.call.args.get("name")))
            found.append((nodes, turn.item.variables if turn.item else {}))
        work.finish()
        for turn_index, (nodes, layer) in enumerate(found):
            self._layers.append(layer)
            try:
                self._nodes(nodes, (*key, turn_index))
            finally:
                self._layers.pop()

    def _read(self, task: Task, args: Mapping[str, Any]) -> tuple[Sequence[Node], Sequence[Role]]:
        assert self._wave is not None
        reader = Reader(self._wave.play.folder, {**self._wave.play.variables, **self.extra})
        nodes, roles = reader.included(task, args)
        self.handlers.add(reader.handlers)
        return nodes, roles


def _nameless(nodes: Sequence[Node]) -> Task:
    """The play's own last flush: a place for keywords of the play itself."""
    last = nodes[-1]
    assert isinstance(last, Task)
    return replace(last)
