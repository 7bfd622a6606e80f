"""The filters that Ansible adds to Jinja2's own, with its names, arguments and results."""

from __future__ import annotations

import base64
import datetime
import glob
import hashlib
import itertools
import json
import math
import os.path
import random
import re
import shlex
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

import jinja2
import yaml
from jinja2.filters import do_unique

from orchestrator.language.sizes import human_readable, human_to_bytes
from orchestrator.language.tests import VERSION_FILTERS

_UUID_NAMESPACE = uuid.UUID("361E6D51-FAEC-444A-9079-341386DA8E2E")  # Ansible's, so that ids stay the same
_LIST_MERGES = ("replace", "keep", "append", "prepend", "append_rp", "prepend_rp")


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def plain(value: Any) -> Any:
    """Plain dicts, lists and scalars, for serializers that know nothing else."""
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


# --- types and serialisation -----------------------------------------------------------------------------------------


def to_bool(value: Any) -> bool:
    """True for yes, on, true, 1 in any case, and for nothing else."""
    if isinstance(value, str):
        return value.lower() in ("yes", "on", "true", "1")
    return isinstance(value, (int, float)) and value == 1


def mandatory(value: Any, msg: str | None = None) -> Any:
    if isinstance(value, jinja2.Undefined):
        name = f"'{value._undefined_name}' " if value._undefined_name else ""
        raise ValueError(msg or f"the mandatory variable {name}is not defined")
    return value


def ternary(value: Any, true_value: Any, false_value: Any, none_value: Any = None) -> Any:
    if value is None and none_value is not None:
        return none_value
    return true_value if value else false_value


def type_debug(value: Any) -> str:
    for kind in (bool, str, dict, list, tuple, int, float):
        if isinstance(value, kind):
            return kind.__name__
    return "UndefinedMarker" if isinstance(value, jinja2.Undefined) else type(value).__name__


def to_json(value: Any, **options: Any) -> str:
    return json.dumps(plain(value), default=_moment, **options)


def to_nice_json(value: Any, indent: int = 4, sort_keys: bool = True, **options: Any) -> str:
    options.pop("separators", None)
    return to_json(value, indent=indent, sort_keys=sort_keys, separators=(",", ": "), **options)


def _moment(value: Any) -> str:
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    raise TypeError(f"JSON has no {type(value).__name__}")


def to_yaml(value: Any, *_: Any, default_flow_style: bool | None = None, **options: Any) -> str:
    return yaml.dump(
        plain(value), Dumper=yaml.SafeDumper, allow_unicode=True, default_flow_style=default_flow_style, **options
    )


def to_nice_yaml(value: Any, indent: int = 4, *_: Any, default_flow_style: bool = False, **options: Any) -> str:
    return to_yaml(value, indent=indent, default_flow_style=default_flow_style, **options)


def from_json(value: Any, **options: Any) -> Any:
    return json.loads(value, **options)


def from_yaml(value: Any) -> Any:
    return yaml.safe_load(value) if isinstance(value, str) else value


def from_yaml_all(value: Any) -> Any:
    return list(yaml.safe_load_all(value)) if isinstance(value, str) else value or []


# --- texts -----------------------------------------------------------------------------------------------------------


def _flags(ignorecase: bool, multiline: bool) -> int:
    return (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)


def regex_replace(
    value: Any = "",
    pattern: str = "",
    replacement: str = "",
    ignorecase: bool = False,
    multiline: bool = False,
    count: int = 0,
    mandatory_count: int = 0,
) -> str:
    result, found = re.subn(pattern, replacement, text(value), count=count, flags=_flags(ignorecase, multiline))
    if mandatory_count and mandatory_count != found:
        raise ValueError(f"'{pattern}' should match {mandatory_count} times and matches {found} times")
    return result


def regex_findall(value: Any, regex: str, multiline: bool = False, ignorecase: bool = False) -> list[Any]:
    return re.findall(regex, text(value), _flags(ignorecase, multiline))


