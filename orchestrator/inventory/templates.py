"""Templates in the variables that Fleet reads before any play runs, like `ansible_host: "{{ subnet }}.7"`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from orchestrator.errors import ConfigurationError
from orchestrator.values import Unsafe


class TemplateError(ValueError):
    """A template that does not parse, names something undefined, or leads back to itself."""


def is_template(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and not isinstance(value, Unsafe) and ("{{" in value or "{%" in value)


def evaluate(value: str, variables: Mapping[str, Any]) -> Any:
    """The value of a template; of any type where it is one expression, else text.

    Args:
        value: a string with `{{ }}` in it.
        variables: all variables of the host; those that are templates themselves are evaluated where they are used.

    Raises:
        TemplateError: with the reason.
        ConfigurationError: a vault in it that cannot be opened, at its place.
    """
    # jinja2 costs more than the rest of an inventory, and most inventories have no templates here.
    from orchestrator.language.expressions import render

    try:
        return render(value, variables)
    except ConfigurationError as problem:
        if problem.location:
            raise
        raise TemplateError(problem.why or problem.what) from None
