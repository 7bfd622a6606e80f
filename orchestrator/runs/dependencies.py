"""Whether a task's expressions need the result of a task that was not run yet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from orchestrator.language.expressions import has_template

if TYPE_CHECKING:
    from orchestrator.playbook.structure import Task

# Through these, any variable can be reached by a name that is computed.
_EVERYTHING = frozenset({"vars", "hostvars"})
_LOOKUP = re.compile(r"\b(lookup|query|q)\s*\(")


def needs(task: Task, variables: Mapping[str, Any], pending: Iterable[str]) -> bool:
    """Whether what is to be evaluated before `task` can be sent names one of `pending`, directly or through variables.

    Args:
        pending: names that tasks sent together with this one will register.
    """
    waiting = frozenset(pending)
    if not waiting:
        return False
    if task.module.reads_variables:
        return True
    said, loop = task.settings, task.loop
    todo: list[Any] = [task.args, said.variables, list(said.environment), dict(said.module_defaults)]
    todo += [said.become, said.become_user, said.check_mode, said.no_log, said.ignore_errors, said.timeout]
    todo += [loop.items, loop.extended, loop.label] if loop else []
    names = {name for value in todo for name in _names_in(value)}
    for expression in (*said.when, *(task.args.get(name) for name in task.module.raw)):
        names |= _names_of("{{ " + str(expression) + " }}")
    return _reaches(names, variables, waiting)


def _reaches(names: set[str], variables: Mapping[str, Any], waiting: frozenset[str]) -> bool:
    seen: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in waiting or name in _EVERYTHING:
            return True
        if name in seen:
            continue
        seen.add(name)
        todo += _names_in(variables.get(name))
    return False


def _names_in(value: Any) -> set[str]:
    if isinstance(value, str):
        return set(_names_of(value)) if has_template(value) else set()
    if isinstance(value, Mapping):
        return {name for pair in value.items() for part in pair for name in _names_in(part)}
    if isinstance(value, (list, tuple)):
        return {name for item in value for name in _names_in(item)}
    return set()


@lru_cache(maxsize=4096)
def _names_of(template: str) -> frozenset[str]:
    if _LOOKUP.search(template):
        return _EVERYTHING
    import jinja2
    from jinja2 import meta

    from orchestrator.language.environment import environment

    try:
        return frozenset(meta.find_undeclared_variables(environment().parse(str(template))))
    except jinja2.TemplateError:
        return _EVERYTHING  # the error is said when the task is evaluated
