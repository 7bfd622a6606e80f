"""The Jinja2 environment of playbooks: sandboxed, native types, lazy variables, undefined values that can be caught."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import jinja2
from jinja2.lexer import TOKEN_STRING, TOKEN_VARIABLE_BEGIN, TOKEN_VARIABLE_END, TokenStream
from jinja2.nativetypes import NativeCodeGenerator
from jinja2.runtime import ChainableUndefined, Context, Macro, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import missing

from orchestrator.errors import PlaybookError
from orchestrator.language import filters, lookups, tests
from orchestrator.language.lazy import LazyDict, LazyList, is_raw
from orchestrator.values import Unsafe, Vaulted, unsafe

_DEEPEST = 100
# Variables being evaluated now, innermost last, so that one that leads back to itself is an error and not a recursion.
_evaluating: ContextVar[tuple[tuple[int, str], ...]] = ContextVar("evaluating", default=())

# What may take an undefined argument; everything else hands it on, so that a `default` further on still works.
_TAKE_UNDEFINED = frozenset({"default", "d", "mandatory", "ternary", "type_debug", "defined", "undefined"})
# What may meet undefined elements in a list.
_TAKE_UNDEFINED_ELEMENTS = frozenset(
    {"map", "select", "reject", "selectattr", "rejectattr", "first", "last", "length", "count"}
)


class Undefined(ChainableUndefined, StrictUndefined):
    """Something that is not there: its parts are not there either, and any use of it is an error."""

    __slots__ = ()


class _Omit:
    """What `omit` gives: the argument, element or key that has it is left out."""

    def __repr__(self) -> str:
        return "omit"


OMIT = _Omit()


class FilterError(jinja2.TemplateRuntimeError):
    """A filter, test or lookup that failed, with its name in front of the reason."""


class LazyContext(Context):
    """Variables hold templates themselves; they are evaluated when they are used."""

    def resolve_or_missing(self, key: str) -> Any:
        value = super().resolve_or_missing(key)
        if value is missing:
            return lazy_variables(self.parent) if key == "vars" else self.environment.globals.get(key, missing)
        return evaluate_raw(value, self.parent, key) if is_raw(value) else value


class Environment(SandboxedEnvironment):
    """Sandboxed, for playbooks of others are run too; `yaml_strings` keeps backslashes as YAML left them."""

    context_class = LazyContext
    code_generator_class = NativeCodeGenerator
    yaml_strings = True

    def __init__(self, **options: Any) -> None:
        # Nothing is computed at compile time: a compiled template is kept, and `now()` or `random` must not be.
        super().__init__(undefined=Undefined, optimized=False, trim_blocks=True, **options)
        self.finalize = _finalize
        self.filters: Any = _guarded_table({**self.filters, **filters.FILTERS})
        self.tests: Any = _guarded_table({**self.tests, **tests.TESTS})
        self.globals.update(lookup=_lookup, query=_query, q=_query, omit=OMIT, now=_now, undef=_undef)

    @staticmethod
    def concat(nodes: Iterable[Any]) -> Any:  # type: ignore[override]
        """One expression keeps its type; several parts become text, in which None is nothing."""
        parts = [part for part in _flat(nodes) if part is not None]
        if len(parts) <= 1:
            return parts[0] if parts else None
        for part in parts:
            undefined = first_undefined(part)
            if undefined is not None:
                return undefined
        return "".join(str(_with_lists(part)) for part in parts)

    def getattr(self, obj: Any, attribute: str) -> Any:
        value = super().getattr(obj, attribute)
        # A key that is called like a method that the sandbox hides is still a key.
        if isinstance(value, Undefined) and isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return value

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        if isinstance(obj, Undefined):
            return obj
        if not isinstance(obj, Macro) and obj not in (_lookup, _query):
            for argument in (*args, *kwargs.values()):
                undefined = first_undefined(argument)
                if undefined is not None:
                    return undefined
        return _listed(super().call(context, obj, *args, **kwargs))

    def _tokenize(self, source: str, name: str | None, filename: str | None = None, state: str | None = None) -> Any:
        if not self.yaml_strings or "\\" not in source:
            return super()._tokenize(source, name, filename, state)
        tokens = self.lexer.tokeniter(self.preprocess(source, name, filename), name, filename, state)
        return TokenStream(self.lexer.wrap(_raw_strings(tokens), name, filename), name, filename)


def _raw_strings(tokens: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
    """Backslashes in the strings of `{{ }}` mean themselves: YAML has read the escapes already."""
    inside = False
    for line, kind, text in tokens:
        if kind in (TOKEN_VARIABLE_BEGIN, TOKEN_VARIABLE_END):
            inside = kind == TOKEN_VARIABLE_BEGIN
        yield line, kind, text.replace("\\", "\\\\") if inside and kind == TOKEN_STRING else text


@jinja2.pass_context
def _finalize(_context: Any, value: Any) -> Any:
    # Its decorator is what it is for: it keeps the compiler from turning constants into text.
    return value


@jinja2.pass_context
def defined_only(_context: Any, value: Any) -> Any:
    """The `finalize` of template files, where an undefined value is told while its line is still known."""
    undefined = first_undefined(value)
    if undefined is not None:
        undefined._fail_with_undefined_error()
    return value


def _with_lists(value: Any) -> Any:
    """Tuples as lists, as they look once they are variables."""
    if isinstance(value, dict):
        return {key: _with_lists(item) for key, item in value.items()}
    return [_with_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def _flat(nodes: Iterable[Any]) -> Iterator[Any]:
    for node in nodes:
        if isinstance(node, jinja2.environment.TemplateModule):
            yield from _flat(node._body_stream)
        else:
            yield node


def _guarded_table(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    table = {}
    for name, function in functions.items():
        guarded = _guarded(name, function)
        for prefix in ("", "ansible.builtin.", "ansible.legacy."):
            table[prefix + name] = guarded
    return table


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter or test with evaluated arguments, undefined ones handed on, and errors that name it."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if name not in _TAKE_UNDEFINED:
            shallow = name in _TAKE_UNDEFINED_ELEMENTS
            for argument in (*args, *kwargs.values()):
                undefined = first_undefined(argument, elements=not shallow)
                if undefined is not None:
                    return undefined
        try:
            return _listed(function(*args, **kwargs))
        except (jinja2.TemplateError, PlaybookError):
            raise
        except RecursionError:
            raise
        except Exception as problem:
            raise FilterError(f"{name}: {problem or type(problem).__name__}") from problem

    return call


def _listed(value: Any) -> Any:
    """A list where a filter or call gave something that can be read only once."""
    return list(value) if isinstance(value, Iterator) else value


def first_undefined(value: Any, *, elements: bool = True) -> jinja2.Undefined | None:
    """Evaluate everything in a value; the first undefined one, or None.

    elements: whether what stands inside counts; without it only the value itself does.
    """
    # Jinja2's own class too: it is what `x if condition` without an else gives.
    if isinstance(value, jinja2.Undefined):
        return value
    if isinstance(value, (LazyDict, LazyList)):
        value.resolve()
    elif type(value) not in (dict, list, tuple):
        return None
    for item in value.values() if isinstance(value, dict) else value:
        undefined = first_undefined(item)
        if undefined is not None and elements:
            return undefined
    return None


def evaluate_raw(value: Any, variables: Mapping[str, Any], name: str = "") -> Any:
    """What a value as written becomes: lazily, with an Undefined where something is undefined."""
    if isinstance(value, Vaulted):
        return value.reveal()
    if isinstance(value, dict):
        return LazyDict(value, functools.partial(evaluate_raw, variables=variables))
    if isinstance(value, list):
        return LazyList(value, functools.partial(evaluate_raw, variables=variables))
    if not is_raw(value):
        return value
    stack = _evaluating.get()
    key = (id(variables), name or value)
    if key in stack or len(stack) > _DEEPEST:
        raise jinja2.TemplateRuntimeError(f"'{name or value}' refers to itself")
    token = _evaluating.set((*stack, key))
    try:
        return unsafe_text(evaluate_template(value, variables))
    except jinja2.exceptions.SecurityError:
        raise
    except jinja2.UndefinedError as problem:
        return Undefined(hint=problem.message)
    finally:
        _evaluating.reset(token)


def unsafe_text(value: Any) -> Any:
    """The result of a template: a text is data from now on."""
    return unsafe(value) if isinstance(value, str) else value


def lazy_variables(variables: Mapping[str, Any]) -> LazyDict:
    """All variables of a host as one lazy mapping."""
    return LazyDict(variables, functools.partial(evaluate_raw, variables=variables))


def finished(value: Any) -> Any:
    """A result as plain values: everything evaluated, what is omitted left out, braces in it data from now on.

    Raises:
        jinja2.UndefinedError: something in it is undefined.
        TypeError: a value that no variable can hold, like a function.
    """
    if value is None or isinstance(value, (bool, int, float, bytes, datetime.date, datetime.time, datetime.timedelta)):
        return value
    if isinstance(value, str):
        return unsafe(value) if type(value) in (str, Unsafe) else unsafe(str(value))
    if isinstance(value, jinja2.Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, Vaulted):
        return value.reveal()
    if value is OMIT:
        return OMIT
    if isinstance(value, Mapping):
        return {finished(k): finished(item) for k, item in value.items() if item is not OMIT}
    if isinstance(value, Iterable):
        return [finished(item) for item in value if item is not OMIT]
    raise TypeError(f"a variable cannot hold a value of type {type(value).__name__}")


@functools.cache
def environment() -> Environment:
    """The environment for strings out of YAML."""
    return Environment()


def evaluate_template(source: str, variables: Mapping[str, Any]) -> Any:
    """What a template out of YAML becomes; trailing newlines of a text are kept as they are written."""
    compiled = _template(source)
    # Shared: the variables are looked up where they are; copying hundreds of them would cost more than the rest.
    context = compiled.new_context(variables, shared=True)  # type: ignore[arg-type]  # any mapping will do
    value = environment().concat(compiled.root_render_func(context))
    if isinstance(value, str) and source.endswith("\n"):
        newlines = len(source) - len(source.rstrip("\n"))
        value += "\n" * max(newlines - (len(value) - len(value.rstrip("\n"))), 0)
    return value


def evaluate_expression(source: str, variables: Mapping[str, Any]) -> Any:
    """The value of an expression without braces."""
    compiled = _expression(source)
    context = compiled.new_context(variables, shared=True)  # type: ignore[arg-type]  # any mapping will do
    for _ in compiled.root_render_func(context):
        pass
    return context.vars["result"]


@functools.lru_cache(maxsize=4096)
def _template(source: str) -> jinja2.Template:
    return environment().from_string(source)


@functools.lru_cache(maxsize=4096)
def _expression(source: str) -> jinja2.Template:
    # What Jinja2 makes of an expression: a template that assigns it to `result`.
    return environment().compile_expression(source, undefined_to_none=False)._template


@jinja2.pass_context
def _lookup(context: Any, name: str, /, *terms: Any, **options: Any) -> Any:
    if options.pop("wantlist", False):
        return _query(context, name, *terms, **options)
    found = _query(context, name, *terms, **options)
    if isinstance(found, jinja2.Undefined):
        return found
    if not found and options.get("errors", "strict") != "strict":
        return None
    if len(found) == 1:
        return found[0]
    return ",".join(found) if found and all(isinstance(item, str) for item in found) else found


@jinja2.pass_context
def _query(context: Any, name: str, /, *terms: Any, **options: Any) -> Any:
    options.pop("wantlist", None)
    errors = options.pop("errors", "strict")
    default = options.get("default")
    for value in (*terms, *options.values()):
        undefined = first_undefined(value)
        if undefined is not None and value is not default:
            return undefined
    try:
        return lookups.run(name, [_term(term, context.parent) for term in terms], context.parent, options)
    except (jinja2.TemplateError, PlaybookError):
        raise
    except Exception as problem:
        if errors in ("ignore", "warn"):
            return []
        raise FilterError(f"lookup {name}: {problem}") from problem


def _term(term: Any, variables: Mapping[str, Any]) -> Any:
    # `lookup('file', '{{ name }}.txt')`: a constant of the user's own template may be one itself, as Ansible has it.
    return evaluate_raw(term, variables) if type(term) is str and is_raw(term) else term


def _now(utc: bool = False, fmt: str | None = None) -> Any:
    """The time on the controller, as a datetime or formatted."""
    time = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) if utc else datetime.datetime.now()
    return time.strftime(fmt) if fmt else time


def _undef(hint: str | None = None) -> Undefined:
    """An undefined value on purpose: a variable that somebody has to override."""
    return Undefined(hint=hint or "a mandatory variable was not overridden")