def regex_search(value: Any, regex: str, *groups: str, ignorecase: bool = False, multiline: bool = False) -> Any:
    """The match as text, or the groups asked for (`'\\\\1'`, `'\\\\g<name>'`) as a list; None without a match."""
    wanted: list[Any] = []
    for group in groups:
        reference = re.fullmatch(r"\\(?:(\d+)|g<(\S+)>)", group)
        if not reference:
            raise ValueError(f"'{group}' names no group; write '\\\\1' or '\\\\g<name>'")
        wanted.append(int(reference[1]) if reference[1] else reference[2])
    match = re.search(regex, text(value), _flags(ignorecase, multiline))
    if not match:
        return None
    return [match.group(_group(name)) for name in wanted] if wanted else match.group()


def _group(name: Any) -> Any:
    return int(name) if isinstance(name, str) and name.isdecimal() else name


def regex_escape(value: Any, re_type: str = "python") -> str:
    if re_type == "python":
        return re.escape(text(value))
    if re_type == "posix_basic":
        return re.sub(r"([\].\[^$*\\])", r"\\\1", text(value))
    raise ValueError(f"re_type is python or posix_basic, not '{re_type}'")


def b64encode(value: Any, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    return encode(value if isinstance(value, bytes) else str(value).encode(encoding)).decode()


def b64decode(value: Any, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    decode = base64.urlsafe_b64decode if urlsafe else base64.b64decode
    return decode(value).decode(encoding)


def hashed(value: Any, hashtype: str = "sha1") -> str:
    return hashlib.new(hashtype, value if isinstance(value, bytes) else str(value).encode()).hexdigest()


def quote(value: Any) -> str:
    return shlex.quote("" if value is None else text(value))


def to_uuid(value: Any, namespace: Any = _UUID_NAMESPACE) -> str:
    return str(uuid.uuid5(namespace if isinstance(namespace, uuid.UUID) else uuid.UUID(namespace), text(value)))


# What a comment of a style begins with, has before each line, and ends with.
_COMMENTS = {
    "plain": ("", "# ", ""),
    "erlang": ("", "% ", ""),
    "c": ("", "// ", ""),
    "cblock": ("/*", " * ", " */"),
    "xml": ("<!--", " - ", "-->"),
}


def comment(value: Any, style: str = "plain", **options: Any) -> str:
    """The lines of a text as a comment, in a style or with `decoration`, `beginning`, `prefix`, `postfix`, `end`."""
    if style not in _COMMENTS:
        raise ValueError(f"the styles are {', '.join(_COMMENTS)}, not '{style}'")
    beginning, decoration, end = _COMMENTS[style]
    decoration = options.get("decoration", decoration)
    beginning, end = options.get("beginning", beginning), options.get("end", end)
    newline = options.get("newline", "\n")
    prefix, postfix = (options.get(name, decoration.rstrip()) for name in ("prefix", "postfix"))
    lines = text(value).split(newline)
    # Nothing but decoration on a line leaves no blanks behind; the last line is never shortened.
    body = [decoration + line if line or at == len(lines) - 1 else decoration.rstrip() for at, line in enumerate(lines)]
    head = ("" if prefix == newline else prefix) + newline if prefix else ""
    parts = [beginning + newline if beginning else "", head * int(options.get("prefix_count", 1))]
    parts += [newline.join(body), (newline + postfix) * int(options.get("postfix_count", 1))]
    return "".join(parts) + (newline + end if end else "")


# --- time ------------------------------------------------------------------------------------------------------------


def to_datetime(value: str, format: str = "%Y-%m-%d %H:%M:%S") -> datetime.datetime:
    return datetime.datetime.strptime(value, format)


def strftime(format: str, second: Any = None, utc: bool = False) -> str:
    moment = None if second is None else float(second)
    return time.strftime(format, time.gmtime(moment) if utc else time.localtime(moment))


# --- lists and mappings ----------------------------------------------------------------------------------------------


def combine(*terms: Any, recursive: bool = False, list_merge: str = "replace") -> Any:
    """Mappings merged into one, later ones winning; `list_merge` says what becomes of lists on both sides."""
    if list_merge not in _LIST_MERGES:
        raise ValueError(f"list_merge is one of {', '.join(_LIST_MERGES)}, not '{list_merge}'")
    result: dict[Any, Any] = {}
    for mapping in flatten(terms, levels=1):
        if not isinstance(mapping, Mapping):
            raise TypeError(f"it combines mappings, and got a {type_debug(mapping)}")
        result = _merged(result, mapping, recursive, list_merge)
    return result


def _merged(low: Mapping[Any, Any], high: Mapping[Any, Any], recursive: bool, list_merge: str) -> dict[Any, Any]:
    result = dict(low)
    for key, value in high.items():
        old = result.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            result[key] = _merged(old, value, recursive, list_merge) if recursive else value
        elif isinstance(old, list) and isinstance(value, list):
            result[key] = _merged_lists(old, value, list_merge)
        else:
            result[key] = value
    return result


def _merged_lists(old: list[Any], new: list[Any], how: str) -> list[Any]:
    if how in ("replace", "keep"):
        return new if how == "replace" else old
    if how.endswith("_rp"):
        old = [item for item in old if item not in new]
    return old + new if how.startswith("append") else new + old


def flatten(values: Iterable[Any], levels: int | None = None, skip_nulls: bool = True) -> list[Any]:
    result: list[Any] = []
    for item in values:
        if skip_nulls and item in (None, "None", "null"):
            continue
        if isinstance(item, (list, tuple)) and (levels is None or levels >= 1):
            result += flatten(item, None if levels is None else int(levels) - 1, skip_nulls)
        else:
            result.append(item)
    return result


def dict2items(value: Any, key_name: str = "key", value_name: str = "value") -> list[Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"it takes a mapping, and got a {type_debug(value)}")
    return [{key_name: key, value_name: item} for key, item in value.items()]


def items2dict(value: Any, key_name: str = "key", value_name: str = "value") -> dict[Any, Any]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"it takes a list of mappings, and got a {type_debug(value)}")
    try:
        return {item[key_name]: item[value_name] for item in value}
    except (KeyError, TypeError):
        raise TypeError(f"it takes a list of mappings that have '{key_name}' and '{value_name}'") from None


def rekey_on_member(value: Any, key: str, duplicates: str = "error") -> dict[Any, Any]:
    result: dict[Any, Any] = {}
    for item in value.values() if isinstance(value, Mapping) else value:
        if item[key] in result and duplicates != "overwrite":
            raise ValueError(f"'{item[key]}' stands twice")
        result[item[key]] = item
    return result


def subelements(value: Any, path: Any, skip_missing: bool = False) -> list[Any]:
    """Each element paired with each element of the list that `path` (dotted, or a list) leads to in it."""
    elements = list(value.values()) if isinstance(value, Mapping) else list(value)
    steps = path.split(".") if isinstance(path, str) else path
    pairs: list[Any] = []
    for element in elements:
        inner: Any = element
        for step in steps:
            if step not in inner:
                if skip_missing:
                    inner = []
                    break
                raise KeyError(f"no '{step}' in {inner!r}")
            inner = inner[step]
        if not isinstance(inner, list):
            raise TypeError(f"'{'.'.join(map(str, steps))}' must lead to a list")
        pairs += [(element, item) for item in inner]
    return pairs


@jinja2.pass_environment
def extract(environment: Any, item: Any, container: Any, morekeys: Any = None) -> Any:
    keys = [] if morekeys is None else morekeys if isinstance(morekeys, list) else [morekeys]
    for key in (item, *keys):
        container = environment.getitem(container, key)
    return container


@jinja2.pass_environment
def unique(environment: Any, values: Any, case_sensitive: bool | None = None, attribute: Any = None) -> list[Any]:
    if case_sensitive is False or attribute or all(isinstance(value, (str, int, float)) for value in values):
        return list(do_unique(environment, values, bool(case_sensitive), attribute))
    return _once(values)


def _once(values: Iterable[Any]) -> list[Any]:
    result: list[Any] = []
    for value in values:
        if value not in result:
            result.append(value)
    return result


# Order is that of the lists; Ansible's is that of a Python set, which nobody can rely on.
def union(left: Any, right: Any) -> list[Any]:
    return _once([*left, *right])


def intersect(left: Any, right: Any) -> list[Any]:
    return _once(value for value in left if value in right)


def difference(left: Any, right: Any) -> list[Any]:
    return _once(value for value in left if value not in right)


def symmetric_difference(left: Any, right: Any) -> list[Any]:
    return _once([*(value for value in left if value not in right), *(value for value in right if value not in left)])


def chosen(end: Any, start: int | None = None, step: int | None = None, seed: Any = None) -> Any:
    """A random number below `end`, or a random element; always the same one for the same seed."""
    source = random.SystemRandom() if seed is None else random.Random(seed)
    if isinstance(end, int):
        return source.randrange(start or 0, end, step or 1)
    if start or step:
        raise ValueError("start and step belong to numbers")
    return source.choice(end)


def shuffle(values: Any, seed: Any = None) -> list[Any]:
    result = list(values)
    (random.Random(seed) if seed else random).shuffle(result)
    return result


# --- numbers ---------------------------------------------------------------------------------------------------------


def log(value: float, base: float = math.e) -> float:
    return math.log10(value) if base == 10 else math.log(value, base)


def root(value: float, base: float = 2) -> float:
    return math.sqrt(value) if base == 2 else math.pow(value, 1.0 / float(base))


# --- paths -----------------------------------------------------------------------------------------------------------


def path_join(paths: Any) -> str:
    return paths if isinstance(paths, str) else os.path.join(*paths)  # noqa: PTH118 - a device's path, not ours


def globbed(pattern: str) -> list[str]:
    return [path for path in glob.glob(pattern) if os.path.isfile(path)]  # noqa: PTH207, PTH113


def _of_text(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda value, *args, **options: function(text(value), *args, **options)


FILTERS: dict[str, Callable[..., Any]] = {
    "b64decode": b64decode,
    "b64encode": b64encode,
    "basename": _of_text(os.path.basename),
    "bool": to_bool,
    "checksum": hashed,
    "combinations": itertools.combinations,
    "combine": combine,
    "comment": comment,
    "commonpath": os.path.commonpath,
    "dict2items": dict2items,
    "difference": difference,
    "dirname": _of_text(os.path.dirname),
    "expanduser": _of_text(os.path.expanduser),
    "expandvars": _of_text(os.path.expandvars),
    "extract": extract,
    "fileglob": globbed,
    "flatten": flatten,
    "from_json": from_json,
    "from_yaml": from_yaml,
    "from_yaml_all": from_yaml_all,
    "hash": hashed,
    "human_readable": human_readable,
    "human_to_bytes": human_to_bytes,
    "intersect": intersect,
    "items2dict": items2dict,
    "log": log,
    "mandatory": mandatory,
    "md5": lambda value: hashed(value, "md5"),
    "normpath": _of_text(os.path.normpath),
    "path_join": path_join,
    "permutations": itertools.permutations,
    "pow": math.pow,
    "product": itertools.product,
    "quote": quote,
    "random": chosen,
    "realpath": _of_text(os.path.realpath),
    "regex_escape": regex_escape,
    "regex_findall": regex_findall,
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "rekey_on_member": rekey_on_member,
    "relpath": _of_text(os.path.relpath),
    "root": root,
    "sha1": hashed,
    "shuffle": shuffle,
    "split": _of_text(str.split),
    "splitext": _of_text(os.path.splitext),
    "strftime": strftime,
    "subelements": subelements,
    "symmetric_difference": symmetric_difference,
    "ternary": ternary,
    "to_datetime": to_datetime,
    "to_json": to_json,
    "to_nice_json": to_nice_json,
    "to_nice_yaml": to_nice_yaml,
    "to_uuid": to_uuid,
    "to_yaml": to_yaml,
    "type_debug": type_debug,
    "union": union,
    "unique": unique,
    "urldecode": unquote_plus,
    "zip": zip,
    "zip_longest": itertools.zip_longest,
    **VERSION_FILTERS,
}
