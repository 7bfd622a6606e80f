"""What a playbook is made of once it is read: plays, blocks, tasks, roles, and what they hand down to one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.errors import Location
from orchestrator.playbook.modules import Module

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Settings:
    """How a task is run: what it says itself on top of what its block, role and play hand down.

    Values are as written; expressions in them are evaluated for each device when the task runs. None: nobody says.
    """

    when: tuple[Any, ...] = ()
    """Conditions, outermost first, all of which must hold."""
    tags: frozenset[str] = frozenset()
    variables: Mapping[str, Any] = field(default_factory=dict)
    """`vars` of blocks and of the task itself, innermost winning."""
    include_variables: Mapping[str, Any] = field(default_factory=dict)
    """`vars` of the dynamic includes around the task; they win over what was registered or set."""
    environment: tuple[Any, ...] = ()
    """Mappings, outermost first."""
    module_defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notify: tuple[Any, ...] = ()
    become: Any = None
    become_user: Any = None
    check_mode: Any = None
    diff: Any = None
    no_log: Any = None
    ignore_errors: Any = None
    ignore_unreachable: Any = None
    any_errors_fatal: Any = None
    delegate_to: Any = None
    run_once: Any = None
    timeout: Any = None
    role: Role | None = None
    folder: str = ""
    """Of the file the task stands in."""


@dataclass(frozen=True)
class Loop:
    """What a task is repeated for."""

    items: Any
    """As written: a list, or an expression that gives one."""
    kind: str = "loop"
    """loop, or the lookup of `with_LOOKUP`: items, dict, fileglob."""
    variable: str = "item"
    index: str | None = None
    label: Any = None
    pause_s: Any = 0
    extended: Any = False
    extended_allitems: Any = True
    break_when: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Include:
    """What an `include_tasks` or `include_role` brings."""

    apply: Settings
    """What the included tasks inherit."""
    nodes: Sequence[Node] | None = None
    """The tasks, where the name needs no evaluation; else they are read when the include runs."""
    roles: Sequence[Role] = ()
    """Those whose defaults and variables all later tasks are to see."""


@dataclass(frozen=True)
class Task:
    name: str
    module: Module
    args: Mapping[str, Any]
    """As written: expressions are evaluated for each device when the task runs."""
    location: Location
    settings: Settings = field(default_factory=Settings)
    register: str | None = None
    loop: Loop | None = None
    until: tuple[Any, ...] = ()
    retries: Any = None
    delay_s: Any = 5
    async_s: Any = 0
    poll_s: Any = 15
    changed_when: tuple[Any, ...] = ()
    failed_when: tuple[Any, ...] = ()
    listen: tuple[str, ...] = ()
    """Topics, for a handler."""
    include: Include | None = None
    meta: str | None = None

    @property
    def tags(self) -> frozenset[str]:
        return self.settings.tags

    @property
    def when(self) -> tuple[Any, ...]:
        return self.settings.when

    @property
    def full_name(self) -> str:
        """With the role's name in front, as people see it."""
        return f"{self.settings.role.name} : {self.name}" if self.settings.role else self.name


@dataclass(frozen=True)
class Block:
    """Tasks with something to do when one of them fails, or in any case."""

    tasks: Sequence[Node]
    rescue: Sequence[Node]
    always: Sequence[Node]
    location: Location


Node = Task | Block


@dataclass(frozen=True)
class Role:
    """A role as one play or include uses it."""

    name: str
    path: Path
    own_defaults: Mapping[str, Any] = field(default_factory=dict)
    own_variables: Mapping[str, Any] = field(default_factory=dict)
    """Of vars/main.yml."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """`vars` where the role is named."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Other words where the role is named; they win over nearly everything."""
    parents: tuple[Role, ...] = ()
    """The roles that depend on this one, outermost first."""
    dependencies: tuple[Role, ...] = ()
    key: str = ""
    """Of two roles with the same key only the first runs for a host; empty: this one always runs."""

    @property
    def all_dependencies(self) -> list[Role]:
        found = []
        for role in self.dependencies:
            found += [*role.all_dependencies, role]
        return found

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The defaults that a task of this role sees."""
        found: dict[str, Any] = {}
        for role in self.all_dependencies:
            found.update(role.own_defaults)
        for role in self.parents:
            found.update(role.own_defaults)
        return {**found, **self.own_defaults}

    @cached_property
    def variables(self) -> dict[str, Any]:
        """The role variables that a task of this role sees."""
        found: dict[str, Any] = {}
        for role in self.parents:
            found.update({**role.given, **role.own_variables})
        for role in self.all_dependencies:
            found.update({**role.given, **role.own_variables})
        return {**found, **self.given, **self.own_variables}

    @cached_property
    def all_parameters(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for role in (*self.parents, self):
            found.update(role.parameters)
        return found


@dataclass(frozen=True)
class Play:
    name: str
    hosts: str
    nodes: Sequence[Node]
    """All there is to do, in order: pre_tasks, roles, tasks, post_tasks, handlers flushed where they are due."""
    handlers: Sequence[Task]
    location: Location
    folder: Path
    """Of the playbook."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    vars_files: Sequence[Any] = ()
    roles: Sequence[Role] = ()
    """Those whose defaults and variables all tasks of the play see."""
    role_names: Sequence[str] = ()
    gather_facts: Any = True
    settings: Settings = field(default_factory=Settings)
    """What the play hands down."""
    linear: bool = False
    """Whether hosts wait for each other at each task: it was asked for, or the order could be seen."""
    serial: Sequence[Any] = ()
    order: Any = None
    max_fail_percentage: Any = None
    any_errors_fatal: Any = None
    force_handlers: Any = False
    connection: str | None = None
    remote_user: Any = None

    @property
    def tasks(self) -> list[Task]:
        """Every task that is known before the play runs, in order, without handlers."""
        return list(walk(self.nodes))

    @property
    def tags(self) -> frozenset[str]:
        return self.settings.tags


def walk(nodes: Sequence[Node]) -> Iterator[Task]:
    """The tasks among `nodes` and in the blocks and known includes below them, in order; flushes are left out."""
    for node in nodes:
        if isinstance(node, Block):
            yield from walk([*node.tasks, *node.rescue, *node.always])
        elif node.meta != "flush_handlers" or node.location.line:
            yield node
            if node.include and node.include.nodes is not None:
                yield from walk(node.include.nodes)
