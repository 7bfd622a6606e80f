"""The modules that tasks can name: what each is, what arguments it takes, and where it is found.

A module is a function `run(task: TaskContext, args) -> Outcome` with the `module` decorator, which declares its
arguments; `fleet modules` prints its documentation from there. One file holds one family; a family is imported when one
of its modules is named.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.errors import PlaybookError

if TYPE_CHECKING:
    from orchestrator.playbook.context import TaskContext

# Which file of this folder a module stands in.
FAMILIES = {
    "assert": "basics",
    "debug": "basics",
    "fail": "basics",
    "set_fact": "basics",
    "ping": "basics",
    "command": "basics",
    "shell": "basics",
    "nvpmodel": "power",
    "jetson_clocks": "power",
    "jetson_fan": "power",
    "engine_plan": "engine_plan",
    "engine_push": "engine_push",
    "engine_build": "engine_build",
    "engine_benchmark": "engine_benchmark",
    "engine_fetch": "engine_release",
    "engine_activate": "engine_release",
}

TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (int, float),
    "bool": (bool,),
    "list": (list,),
    "dict": (dict,),
    "any": (object,),
}


@dataclass(frozen=True)
class Argument:
    """One argument of a module.

    type: a name in TYPES. A string is accepted for a list (split at commas), an int, a float and a bool.
    """

    type: str
    help: str
    default: Any = None
    required: bool = False
    choices: tuple[Any, ...] = ()


@dataclass
class Outcome:
    """What a module did."""

    changed: bool = False
    data: dict[str, Any] = field(default_factory=dict)
    """What `register` keeps."""
    diff: Any = None
    message: str = ""
    """One line for people."""
    skipped: str | None = None
    """Why there was nothing to do, where that deserves the word skipped."""


@dataclass(frozen=True)
class Module:
    name: str
    summary: str
    documentation: str
    arguments: Mapping[str, Argument]
    run: Callable[[TaskContext, dict[str, Any]], Outcome]
    free_form: str | None = None
    """The argument that a plain string stands for, as in `command: uptime`."""


_found: dict[str, Module] = {}


def module(
    name: str, *, free_form: str | None = None, **arguments: Argument
) -> Callable[[Callable[[TaskContext, dict[str, Any]], Outcome]], Callable[[TaskContext, dict[str, Any]], Outcome]]:
    """Declare a function as the module `name`; its docstring is the module's documentation."""

    def declare(
        function: Callable[[TaskContext, dict[str, Any]], Outcome],
    ) -> Callable[[TaskContext, dict[str, Any]], Outcome]:
        text = (function.__doc__ or "").strip()
        _found[name] = Module(name, text.splitlines()[0] if text else "", text, arguments, function, free_form)
        return function

    return declare


def find_module(name: str) -> Module | None:
    """The module of this name (short, or `ansible.builtin.` in front), or None."""
    short = name.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.").removeprefix("fleet.")
    family = FAMILIES.get(short)
    if family is None:
        return None
    if short not in _found:
        importlib.import_module(f"{__name__}.{family}")
    return _found[short]


def module_names() -> list[str]:
    return sorted(FAMILIES)


def checked(found: Module, args: Mapping[str, Any]) -> dict[str, Any]:
    """The evaluated arguments with their types checked and defaults filled in.

    Raises:
        PlaybookError: a value of the wrong type or outside its choices.
    """
    result = {name: argument.default for name, argument in found.arguments.items()}
    for name, value in args.items():
        argument = found.arguments[name]
        result[name] = value = _converted(found.name, name, argument, value)
        if argument.choices and value not in argument.choices:
            allowed = ", ".join(map(str, argument.choices))
            raise PlaybookError(f"{found.name}: {name} cannot be '{value}'", f"allowed: {allowed}")
    return result


def _converted(module_name: str, name: str, argument: Argument, value: Any) -> Any:
    if value is None:
        return argument.default
    if argument.type == "list" and isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    if argument.type == "str" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and argument.type == "bool" and value.lower() in ("yes", "no", "true", "false"):
        return value.lower() in ("yes", "true")
    if isinstance(value, str) and argument.type in ("int", "float"):
        try:
            return {"int": int, "float": float}[argument.type](value)
        except ValueError:
            pass
    allowed = TYPES[argument.type]
    if not isinstance(value, allowed) or (isinstance(value, bool) and argument.type in ("int", "float")):
        raise PlaybookError(f"{module_name}: {name} cannot be {value!r}", f"it takes a value of type {argument.type}")
    return value
