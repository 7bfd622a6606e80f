"""Variables as templates see them: containers whose own templates are evaluated when an element is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator.values import Unsafe, Vaulted

# Evaluates one raw value: a template becomes its result, a container a lazy one, a vault its text.
Evaluator = Callable[[Any], Any]


def is_template(text: str) -> bool:
    """Whether a string is to be evaluated; an Unsafe one never is."""
    return ("{{" in text or "{%" in text or "{#" in text) and not isinstance(text, Unsafe)


def is_raw(value: Any) -> bool:
    """Whether a value, as it stands in a file, becomes something else when it is used."""
    kind = type(value)
    if kind is dict or kind is list:
        return True
    return kind is Vaulted or (isinstance(value, str) and is_template(value))


class LazyDict(dict[Any, Any]):
    """A mapping out of the variables; a value is evaluated when somebody asks for it, and kept."""

    __slots__ = ("_done", "_evaluate", "_finished")

    def __init__(self, values: Mapping[Any, Any], evaluate: Evaluator) -> None:
        super().__init__(values)
        self._evaluate = evaluate
        self._done: set[Any] = set()
        self._finished = False

    def resolve(self) -> None:
        """Evaluate all that is still raw, one level deep; what is put in later is data."""
        if not self._finished:
            for key in self:
                self[key]
            self._finished = True

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        if self._finished or key in self._done or not is_raw(value):
            return value
        value = self._evaluate(value)
        self._done.add(key)
        super().__setitem__(key, value)
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - this is what get is

    def __iter__(self) -> Iterator[Any]:
        # Overridden so that C code does not take this for a plain dict and read past `__getitem__`.
        return super().__iter__()


class LazyList(list[Any]):
    """A list out of the variables; an element is evaluated when somebody asks for it, and kept."""

    __slots__ = ("_done", "_evaluate", "_finished")

    def __init__(self, values: list[Any], evaluate: Evaluator) -> None:
        super().__init__(values)
        self._evaluate = evaluate
        self._done: set[int] = set()
        self._finished = False

    def resolve(self) -> None:
        """Evaluate all that is still raw, one level deep; what is put in later is data."""
        if not self._finished:
            for index in range(len(self)):
                self[index]
            self._finished = True

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, int):
            self.resolve()
            return super().__getitem__(index)
        value = super().__getitem__(index)
        place = index if index >= 0 else len(self) + index
        if self._finished or place in self._done or not is_raw(value):
            return value
        value = self._evaluate(value)
        self._done.add(place)
        super().__setitem__(place, value)
        return value

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __radd__(self, other: Any) -> Any:
        self.resolve()
        return [*other, *self] if isinstance(other, list) else NotImplemented


def _resolving(kind: type, name: str) -> Callable[..., Any]:
    plain = getattr(kind, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.resolve()
        return plain(self, *args, **kwargs)

    method.__name__ = name
    return method


# Everything else works on evaluated values, as with any dict or list.
for _name in ("items", "values", "copy", "pop", "popitem", "setdefault", "update", "clear"):
    setattr(LazyDict, _name, _resolving(dict, _name))
for _name in ("__eq__", "__ne__", "__or__", "__ror__", "__ior__", "__repr__", "__setitem__", "__delitem__"):
    setattr(LazyDict, _name, _resolving(dict, _name))
for _name in ("append", "extend", "insert", "remove", "pop", "clear", "index", "count", "sort", "reverse", "copy"):
    setattr(LazyList, _name, _resolving(list, _name))
for _name in ("__contains__", "__add__", "__iadd__", "__mul__", "__rmul__", "__imul__", "__repr__", "__reversed__"):
    setattr(LazyList, _name, _resolving(list, _name))
for _name in ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__setitem__", "__delitem__"):
    setattr(LazyList, _name, _resolving(list, _name))


class HostVars(Mapping[str, Any]):
    """The magic variable `hostvars`: the variables of every host, each evaluated against that host's own.

    Args:
        names: the hosts, in order.
        variables: all variables of a host by its name; called when they are asked for.
    """

    def __init__(self, names: list[str], variables: Callable[[str], Mapping[str, Any]]) -> None:
        self._names = names
        self._variables = variables

    def __getitem__(self, name: str) -> Any:
        from orchestrator.language.expressions import lazy_variables

        if name not in self._names:
            raise KeyError(name)
        return lazy_variables(self._variables(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"hostvars of {', '.join(self._names)}"
