"""Reads the keywords that plays, blocks, roles and tasks share, on top of what stands around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.documents import Document
from orchestrator.playbook.modules import find_module, short_name
from orchestrator.playbook.structure import Settings

Path = tuple[Any, ...]

# Keywords whose value is simply the innermost one.
_PLAIN = (
    "become",
    "become_user",
    "check_mode",
    "diff",
    "no_log",
    "ignore_errors",
    "ignore_unreachable",
    "any_errors_fatal",
    "delegate_to",
    "run_once",
    "timeout",
)


def inherit(outer: Settings, document: Document, value: Mapping[str, Any], path: Path) -> Settings:
    """`outer` with what the mapping at `path` says.

    Raises:
        PlaybookError: a keyword of the wrong shape, at its line and column.
    """
    said = {name: value[name] for name in _PLAIN if value.get(name) is not None}
    method = value.get("become_method")
    if method not in (None, "sudo", "ansible.builtin.sudo"):
        raise document.fail(f"become_method cannot be '{method}'", "allowed: sudo", path=(*path, "become_method"))
    return replace(
        outer,
        when=(*outer.when, *conditions(document, value, "when", path)),
        tags=outer.tags | tags(document, value, path),
        variables={**outer.variables, **mapping(document, value, "vars", path)},
        environment=(*outer.environment, *_environment(document, value, path)),
        module_defaults=_defaults(outer.module_defaults, document, value, path),
        notify=tuple(listed(value.get("notify"))) or outer.notify,
        **said,
    )


def conditions(document: Document, value: Mapping[str, Any], key: str, path: Path) -> tuple[Any, ...]:
    """One condition or a list of them, as a tuple; they stay as they are written."""
    found = value.get(key)
    if found is None:
        return ()
    for item in listed(found):
        if isinstance(item, (list, dict)) or (isinstance(item, str) and not item.strip()):
            raise document.fail(f"{key} is a condition or a list of them", path=(*path, key))
    return tuple(listed(found))


def listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def mapping(document: Document, value: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    """The mapping that stands under `key`, empty where there is none."""
    found = value.get(key)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise document.fail(f"{key} is a mapping", path=(*path, key))
    if key == "vars":
        for name in found:
            variable_name(document, name, (*path, key, name))
    return found


def variable_name(document: Document, name: Any, path: Path) -> str:
    """`name`, if it can name a variable."""
    if not isinstance(name, str) or not name.isidentifier():
        what = f"'{name}' cannot be the name of a variable"
        raise document.fail(what, "a name has letters, digits and underscores, and begins with no digit", path=path)
    return name


def sequence(document: Document, value: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    """The list that stands under `key`, empty where there is none."""
    found = value.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise document.fail(f"{key} is a list", path=(*path, key))
    return found


def tags(document: Document, value: Mapping[str, Any], path: Path) -> frozenset[str]:
    found = value.get("tags")
    if found is None:
        return frozenset()
    if isinstance(found, str):
        found = found.split(",")
    if isinstance(found, int):
        found = [found]
    if not isinstance(found, list) or not all(isinstance(tag, (str, int)) for tag in found):
        raise document.fail("tags is a list of words", path=(*path, "tags"))
    return frozenset(word.strip() for tag in found for word in str(tag).split(",") if word.strip())


def _environment(document: Document, value: Mapping[str, Any], path: Path) -> Sequence[Any]:
    found = value.get("environment")
    items = listed(found)
    for item in items:
        if not isinstance(item, (dict, str)):
            raise document.fail("environment is a mapping, or a list of them", path=(*path, "environment"))
    return items


def _defaults(
    outer: Mapping[str, Mapping[str, Any]], document: Document, value: Mapping[str, Any], path: Path
) -> Mapping[str, Mapping[str, Any]]:
    if value.get("module_defaults") is None:
        return outer
    result = dict(outer)
    for name, arguments in mapping(document, value, "module_defaults", path).items():
        here = (*path, "module_defaults", name)
        if str(name).startswith("group/"):
            raise document.fail("groups of modules are not known", "name each module", path=here)
        found = find_module(str(name))
        if found is None:
            raise document.fail(f"unknown module '{name}'", path=here)
        if not isinstance(arguments, dict):
            raise document.fail("the defaults of a module are a mapping", path=here)
        for argument in arguments:
            if found.argument(str(argument)) is None and not found.any_argument:
                why = f"known here: {', '.join(found.known)}"
                raise document.fail(f"{found.name} has no argument '{argument}'", why, path=(*here, argument))
        # The innermost mapping for a module replaces the outer one, as in Ansible.
        result[short_name(str(name))] = arguments
    return result
