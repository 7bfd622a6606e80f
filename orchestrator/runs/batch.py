"""Sends neighbouring device tasks together, so that a play of many tasks costs a handful of round trips.

A task joins the batch when nothing that must be evaluated to send it needs the result of one before it in the batch.
The device runs the steps in order and stops at the first that fails; replies are kept and shown as they arrive.
"""

from __future__ import annotations

import queue
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ActionError, FleetError, UnreachableError
from orchestrator.language.expressions import has_template, to_bool
from orchestrator.playbook.structure import Node, Task
from orchestrator.runs.calls import GRACE_S, failed, flag, from_reply, progress
from orchestrator.runs.dependencies import needs
from orchestrator.runs.results import judged
from orchestrator.runs.work import Turn, Work

if TYPE_CHECKING:
    from orchestrator.runs.host import HostRun

MOST_STEPS = 200
MOST_BYTES = 4 << 20
"""Of texts in one batch: small files travel in the call."""


def can_join(task: Task) -> bool:
    """Whether a task can be one of several that are sent at once."""
    said = task.settings
    return (
        task.module.action is not None
        and task.include is None
        and task.meta is None
        and not task.until
        and task.retries is None
        and not task.async_s
        and said.delegate_to is None
        and said.run_once is None
        and not (task.loop and (task.loop.pause_s or task.loop.break_when))
    )


def _judged_here(task: Task) -> bool:
    """Whether only the controller can say if it failed, so that nothing may be sent after it."""
    return bool(task.failed_when) and any(condition is not False for condition in task.failed_when)


@dataclass
class _Entry:
    work: Work
    position: int
    """Of the task among the nodes."""


class Batch:
    """Tasks of one host that are sent together.

    Args:
        host: whose tasks they are.
    """

    def __init__(self, host: HostRun) -> None:
        self._host = host
        self._entries: list[_Entry] = []
        self._steps: list[dict[str, Any]] = []
        self._turns: list[Turn] = []
        self._replies: dict[int, Any] = {}
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._end: BaseException | None = None
        self._ended = False

    def collect(self, nodes: Sequence[Node], start: int) -> int:
        """Take tasks from `nodes[start]` on, as many as can go together; how many nodes they cover.

        Raises:
            UnreachableError: preparing a task needed the device, which is gone.
        """
        pending: set[str] = set()
        size = 0
        position = start
        while position < len(nodes) and len(self._steps) < MOST_STEPS and size < MOST_BYTES:
            node = nodes[position]
            if not isinstance(node, Task):
                break
            if node.meta == "flush_handlers" and not self._notifies():
                position += 1
                continue
            if not self._host.wanted(node):
                position += 1
                continue
            if not can_join(node):
                break
            variables = self._host.variables(node)
            if self._entries and needs(node, variables, pending):
                break
            work = Work(self._host, node, variables).open()
            first = len(self._steps)
            whole = self._add(work)
            size += sum(_size(step) for step in self._steps[first:])
            self._entries.append(_Entry(work, position))
            position += 1
            if node.register:
                pending.add(node.register)
            if not whole or _judged_here(node) or node.module.gives_facts:
                break
        return position - start

    def _notifies(self) -> bool:
        return bool(self._host.handlers.due) or any(entry.work.task.settings.notify for entry in self._entries)

    def _add(self, work: Work) -> bool:
        """Prepare all turns of a task; whether it can be sent as a whole."""
        group = len(self._entries) if work.task.loop else None
        whole = work.broken is None
        for turn in work.turns:
            work.prepare(turn)
            if turn.call is not None:
                try:
                    step = turn.call.step
                    step["ignore"] = self._ignores(work, turn)
                except UnreachableError:
                    raise
                except FleetError as problem:
                    turn.outcome = failed(problem)
                else:
                    if group is not None:
                        step["group"] = group
                    self._steps.append(step)
                    self._turns.append(turn)
            if turn.outcome is not None and turn.outcome.failed:
                whole = False
        return whole

    @staticmethod
    def _ignores(work: Work, turn: Turn) -> bool:
        task = work.task
        never = bool(task.failed_when) and not _judged_here(task)
        ignored = task.settings.ignore_errors
        if has_template(ignored):
            return never or flag(ignored, turn.variables, task)
        return never or to_bool(ignored or False)

    def run(self) -> int | None:
        """Send the steps and finish the tasks as replies arrive.

        Returns:
            None when all is done; else the position of the node to go on with.

        Raises:
            TaskFailedError, UnreachableError: as `Work`.
        """
        if self._steps:
            self._send()
        try:
            for entry in self._entries:
                work = entry.work.announce()
                try:
                    self._await(work)
                except UnreachableError as problem:
                    work.unreachable(problem)
                    return entry.position + 1
                work.finish()
                if self._ended and self._unanswered_after(entry):
                    return entry.position + 1
        finally:
            self._drain()
        return None

    def _send(self) -> None:
        device = self._host.device
        future = device.submit(
            "batch",
            {"steps": self._steps},
            become=any(step["become"] for step in self._steps),
            on_event=lambda name, data: self._events.put((name, data)),
        )
        future.add_done_callback(lambda done: self._events.put(("end", done.exception())))

    def _unanswered_after(self, entry: _Entry) -> bool:
        after = [later.work for later in self._entries if later.position > entry.position]
        turns = {id(turn) for work in after for turn in work.turns if turn.call is not None}
        return any(id(turn) in turns and i not in self._replies for i, turn in enumerate(self._turns))

    def _await(self, work: Work) -> None:
        """Wait for the replies of all turns of a task, and make outcomes of them."""
        mine = {id(turn) for turn in work.turns if turn.call is not None and turn.outcome is None}
        for i, turn in enumerate(self._turns):
            if id(turn) not in mine:
                continue
            self._receive_until(i, turn)
            if i in self._replies:
                outcome = from_reply(self._replies[i])
            elif isinstance(self._end, UnreachableError):
                raise self._end
            else:
                outcome = failed(self._end if isinstance(self._end, FleetError) else _unanswered())
            turn.outcome = judged(work.task, outcome, turn.variables)

    def _receive_until(self, index: int, turn: Turn) -> None:
        assert turn.call is not None
        timeout_s = (turn.call.timeout_s or work_timeout(turn.call.task)) + GRACE_S
        while index not in self._replies and not self._ended:
            try:
                name, data = self._events.get(timeout=timeout_s)
            except queue.Empty:
                what = f"no answer within {timeout_s:g} s"
                self._end, self._ended = ActionError(what, "the device is busy or hangs", "raise timeout"), True
                return
            self._take(name, data, turn)

    def _take(self, name: str, data: Any, turn: Turn) -> None:
        if name == "step":
            self._replies[data["index"]] = data["reply"]
        elif name == "end":
            self._end, self._ended = data, True
        elif turn.call is not None:
            progress(turn.call.context, data)

    def _drain(self) -> None:
        """After a failure the device ends the batch at once; the next request must not meet this one's events."""
        while self._steps and not self._ended and self._turns:
            try:
                name, data = self._events.get(timeout=GRACE_S)
            except queue.Empty:
                return
            self._take(name, data, self._turns[-1])


def work_timeout(task: Task) -> float:
    """Seconds that a task may take where it does not say it itself."""
    return task.module.timeout_s


def _unanswered() -> ActionError:
    return ActionError("the device gave no answer to this task", "it ended the batch early", "run it again with -v")


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_size(item) for item in value.values())
    return sum(_size(item) for item in value) if isinstance(value, list) else 8
