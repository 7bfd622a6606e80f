"""Templates in the variables that Fleet reads before any play runs, like `ansible_host: "{{ subnet }}.7"`."""

from __future__ import annotations

import functools
import threading
from collections.abc import Mapping
from typing import Any, TypeGuard

from orchestrator.values import Unsafe, Vaulted

_MOST_DEEP = 30
_nesting = threading.local()


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
    """
    import jinja2

    environment = _environment()
    _nesting.depth = depth = getattr(_nesting, "depth", 0) + 1
    try:
        if depth > _MOST_DEEP:
            raise TemplateError("it leads back to itself")
        text = value.strip()
        expression = text[2:-2] if text.startswith("{{") and text.endswith("}}") else None
        if expression is not None and "{{" not in expression and "}}" not in expression:
            result = environment.compile_expression(expression, undefined_to_none=False)(**variables)
            if isinstance(result, jinja2.Undefined):
                str(result)  # raises with the name
        else:
            result = environment.from_string(value).render(**variables)
        return evaluate(result, variables) if is_template(result) else result
    except TemplateError:
        raise
    except jinja2.TemplateError as problem:
        raise TemplateError(problem.message or type(problem).__name__) from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        # What the user's own expression does wrong.
        raise TemplateError(f"{type(problem).__name__}: {problem}") from None
    finally:
        _nesting.depth = depth - 1


@functools.cache
def _environment() -> Any:
    # jinja2 costs more than the rest of an inventory, and most inventories have no templates here.
    import jinja2
    from jinja2.sandbox import SandboxedEnvironment

    class Context(jinja2.runtime.Context):
        def resolve_or_missing(self, key: str) -> Any:
            value = super().resolve_or_missing(key)
            if isinstance(value, Vaulted):
                return value.reveal()
            return evaluate(value, self.get_all()) if is_template(value) else value

    class Environment(SandboxedEnvironment):
        context_class = Context

    return Environment(undefined=jinja2.StrictUndefined)
