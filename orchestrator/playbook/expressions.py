"""Jinja2 expressions over a device's variables: sandboxed, with native types, evaluated on the controller only."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from orchestrator.errors import Location, PlaybookError

# Names being resolved at the moment, so that a variable that refers to itself is an error and not a recursion.
_resolving: ContextVar[tuple[str, ...]] = ContextVar("resolving", default=())


def has_template(value: Any) -> bool:
    """Whether a template stands anywhere in `value`."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, dict):
        return any(has_template(v) or has_template(k) for k, v in value.items())
    return isinstance(value, list) and any(has_template(v) for v in value)


@lru_cache(maxsize=1)
def _environment() -> Any:
    import jinja2
    from jinja2.nativetypes import NativeEnvironment
    from jinja2.runtime import Context
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class LazyContext(Context):
        """Variables may hold templates themselves; they are evaluated when they are used, as Ansible does."""

        def resolve_or_missing(self, key: str) -> Any:
            value = super().resolve_or_missing(key)
            if not isinstance(value, (str, list, dict)) or not has_template(value):
                return value
            if key in _resolving.get():
                raise jinja2.UndefinedError(f"'{key}' refers to itself")
            token = _resolving.set((*_resolving.get(), key))
            try:
                return render(value, self.get_all())
            finally:
                _resolving.reset(token)

    class Environment(ImmutableSandboxedEnvironment, NativeEnvironment):
        """Sandboxed as templates of others must be; native so that `{{ 4 }}` is a number."""

        context_class = LazyContext

    environment = Environment(undefined=jinja2.StrictUndefined)
    environment.filters["bool"] = to_bool
    return environment


def to_bool(value: Any) -> bool:
    """Truth as Ansible's `bool` filter has it: yes, on, 1, true in any case."""
    if isinstance(value, str):
        return value.strip().lower() in ("1", "true", "yes", "on", "y", "t")
    return bool(value)


def render(value: Any, variables: Mapping[str, Any], location: Location | None = None) -> Any:
    """`value` with every template in it evaluated, in nested lists and mappings too.

    Raises:
        PlaybookError: a template that does not parse or names something undefined, at the task's location.
    """
    if isinstance(value, str):
        return _evaluate(value, variables, location) if has_template(value) else value
    if isinstance(value, dict):
        return {render(k, variables, location): render(v, variables, location) for k, v in value.items()}
    if isinstance(value, list):
        return [render(item, variables, location) for item in value]
    return value


def condition(expression: Any, variables: Mapping[str, Any], location: Location | None = None) -> bool:
    """The truth of a `when` expression (written without braces).

    Raises:
        PlaybookError: as `render`.
    """
    if isinstance(expression, bool):
        return expression
    return to_bool(_evaluate("{{ " + str(expression) + " }}", variables, location))


def _evaluate(template: str, variables: Mapping[str, Any], location: Location | None) -> Any:
    import jinja2

    try:
        value = _environment().from_string(template).render(variables)
        # An undefined result is not an error in a native environment until somebody uses it: use it here.
        if isinstance(value, jinja2.Undefined):
            value._fail_with_undefined_error()
        return value
    except PlaybookError as problem:
        # Of a variable's own template, which has no place: the task that uses it has one.
        problem.location = problem.location or location
        raise
    except jinja2.UndefinedError as problem:
        what = f"undefined in '{template}'"
        raise PlaybookError(what, str(problem.message), "define it, or use | default(...)", location=location) from None
    except jinja2.TemplateSyntaxError as problem:
        raise PlaybookError(f"not an expression: '{template}'", str(problem.message), location=location) from None
    except jinja2.exceptions.SecurityError as problem:
        raise PlaybookError(f"refused: '{template}'", str(problem), location=location) from None
    except (TypeError, ValueError, ArithmeticError, LookupError) as problem:
        why = f"{type(problem).__name__}: {problem}"
        raise PlaybookError(f"cannot evaluate '{template}'", why, location=location) from None
