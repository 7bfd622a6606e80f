"""The modules that tasks can name: what each is, what arguments it takes, and where it runs.

A controller module is a function `run(task: TaskContext, args) -> Outcome` with the `module` decorator. A device module
is one action of the agent: a function `prepare(task: TaskContext, args) -> arguments of the action` with the
`action_module` decorator; the runner sends the action, alone or in a batch with its neighbours. Either way the
decorator declares the arguments, and `fleet modules` prints the documentation from there. One file holds one family;
a family is imported when one of its modules is named.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.playbook.modules.arguments import TYPES, Argument, checked
from orchestrator.playbook.modules.families import FAMILIES, LATER

if TYPE_CHECKING:
    from orchestrator.errors import FleetError
    from orchestrator.playbook.context import TaskContext

__all__ = [
    "LATER",
    "TYPES",
    "Argument",
    "Module",
    "Outcome",
    "action_module",
    "checked",
    "declare",
    "find_module",
    "module",
    "module_names",
    "short_name",
]


@dataclass
class Outcome:
    """What a module did."""

    changed: bool = False
    data: dict[str, Any] = field(default_factory=dict)
    """What `register` keeps. `ansible_facts` in it becomes facts of the host (for set_fact: variables)."""
    diff: Any = None
    message: str = ""
    """One line for people."""
    skipped: str | None = None
    """Why there was nothing to do, where that deserves the word skipped."""
    failed: bool = False
    """The task failed, and `data` is registered nevertheless; `data["msg"]` says why."""
    error: FleetError | None = None
    """What people read of the failure, where that is more than `data["msg"]`."""


Run = Callable[["TaskContext", dict[str, Any]], Outcome]
Prepare = Callable[["TaskContext", dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Module:
    """A module, as its decorator declared it. Exactly one of `run` and `action` is given."""

    name: str
    summary: str
    documentation: str
    arguments: Mapping[str, Argument]
    run: Run | None = None
    free_form: str | None = None
    """The argument that a plain string stands for, as in `command: uptime`."""
    any_argument: bool = False
    """Takes arguments of any name besides the declared ones, as set_fact does."""
    action: str | None = None
    """The agent's action, for a device module."""
    prepare: Prepare | None = None
    reads_variables: bool = False
    """`prepare` looks at variables that its arguments do not name (a template's, say)."""
    gives_facts: bool = False
    """The reply may carry `ansible_facts`."""
    timeout_s: float = 3600.0
    raw: tuple[str, ...] = ()
    """Arguments that are expressions already, and not rendered."""

    def argument(self, name: str) -> str | None:
        """The argument that `name` (which may be an alias) stands for."""
        if name in self.arguments:
            return name
        return next((own for own, argument in self.arguments.items() if name in argument.aliases), None)

    @property
    def known(self) -> list[str]:
        """Every name of every argument, sorted."""
        return sorted({*self.arguments, *(alias for a in self.arguments.values() for alias in a.aliases)})


_found: dict[str, Module] = {}


def module(
    name: str,
    /,
    *,
    free_form: str | None = None,
    any_argument: bool = False,
    raw: tuple[str, ...] = (),
    **arguments: Argument,
) -> Callable[[Run], Run]:
    """Declare a function as the controller module `name`; its docstring is the module's documentation.

    Args:
        free_form: the argument that a plain string stands for.
        any_argument: take any other argument too.
        raw: arguments that are conditions, handed over as they are written.
    """

    def decorate(function: Run) -> Run:
        declare(name, function, arguments, free_form=free_form, any_argument=any_argument, raw=raw)
        return function

    return decorate


def declare(
    name: str,
    function: Run,
    arguments: Mapping[str, Argument],
    *,
    free_form: str | None = None,
    any_argument: bool = False,
    raw: tuple[str, ...] = (),
) -> None:
    """What `module` does, for arguments of any name."""
    text = _documentation(function)
    _found[name] = Module(
        name,
        text.splitlines()[0],
        text,
        arguments,
        run=function,
        free_form=free_form,
        any_argument=any_argument,
        raw=raw,
    )


def action_module(
    name: str,
    /,
    *,
    action: str | None = None,
    free_form: str | None = None,
    reads_variables: bool = False,
    gives_facts: bool = False,
    timeout_s: float = 3600.0,
    **arguments: Argument,
) -> Callable[[Prepare], Prepare]:
    """Declare the device module `name`: one action of the agent.

    The decorated function takes the task and the checked arguments and returns what the action is sent (values of None
    are left out); it runs on the controller and must not talk to the device unless `reads_variables` is set. Its
    docstring is the module's documentation. The outcome is made from the reply: see `orchestrator.runs.replies`.

    Args:
        action: the agent's action, `name` by default.
        free_form: the argument that a plain string stands for.
        reads_variables: the function looks at variables that the arguments do not name.
        gives_facts: the action's data may hold `ansible_facts`.
        timeout_s: how long the action may take.
    """

    def declare(function: Prepare) -> Prepare:
        text = _documentation(function)
        _found[name] = Module(
            name,
            text.splitlines()[0],
            text,
            arguments,
            free_form=free_form,
            action=action or name,
            prepare=function,
            reads_variables=reads_variables,
            gives_facts=gives_facts,
            timeout_s=timeout_s,
        )
        return function

    return declare


def _documentation(function: Callable[..., Any]) -> str:
    import inspect

    text = inspect.getdoc(function)
    if not text:
        raise TypeError(f"{function.__name__} has no docstring; it is the module's documentation")
    return text


def short_name(name: str) -> str:
    """A module's or keyword's name without the collections that are known here."""
    for prefix in ("ansible.builtin.", "ansible.legacy.", "ansible.posix.", "community.general.", "fleet."):
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def find_module(name: str) -> Module | None:
    """The module of this name (short, or `ansible.builtin.` in front), or None."""
    short = short_name(name)
    family = FAMILIES.get(short)
    if family is None:
        return None
    if short not in _found:
        importlib.import_module(f"{__name__}.{family}")
    return _found[short]


def module_names() -> list[str]:
    return sorted(FAMILIES)
