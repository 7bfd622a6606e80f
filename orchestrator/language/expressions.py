"""Jinja2 expressions over a device's variables: sandboxed, with native types, evaluated on the controller only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.errors import ConfigurationError, Location, PlaybookError
from orchestrator.language.lazy import HostVars, LazyDict, is_template
from orchestrator.values import Vaulted

__all__ = [
    "HostVars",
    "condition",
    "evaluate",
    "has_template",
    "is_omitted",
    "lazy_variables",
    "render",
    "run_lookup",
    "to_bool",
]

_TRUE = ("1", "true", "yes", "on", "y", "t")


def has_template(value: Any) -> bool:
    """Whether a template stands anywhere in `value`."""
    if isinstance(value, str):
        return is_template(value)
    if isinstance(value, dict):
        return any(has_template(v) or has_template(k) for k, v in value.items())
    return isinstance(value, list) and any(has_template(v) for v in value)


def to_bool(value: Any) -> bool:
    """Truth of a keyword's value: a string is true when it is yes, on, 1, true in any case."""
    if isinstance(value, str):
        return value.strip().lower() in _TRUE
    return bool(value)


def render(value: Any, variables: Mapping[str, Any], location: Location | None = None) -> Any:
    """`value` with every template in it evaluated, in nested lists and mappings too.

    The result is data: braces in it are never evaluated again. What is `omit` is left out of lists and mappings; a
    value that is `omit` itself is returned as such (see `is_omitted`).

    Raises:
        PlaybookError: a template that does not parse, fails or names something undefined, at `location`.
    """
    if isinstance(value, str):
        return _template(value, variables, location) if is_template(value) else value
    if isinstance(value, Vaulted):
        return value.reveal()
    if isinstance(value, dict):
        found = {render(k, variables, location): render(v, variables, location) for k, v in value.items()}
        return {k: v for k, v in found.items() if not is_omitted(v)}
    if isinstance(value, list):
        items = [render(item, variables, location) for item in value]
        return [item for item in items if not is_omitted(item)]
    return value


def is_omitted(value: Any) -> bool:
    """Whether a rendered value is `omit`: the argument is to be treated as if it had not been written."""
    return type(value).__name__ == "_Omit"


def evaluate(expression: Any, variables: Mapping[str, Any], location: Location | None = None) -> Any:
    """The value of an expression written without braces, as in `until` or `debug: var=`.

    Raises:
        PlaybookError: as `render`.
    """
    from orchestrator.language import environment

    text = str(expression).strip()
    return _guarded(lambda: environment.finished(environment.evaluate_expression(text, variables)), text, location)


def condition(expression: Any, variables: Mapping[str, Any], location: Location | None = None) -> bool:
    """The truth of one condition of `when`, `until`, `failed_when`, `changed_when` or `assert`.

    Raises:
        PlaybookError: as `render`, and where the result is neither true nor false.
    """
    if isinstance(expression, bool):
        return expression
    text = str(expression).strip() if expression is not None else ""
    if not text:
        raise PlaybookError("a condition is empty", "", "remove it, or write true", location=location)
    if text.startswith("{{") and text.endswith("}}"):
        value = _template(text, variables, location)
    else:
        value = evaluate(text, variables, location)
    if isinstance(value, bool):
        return value
    raise PlaybookError(
        f"the condition '{text}' is neither true nor false",
        f"it gives {_shown(value)}",
        f"compare it, or write ({text}) is truthy, or | bool",
        location=location,
    )


def lazy_variables(variables: Mapping[str, Any]) -> LazyDict:
    """All variables of a host as one mapping whose templates are evaluated when they are used."""
    from orchestrator.language import environment

    return environment.lazy_variables(variables)


def run_lookup(
    name: str, terms: list[Any], variables: Mapping[str, Any], location: Location | None = None, **options: Any
) -> list[Any]:
    """What a lookup gives for evaluated terms, as a list; for `with_NAME` loops.

    Raises:
        PlaybookError: an unknown lookup, or one that fails.
    """
    from orchestrator.language import environment, lookups

    def run() -> list[Any]:
        return environment.finished(lookups.run(name, terms, variables, options))

    return _guarded(run, f"lookup '{name}'", location)


def _template(text: str, variables: Mapping[str, Any], location: Location | None) -> Any:
    from orchestrator.language import environment

    return _guarded(lambda: environment.finished(environment.evaluate_template(text, variables)), text, location)


def _guarded(compute: Callable[[], Any], text: str, location: Location | None) -> Any:
    """The result, with everything that can go wrong in a user's template said as one of our errors."""
    import jinja2

    try:
        return compute()
    except ConfigurationError as problem:
        # Of a variable's own template or a vault, which may have no place: the task that uses it has one.
        problem.location = problem.location or location
        raise
    except jinja2.UndefinedError as problem:
        remedy = "define it, or use | default(...)"
        raise PlaybookError(f"undefined in '{text}'", str(problem.message), remedy, location=location) from None
    except jinja2.exceptions.SecurityError as problem:
        raise PlaybookError(f"refused: '{text}'", str(problem), location=location) from None
    except jinja2.TemplateSyntaxError as problem:
        from orchestrator.language.names import about_name

        why, remedy = about_name(str(problem.message))
        raise PlaybookError(f"not an expression: '{text}'", why, remedy, location=location) from None
    except jinja2.TemplateError as problem:
        raise PlaybookError(f"cannot evaluate '{text}'", str(problem.message), location=location) from None
    except RecursionError:
        raise PlaybookError(f"cannot evaluate '{text}'", "it refers to itself", location=location) from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, OSError) as problem:
        why = f"{type(problem).__name__}: {problem}"
        raise PlaybookError(f"cannot evaluate '{text}'", why, location=location) from None


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f"the text '{value}'"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'}, a {type(value).__name__}"
