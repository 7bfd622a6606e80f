"""Runs plays over devices: one worker per device, and no waiting where nobody could tell."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ConfigurationError, FleetError, UnreachableError
from orchestrator.events import HostFinished, HostState, Note, PlayStarted
from orchestrator.playbook.context import HostContext, RunContext
from orchestrator.playbook.selection import check_start
from orchestrator.runs.flow import Stopped, TaskFailedError
from orchestrator.runs.host import HostRun
from orchestrator.runs.links import Links
from orchestrator.runs.lockstep import Lockstep
from orchestrator.runs.variables import Variables, Wave
from orchestrator.runs.waves import max_failed, ordered, waves

if TYPE_CHECKING:
    from orchestrator.devices.device import Device
    from orchestrator.inventory.inventory import Host, Inventory
    from orchestrator.playbook.structure import Play


class Runner:
    """Takes every device of an inventory through the plays that name it.

    Args:
        plays: what to run, in order.
        inventory: where hosts and variables come from.
        hosts: the devices of this run (the inventory after `--limit`).
        connect: makes a connected Device of a host, or raises an UnreachableError.
        extra: variables of the command line; they win over all others.
        owed: handlers, by host, that an earlier run was notified of and did not get to; see `journal.owed_handlers`.

    Raises:
        UsageError: `--start-at-task` names no task.
    """

    def __init__(
        self,
        plays: Sequence[Play],
        inventory: Inventory,
        hosts: Sequence[Host],
        run: RunContext,
        connect: Callable[[Host], Device],
        extra: Mapping[str, Any] | None = None,
        owed: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.plays = plays
        self.inventory = inventory
        self.hosts = hosts
        self.run = run
        self.misconfigured = False
        """A device failed by a mistake in the user's files, which the run met only after connecting."""
        if run.options.start_at is not None:
            check_start(plays, run.options.start_at)
        self._stop = threading.Event()
        self._done: set[str] = set()
        run.sleep = self._sleep
        self._shown: set[str] = set()
        self._permits = threading.Semaphore(run.options.forks)
        contexts = {host.name: HostContext(host, None) for host in hosts}
        self._variables = Variables(inventory, contexts, run, extra or {})
        self._hosts = {
            name: HostRun(
                run,
                context,
                self._variables,
                Links(inventory, connect, run.events),
                self._stop,
                extra or {},
                list((owed or {}).get(name, ())),
            )
            for name, context in contexts.items()
        }
        self._members = [[h.name for h in inventory.select(play.hosts) if h.name in contexts] for play in plays]

    def go(self) -> None:
        """Run everything. Returns when each device is done; an interrupt stops before each worker's next task.

        Raises:
            KeyboardInterrupt: passed on, after the workers were told to stop.
        """
        for play, members in zip(self.plays, self._members, strict=True):
            self.run.events(PlayStarted(play=play.name, hosts=members))
        try:
            for stretch in _stretches(range(len(self.plays)), self._joins):
                if not self._stretch(stretch):
                    break
        except KeyboardInterrupt:
            self._stop.set()
            raise
        # Those that no play named, or that the last plays left out.
        for host in self._hosts.values():
            self._finished(host)

    def registered(self, host: str, name: str) -> Any:
        """What a host keeps under a name from `register` or `set_fact`, or None."""
        return self._hosts[host].context.kept.get(name)

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped

    def _alone(self, i: int) -> bool:
        """Whether a play must not mix with others: its hosts go in waves or step by step."""
        play = self.plays[i]
        return play.linear or bool(play.serial)

    def _joins(self, before: int, i: int) -> bool:
        """Whether a host may go from one play into the next without waiting for others.

        Where all hosts of a play fail, Ansible ends the run; so hosts that are new in a play wait to see that.
        """
        return not self._alone(before) and not self._alone(i) and set(self._members[i]) <= set(self._members[before])

    def _stretch(self, indices: Sequence[int]) -> bool:
        """Plays that no device needs to wait in, or one play in which they do; whether the run goes on after it."""
        last = indices[-1] == len(self.plays) - 1
        if not self._alone(indices[0]):
            todo: dict[str, list[Wave]] = {}
            for i in indices:
                members = ordered(self._members[i], self.plays[i], self._plain(i))
                wave = Wave(self.plays[i], members, members, self._gone(members))
                for name in members:
                    todo.setdefault(name, []).append(wave)
            work = [(self._hosts[name], waves, None) for name, waves in todo.items() if self._hosts[name].alive]
            self._together(work, last)
            return not work or any(host.alive for host, _, _ in work)
        (i,) = indices
        play = self.plays[i]
        everyone = ordered(self._members[i], play, self._plain(i))
        gone = self._gone(everyone)
        members = [name for name in everyone if name not in gone]
        for batch in waves(members, play, self._plain(i)):
            wave = Wave(play, everyone, batch, gone)
            most = max_failed(play, self._plain(i))
            step = Lockstep(batch, self._permits, self._stop, most) if play.linear else None
            self._together([(self._hosts[name], [wave], step) for name in batch], last)
            failed = [name for name in batch if not self._hosts[name].alive]
            if (step is not None and step.ended_for_all) or (failed and len(failed) == len(batch)):
                self._left_out(play, members, wave)
                return False
        return True

    def _gone(self, names: Iterable[str]) -> set[str]:
        return {name for name in names if not self._hosts[name].alive}

    def _plain(self, i: int) -> Mapping[str, Any]:
        """The variables that a play's own keywords can use: those that are the same for all hosts."""
        first = next((self._hosts[name].context for name in self._members[i]), None)
        return self._variables.of(first, self.plays[i]) if first else self.plays[i].variables

    def _left_out(self, play: Play, members: Sequence[str], wave: Wave) -> None:
        done = set(members[: members.index(wave.batch[-1]) + 1])
        rest = [name for name in members if name not in done]
        if rest:
            text = f"{play.name}: stopped, not begun on {', '.join(rest)}"
            self.run.events(Note(host=None, level="warning", text=text))

    def _together(self, work: Sequence[tuple[HostRun, Sequence[Wave], Lockstep | None]], last: bool) -> None:
        # Daemon threads: a device that hangs in a system call must not keep an interrupted controller alive.
        workers = [
            threading.Thread(target=self._host, args=(*item, last), name=f"host-{item[0].name}", daemon=True)
            for item in work
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            while worker.is_alive():
                worker.join(0.5)

    def _host(self, host: HostRun, todo: Sequence[Wave], step: Lockstep | None, last: bool) -> None:
        with self._permits:
            if self._stop.is_set():
                return
            try:
                for wave in todo:
                    self._play(host, wave, step)
                    if not host.alive:
                        break
            finally:
                if last or not host.alive:
                    self._finished(host)  # its result is shown before the others are done

    def _play(self, host: HostRun, wave: Wave, step: Lockstep | None) -> None:
        try:
            host.status = "ok"
            host.play(wave, step)
        except TaskFailedError as problem:
            fatal = _fatal(problem, host)
            if step is not None:
                step.failed(host.name, fatal=fatal)
            self._ended(host, "failed", problem.error)
        except UnreachableError as problem:
            if step is not None:
                step.failed(host.name, fatal=wave.play.any_errors_fatal in (True, "true", "yes"))
            self._ended(host, "unreachable", problem)
        except Stopped as problem:
            if problem.error is not None:
                self._ended(host, "failed", type(problem.error)(problem.error.what, problem.error.why))
        except FleetError as problem:
            if step is not None:
                step.failed(host.name, fatal=False)
            self._ended(host, "failed", problem)
        except Exception as problem:  # a defect of ours: the other devices go on, and the report says where
            self._ended(host, "failed", _defect(problem, self.run.directory / f"defect-{host.name}.log"))
        finally:
            if not host.alive:
                wave.gone.add(host.name)
            if step is not None:
                step.leave(host.name)

    def _ended(self, host: HostRun, status: str, problem: FleetError) -> None:
        if isinstance(problem, ConfigurationError):
            self.misconfigured = True
        host.status, host.error = status, problem.on(host.name)
        due = host.handlers.due
        if due:
            text = f"handlers are owed: {', '.join(due)}; --retry runs them"
            self.run.events(Note(host=host.name, level="warning", text=text))

    def _finished(self, host: HostRun) -> None:
        """Say, once, how a host ended."""
        if host.name in self._done:
            return
        self._done.add(host.name)
        if host.name in self._shown:
            return
        self._shown.add(host.name)
        host.links.close()
        if not self._stop.is_set():
            error = host.error.to_json() if host.error else None
            self.run.events(HostState(host=host.name, state=host.status))
            self.run.events(HostFinished(host=host.name, status=host.status, error=error))


def _stretches(indices: Iterable[int], joins: Callable[[int, int], bool]) -> list[list[int]]:
    """Neighbouring plays that may run as one, in order."""
    found: list[list[int]] = []
    for i in indices:
        if found and joins(found[-1][-1], i):
            found[-1].append(i)
        else:
            found.append([i])
    return found


def _fatal(problem: TaskFailedError, host: HostRun) -> bool:
    """Whether this failure ends the play for all hosts."""
    from orchestrator.runs.calls import flag

    said, task = problem.task.settings, problem.task
    try:
        variables = host.variables(task)
        return flag(said.any_errors_fatal, variables, task) or flag(said.run_once, variables, task)
    except FleetError:
        return True


def _defect(problem: Exception, log: Path) -> FleetError:
    import traceback

    log.write_text("".join(traceback.format_exception(problem)), encoding="utf-8")
    last = traceback.extract_tb(problem.__traceback__)[-1]
    return FleetError(
        "a defect of Fleet itself stopped this device",
        f"{type(problem).__name__}: {problem} ({last.filename.rsplit('/', 2)[-1]}:{last.lineno})",
        "report it with the log below; the other devices were not touched by it",
        log=str(log),
    )
