"""What a module sees while it runs: the device, its variables, and ways to say what happens."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ActionError, DeviceError, PlaybookError
from orchestrator.events import Event, Events, FactsGathered, HostState, Note
from orchestrator.language.expressions import render
from orchestrator.language.search import candidates, find
from orchestrator.platforms.facts import resolve
from orchestrator.values import unsafe

if TYPE_CHECKING:
    from concurrent.futures import Future

    from orchestrator.devices.device import Device
    from orchestrator.devices.session import Reply
    from orchestrator.inventory.inventory import Host
    from orchestrator.models.exports import Exports
    from orchestrator.playbook.specifications import Specifications
    from orchestrator.playbook.structure import Task
    from orchestrator.store import Store


@dataclass(frozen=True)
class RunOptions:
    """What the command line asked of a run."""

    check: bool = False
    diff: bool = False
    verbosity: int = 0
    force: bool = False
    forks: int = 20
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    limit: str | None = None
    start_at: str | None = None
    """The task to start at; those before it are left out."""
    models: tuple[str, ...] = ()
    """Model specifications that replace the inventory's `fleet_models`."""


@dataclass
class RunContext:
    """What all devices of a run share."""

    id: str
    directory: Path
    """runs/<id>"""
    options: RunOptions
    events: Events
    store: Store
    exports: Exports
    models: Specifications
    sleep: Callable[[float], None] = time.sleep
    """Waits, unless the run is interrupted; the runner puts its own here."""


@dataclass
class HostContext:
    """What is known of one device while a run lasts."""

    host: Host
    device: Device | None
    facts: dict[str, Any] | None = None
    """As gathered last; templates see these."""
    stale: bool = False
    """Something has changed the device since the facts were gathered."""
    ansible_facts: dict[str, Any] = field(default_factory=dict)
    """From `setup` and other modules that give facts, under Ansible's names without `ansible_`."""
    kept: dict[str, Any] = field(default_factory=dict)
    """From `register` and `set_fact`."""
    included: dict[str, Any] = field(default_factory=dict)
    """From `include_vars`."""
    scratch: dict[str, Any] = field(default_factory=dict)
    """What the modules of one family hand to each other."""
    repaired: list[str] = field(default_factory=list)
    """What was wrong with the power state and was mended in this run."""


@dataclass
class TaskContext:
    """One task on one device."""

    run: RunContext
    state_of_host: HostContext
    task: Task
    variables: Mapping[str, Any]
    check: bool = False
    become: bool = False
    target: Device | None = None
    """Where the task was delegated to."""

    @property
    def name(self) -> str:
        return self.state_of_host.host.name

    @property
    def device(self) -> Device:
        device = self.target or self.state_of_host.device
        if device is None:
            raise DeviceError("no connection", "this task needs the device, the play did not connect to it")
        return device

    @property
    def facts(self) -> dict[str, Any]:
        """The device's resolved facts, gathered anew where something changed them."""
        return gather(self.run, self.state_of_host)

    @property
    def scratch(self) -> dict[str, Any]:
        return self.state_of_host.scratch

    def emit(self, event: Event) -> None:
        self.run.events(event)

    def state(self, state: str, detail: str = "", fraction: float | None = None) -> None:
        self.emit(HostState(host=self.name, state=state, detail=detail, fraction=fraction))

    def note(self, text: str) -> None:
        self.emit(Note(host=self.name, level="info", text=text))

    def warn(self, text: str) -> None:
        self.emit(Note(host=self.name, level="warning", text=text))

    def find_file(self, kind: str, name: str) -> Path:
        """A file on the controller that the task names, absolute.

        Args:
            kind: the folder of its kind: files, templates, vars, tasks; looked into first in each place.
            name: relative to the role, the folder of the task's file, or the playbook's folder.

        Raises:
            PlaybookError: it is in none of them.
        """
        found = find(name, kind, self.variables)
        if found is None:
            looked = ", ".join(str(path.parent) for path in candidates(name, kind, self.variables))
            raise PlaybookError(f"no file '{name}'", f"looked in {looked}", location=self.task.location)
        return found

    def evaluate(self, template: Any) -> Any:
        return render(template, self.variables, self.task.location)

    def keep(self, values: Mapping[str, Any]) -> None:
        self.state_of_host.kept.update(values)

    def forget_facts(self) -> None:
        """The facts may have changed: gather them anew when a module asks."""
        self.state_of_host.stale = True

    def power_changed(self, what: str) -> None:
        """The device was not at its intended power state; engines that stand are to be revalidated."""
        self.state_of_host.repaired.append(what)


def gather(run: RunContext, host: HostContext, *, ansible: bool = False) -> dict[str, Any]:
    """The device's resolved facts; asked of the device once, and again where they have become stale.

    Args:
        ansible: ask for the facts under Ansible's names too, in the same round trip.
    """
    if host.facts is None or host.stale:
        if host.device is None:
            return {}
        asked = host.device.submit("setup", {}) if ansible else None
        host.facts = unsafe(resolve(host.device.facts()))  # what a device says is never a template
        host.stale = False
        if asked is not None:
            host.ansible_facts.update(_ansible_facts(asked))
        run.events(FactsGathered(host=host.host.name, facts=host.facts))
    return host.facts


def _ansible_facts(asked: Future[Reply]) -> dict[str, Any]:
    try:
        data = asked.result().data
    except ActionError as problem:
        if getattr(problem, "kind", "") == "unknown":
            return {}
        raise
    facts = unsafe(data.get("ansible_facts", data))
    return {fact_name(name): value for name, value in facts.items()}


def fact_name(name: str) -> str:
    """The key in `ansible_facts` of what a module calls `ansible_...`."""
    return name if name == "ansible_local" else str(name).removeprefix("ansible_")
