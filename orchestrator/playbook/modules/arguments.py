"""The arguments of modules: their types, and the conversions that Ansible's users rely on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import PlaybookError

if TYPE_CHECKING:
    from orchestrator.playbook.modules import Module

_TRUE = ("y", "yes", "on", "1", "true", "t")
_FALSE = ("n", "no", "off", "0", "false", "f")


@dataclass(frozen=True)
class Argument:
    """One argument of a module.

    Args:
        type: a name in TYPES; values that Ansible would convert are converted.
        help: one line.
        choices: the values allowed; for a list, the items allowed.
        aliases: other names that people know it by.
        elements: for a list, the type of each item.
        secret: its value is never shown.
    """

    type: str
    help: str
    default: Any = None
    required: bool = False
    choices: tuple[Any, ...] = ()
    aliases: tuple[str, ...] = ()
    elements: str = "any"
    secret: bool = False


def _text(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return json.dumps(value, default=str)
    return str(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError
    if isinstance(value, float) and not value.is_integer():
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    return value if isinstance(value, int) else float(value)


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE or value == 1:
        return True
    if text in _FALSE or value == 0:
        return False
    raise ValueError


def _items(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()] if value.strip() else []
    if isinstance(value, (int, float)):
        return [str(value)]
    raise ValueError


def _mapping(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("{"):
            found = json.loads(text)
            if isinstance(found, dict):
                return found
        elif "=" in text:
            from orchestrator.playbook.keyvalue import parse_key_values

            return parse_key_values(text)
    raise ValueError


def _anything(value: Any) -> Any:
    return value


TYPES: Mapping[str, Callable[[Any], Any]] = {
    "str": _text,
    "path": _text,
    "int": _whole,
    "float": _number,
    "bool": _truth,
    "list": _items,
    "dict": _mapping,
    "any": _anything,
}
"""Each converts a value or raises a ValueError. `path` is a file on the device: `~` and `$HOME` are expanded there."""


def checked(found: Module, args: Mapping[str, Any]) -> dict[str, Any]:
    """The evaluated arguments under their own names, with types converted and defaults filled in.

    Raises:
        PlaybookError: an unknown or missing argument, a value of the wrong type or outside its choices.
    """
    result = {name: argument.default for name, argument in found.arguments.items()}
    given: dict[str, str] = {}
    for written, value in args.items():
        name = found.argument(written)
        if name is None:
            if not found.any_argument:
                raise PlaybookError(
                    f"{found.name} has no argument '{written}'", f"known here: {', '.join(found.known)}"
                )
            result[written] = value
            continue
        if value is None:
            continue
        if name in given and written != name:
            continue  # its own name wins over an alias, as in Ansible
        given[name] = written
        result[name] = _converted(found.name, written, found.arguments[name], value)
    missing = [name for name, argument in found.arguments.items() if argument.required and name not in given]
    if missing:
        raise PlaybookError(f"{found.name} needs {' and '.join(missing)}", "it was not given, or is null")
    return result


def checked_value(found: Module, written: str, value: Any) -> Any:
    """One argument's value, converted. Raises PlaybookError as `checked`."""
    name = found.argument(written)
    assert name is not None
    return _converted(found.name, written, found.arguments[name], value)


def _converted(module_name: str, name: str, argument: Argument, value: Any) -> Any:
    try:
        converted = TYPES[argument.type](value)
        if argument.type == "list" and argument.elements != "any":
            converted = [TYPES[argument.elements](item) for item in converted]
    except (ValueError, TypeError):
        shown = "a secret" if argument.secret else repr(value)
        why = f"it takes a value of type {argument.type}"
        raise PlaybookError(f"{module_name}: {name} cannot be {shown}", why) from None
    if argument.choices:
        many = argument.type == "list"
        items = [_chosen(argument, item) for item in (converted if many else [converted])]
        for item in items:
            if item not in argument.choices:
                allowed = ", ".join(map(str, argument.choices))
                raise PlaybookError(f"{module_name}: {name} cannot be '{item}'", f"allowed: {allowed}")
        converted = items if many else items[0]
    return converted


def _chosen(argument: Argument, value: Any) -> Any:
    # YAML reads an unquoted `no` or `off` as false; the choice that was written is meant.
    if value in ("True", "False") and value not in argument.choices:
        words = _TRUE if value == "True" else _FALSE
        meant = [choice for choice in argument.choices if choice in words]
        return meant[0] if len(meant) == 1 else value
    return value
