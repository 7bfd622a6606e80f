"""What an action accepts, checked before anything is touched.

    @accepts(digest=Text(pattern=SHA256), size_bytes=Integer(minimum=0))
    def blob_prepare(args, context): ...

`args` is then an object with one attribute per argument. An unknown argument, a missing one or a wrong value is
refused, naming the argument and what is allowed.
"""

import re

from .errors import ActionError

SHA256 = r"[0-9a-f]{64}"
SHA1 = r"[0-9a-f]{40}"
NAME = r"[A-Za-z0-9][A-Za-z0-9._+@=-]{0,199}"
"""A name that becomes a folder's: no slash, no leading dot."""

REQUIRED = object()


class Argument(object):
    """One argument; `check` returns the value to use or raises ValueError that says what is allowed."""

    def __init__(self, default=REQUIRED):
        self.default = default

    def check(self, value):
        raise NotImplementedError


class Text(Argument):
    """A string, optionally one of `choices` or matching `pattern` from end to end."""

    def __init__(self, default=REQUIRED, choices=None, pattern=None, allowed=None):
        super(Text, self).__init__(default)
        self.choices = choices
        self.pattern = pattern
        self.allowed = allowed or "text that matches {}".format(pattern)

    def check(self, value):
        if not isinstance(value, str) or "\0" in value:
            raise ValueError("text")
        if self.choices and value not in self.choices:
            raise ValueError(", ".join(self.choices))
        if self.pattern and not re.match("(?:{})\\Z".format(self.pattern), value):
            raise ValueError(self.allowed)
        return value


class Integer(Argument):
    """A whole number of at least `minimum` and at most `maximum`."""

    def __init__(self, default=REQUIRED, minimum=None, maximum=None):
        super(Integer, self).__init__(default)
        self.minimum = minimum
        self.maximum = maximum

    def check(self, value):
        good = isinstance(value, int) and not isinstance(value, bool)
        if good and self.minimum is not None:
            good = value >= self.minimum
        if good and self.maximum is not None:
            good = value <= self.maximum
        if not good:
            bounds = [] if self.minimum is None else ["at least {}".format(self.minimum)]
            bounds += [] if self.maximum is None else ["at most {}".format(self.maximum)]
            raise ValueError(" ".join(["a whole number"] + [" and ".join(bounds)]).strip())
        return value


class Number(Argument):
    """A number greater than zero."""

    def check(self, value):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
            raise ValueError("a number greater than 0")
        return value


class Flag(Argument):
    """true or false."""

    def check(self, value):
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return value


class Mapping(Argument):
    """A JSON object."""

    def check(self, value):
        if not isinstance(value, dict):
            raise ValueError("an object")
        return value


class Sequence(Argument):
    """A list whose items all pass `item`; not empty where `minimum` is 1."""

    def __init__(self, item, default=REQUIRED, minimum=0):
        super(Sequence, self).__init__(default)
        self.item = item
        self.minimum = minimum

    def check(self, value):
        if not isinstance(value, list) or len(value) < self.minimum:
            raise ValueError("a list" if not self.minimum else "a list of at least {}".format(self.minimum))
        try:
            return [self.item.check(entry) for entry in value]
        except ValueError as problem:
            raise ValueError("a list where each item is {}".format(problem))


class Record(Argument):
    """A JSON object with exactly these fields."""

    def __init__(self, default=REQUIRED, **fields):
        super(Record, self).__init__(default)
        self.fields = fields

    def check(self, value):
        if not isinstance(value, dict):
            raise ValueError("an object of {}".format(", ".join(sorted(self.fields))))
        unknown = sorted(set(value) - set(self.fields))
        if unknown:
            raise ValueError("an object of {} (not {})".format(", ".join(sorted(self.fields)), ", ".join(unknown)))
        return {name: _one("'{}' in it".format(name), field, value, name) for name, field in self.fields.items()}


class Arguments(object):
    """The checked arguments of one call, as attributes."""

    def __init__(self, values):
        self.__dict__.update(values)


def _one(title, argument, values, name):
    value = values.get(name)
    if value is None:
        if argument.default is REQUIRED:
            raise ValueError("an object whose {} is given".format(title))
        return argument.default
    try:
        return argument.check(value)
    except ValueError as problem:
        raise ValueError("an object whose {} is {}".format(title, problem))


def accepts(**schema):
    """Decorate an action with its arguments; null counts as not given."""

    def decorate(function):
        function.schema = schema
        return function

    return decorate


def check(action, schema, values):
    """The `Arguments` of a call. raises: ActionError (kind refused)."""
    if not isinstance(values, dict):
        raise ActionError("{}: 'args' must be an object".format(action), kind="refused")
    for name in sorted(values, key=str):
        if name not in schema:
            import difflib

            close = difflib.get_close_matches(str(name), list(schema), 1, 0.5)
            raise ActionError(
                "{}: unknown argument '{}'".format(action, name),
                "known: {}".format(", ".join(sorted(schema)) or "none"),
                "did you mean '{}'?".format(close[0]) if close else "",
                kind="refused",
                argument=str(name),
            )
    checked = {}
    for name, argument in schema.items():
        value = values.get(name)
        if value is None:
            if argument.default is REQUIRED:
                raise ActionError("{}: argument '{}' is missing".format(action, name), kind="refused", argument=name)
            checked[name] = argument.default
            continue
        try:
            checked[name] = argument.check(value)
        except ValueError as problem:
            raise ActionError(
                "{}: argument '{}' is {}".format(action, name, _shown(value)),
                "allowed: {}".format(problem),
                kind="refused",
                argument=name,
            )
    return Arguments(checked)


def _shown(value):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
