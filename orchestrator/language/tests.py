"""The tests (`x is ...`) that Ansible adds to Jinja2's own, with its names, arguments and results."""

from __future__ import annotations

import math
import operator
import os.path
import re
from collections.abc import Callable, Mapping
from functools import total_ordering
from typing import Any
from urllib.parse import urlparse

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(("==", "=", "eq"), operator.eq),
    **dict.fromkeys(("!=", "<>", "ne"), operator.ne),
    **dict.fromkeys(("<", "lt"), operator.lt),
    **dict.fromkeys(("<=", "le"), operator.le),
    **dict.fromkeys((">", "gt"), operator.gt),
    **dict.fromkeys((">=", "ge"), operator.ge),
}
_STRICT = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:([ab])(\d+))?")
_SEMANTIC = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)


def loose(text: str) -> list[Any]:
    """A version as numbers and words; those of other shapes cannot be compared."""
    return [int(part) if part.isdigit() else part for part in re.findall(r"\d+|[a-z]+|[^a-z\d.]+", text)]


def strict(text: str) -> tuple[Any, ...]:
    match = _STRICT.fullmatch(text)
    if not match:
        raise ValueError(f"'{text}' is not a version like 1.2.3 or 1.2a1")
    numbers = tuple(int(part or 0) for part in match.groups()[:3])
    # A pre-release comes before its release.
    return (*numbers, (match[4], int(match[5])) if match[4] else ("z", 0))


@total_ordering
class _Identifier:
    """A part of a semantic pre-release: numbers come before words."""

    def __init__(self, text: str) -> None:
        self.key = (0, int(text), "") if text.isdigit() else (1, 0, text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identifier) and self.key == other.key

    def __lt__(self, other: _Identifier) -> bool:
        return self.key < other.key

    __hash__ = None  # type: ignore[assignment]


def semantic(text: str) -> tuple[Any, ...]:
    match = _SEMANTIC.fullmatch(text)
    if not match:
        raise ValueError(f"'{text}' is not a semantic version like 1.2.3-rc.1")
    numbers = tuple(int(part) for part in match.groups()[:3])
    return (*numbers, not match[4], [_Identifier(part) for part in match[4].split(".")] if match[4] else [])


def pep440(text: str) -> Any:
    try:
        from packaging.version import Version
    except ImportError:
        raise ValueError("version_type 'pep440' needs the Python package packaging on the controller") from None
    return Version(text)


_KINDS: dict[str, Callable[[str], Any]] = {
    "loose": loose,
    "strict": strict,
    "semver": semantic,
    "semantic": semantic,
    "pep440": pep440,
}


def version(
    value: Any, version: Any, operator: str = "eq", strict: bool | None = None, version_type: str | None = None
) -> bool:
    """Compare versions: `tensorrt is version('8.5', '>=')`; version_type loose, strict, semver or pep440."""
    if strict is not None and version_type is not None:
        raise ValueError("give strict or version_type, not both")
    if not value or not version:
        raise ValueError("a version is empty")
    if operator not in _COMPARISONS:
        raise ValueError(f"'{operator}' is not one of {', '.join(_COMPARISONS)}")
    kind = "strict" if strict else version_type or "loose"
    if kind not in _KINDS:
        raise ValueError(f"version_type is one of {', '.join(_KINDS)}, not '{kind}'")
    read = _KINDS[kind]
    try:
        return _COMPARISONS[operator](read(str(value)), read(str(version)))
    except TypeError:
        raise ValueError(f"'{value}' and '{version}' cannot be compared") from None


def _result(value: Any, test: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"'is {test}' asks about a registered result, not about a {type(value).__name__}")
    return value


def _says(key: str) -> Callable[[Any], bool]:
    return lambda result: bool(_result(result, key).get(key))


def _says_not(key: str) -> Callable[[Any], bool]:
    return lambda result: not _result(result, key).get(key)


def changed(result: Any) -> bool:
    found = _result(result, "changed")
    if "changed" in found:
        return bool(found["changed"])
    results = found.get("results")
    return isinstance(results, list) and any(isinstance(one, Mapping) and one.get("changed") for one in results)


def _of_job(key: str) -> Callable[[Any], bool]:
    # A task that was no job has started and finished when it has a result.
    return lambda result: bool(_result(result, key).get(key, True))


def timedout(result: Any) -> bool:
    found = _result(result, "timedout").get("timedout")
    return bool(found and found.get("period"))


def regex(
    value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False, match_type: str = "search"
) -> bool:
    flags = (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)
    compiled = re.compile(pattern, flags)
    how = {"match": compiled.match, "fullmatch": compiled.fullmatch}.get(match_type, compiled.search)
    return bool(how(value.decode() if isinstance(value, bytes) else str(value)))


def match(value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False) -> bool:
    return regex(value, pattern, ignorecase, multiline, "match")


def search(value: Any, pattern: str = "", ignorecase: bool = False, multiline: bool = False) -> bool:
    return regex(value, pattern, ignorecase, multiline)


def truthy(value: Any, convert_bool: bool = False) -> bool:
    if convert_bool and isinstance(value, str) and value.strip().lower() in ("0", "n", "no", "f", "false", "off"):
        return False
    return bool(value)


def falsy(value: Any, convert_bool: bool = False) -> bool:
    return not truthy(value, convert_bool)


def is_nan(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isnan(value)


def _uri(value: Any, *schemes: str) -> bool:
    parts = urlparse(str(value))
    return bool(parts.scheme) and (not schemes or parts.scheme in schemes)


_FAILED, _SUCCESS, _SKIPPED = _says("failed"), _says_not("failed"), _says("skipped")

TESTS: dict[str, Callable[..., Any]] = {
    "abs": os.path.isabs,
    "all": all,
    "any": any,
    "change": changed,
    "changed": changed,
    "contains": lambda values, value: value in values,
    "directory": os.path.isdir,
    "exists": os.path.exists,
    "failed": _FAILED,
    "failure": _FAILED,
    "falsy": falsy,
    "file": os.path.isfile,
    "finished": _of_job("finished"),
    "is_abs": os.path.isabs,
    "is_dir": os.path.isdir,
    "is_file": os.path.isfile,
    "is_link": os.path.islink,
    "is_mount": os.path.ismount,
    "is_same_file": os.path.samefile,
    "isnan": is_nan,
    "issubset": lambda left, right: set(left) <= set(right),
    "issuperset": lambda left, right: set(left) >= set(right),
    "link": os.path.islink,
    "link_exists": os.path.lexists,
    "match": match,
    "mount": os.path.ismount,
    "nan": is_nan,
    "reachable": _says_not("unreachable"),
    "regex": regex,
    "same_file": os.path.samefile,
    "search": search,
    "skip": _SKIPPED,
    "skipped": _SKIPPED,
    "started": _of_job("started"),
    "subset": lambda left, right: set(left) <= set(right),
    "succeeded": _SUCCESS,
    "success": _SUCCESS,
    "successful": _SUCCESS,
    "superset": lambda left, right: set(left) >= set(right),
    "timedout": timedout,
    "truthy": truthy,
    "unreachable": _says("unreachable"),
    "uri": _uri,
    "url": lambda value, *schemes: _uri(value, *schemes) and bool(urlparse(str(value)).netloc),
    "urn": lambda value: str(value).startswith("urn:"),
    "version": version,
    "version_compare": version,
}

VERSION_FILTERS = {"version": version, "version_compare": version}
