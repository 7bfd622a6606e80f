"""Lookups: values that come from the controller, its files, environment and commands."""

from __future__ import annotations

import glob
import itertools
import os
import random
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.documents import nearest
from orchestrator.errors import PlaybookError
from orchestrator.language.filters import flatten, subelements
from orchestrator.language.search import candidates, find, read_text

Terms = list[Any]
Variables = Mapping[str, Any]
Options = dict[str, Any]
_LEFT_OUT = {
    "password": "put the password into a vault: fleet vault encrypt_string",
    "url": "use the uri module",
    "ini": "use a vars file",
    "csvfile": "use a vars file",
}


def run(name: str, terms: Terms, variables: Variables, options: Options) -> list[Any]:
    """What a lookup gives for its terms.

    Raises:
        PlaybookError: there is no such lookup, or it does not take such an option.
        Exception: what reading a file or running a command can raise.
    """
    short = name.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.")
    if short not in LOOKUPS:
        known = _LEFT_OUT.get(short) or nearest(short, LOOKUPS)
        raise PlaybookError(f"there is no lookup '{name}'", f"known: {', '.join(sorted(LOOKUPS))}", known)
    return LOOKUPS[short](terms, variables, options)


def _found(name: Any, folder: str, variables: Variables) -> Path:
    path = find(str(name), folder, variables)
    if path is None:
        looked = ", ".join(str(place) for place in candidates(str(name), folder, variables))
        raise FileNotFoundError(f"no file '{name}'; looked for {looked}")
    return path


def _env(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    return [os.environ.get(str(term).split()[0], options.get("default", "")) for term in terms]


def _file(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    texts = [read_text(_found(term, "files", variables)) for term in terms]
    if options.get("lstrip", False):
        texts = [text.lstrip() for text in texts]
    return [text.rstrip() for text in texts] if options.get("rstrip", True) else texts


def _unvault(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    return [read_text(_found(term, "files", variables)) for term in terms]


def _shell(command: Any, variables: Variables) -> str:
    folder = variables.get("playbook_dir") or None
    done = subprocess.run(str(command), shell=True, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise OSError(f"'{command}' ended with exit code {done.returncode}" + (f": {lines[-1]}" if lines else ""))
    return done.stdout.decode(errors="replace")


def _pipe(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    return [_shell(term, variables).rstrip() for term in terms]


def _lines(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    return [line for term in terms for line in _shell(term, variables).splitlines()]


def _fileglob(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    result: list[Any] = []
    for term in map(str, terms):
        # One pattern is taken from the first folder where it matches anything.
        for place in candidates(term, "files", variables):
            found = [path for path in glob.glob(str(place)) if Path(path).is_file()]  # noqa: PTH207 - as Ansible's
            if found:
                result += found
                break
    return result


def _vars(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    from orchestrator.language.environment import Undefined, lazy_variables

    known = lazy_variables(variables)
    missing = [term for term in terms if term not in known and "default" not in options]
    if missing:
        return [Undefined(hint=f"there is no variable '{missing[0]}'")]
    return [known[term] if term in known else options["default"] for term in terms]


def _varnames(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    return [name for term in terms for name in variables if re.search(term, name)]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _items(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    return [item for term in terms for item in _listed(term)]


def _dict(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    wrong = next((term for term in terms if not isinstance(term, Mapping)), None)
    if wrong is not None:
        raise TypeError(f"it takes mappings, and got a {type(wrong).__name__}")
    return [{"key": key, "value": value} for term in terms for key, value in term.items()]


def _split(values: Any, separators: str) -> list[str]:
    parts = [part for value in _listed(values) for part in re.split(f"[{separators}]", str(value))]
    return [part for part in parts if part]


def _first_found(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    names: list[str] = []
    skip, folder = options.get("skip", False), options.get("subdir", "")
    for term in flatten(terms) or [{"files": options.get("files", []), "paths": options.get("paths", [])}]:
        given = term if isinstance(term, Mapping) else {"files": [term], "paths": options.get("paths", [])}
        files, paths = _split(given.get("files", []), ",;"), _split(given.get("paths", []), ",:;")
        skip = given.get("skip", skip)
        names += [str(Path(path) / file) for path in paths for file in files] if paths else files
    for name in names:
        path = find(name, folder, variables)
        if path is not None:
            return [str(path)]
    if skip:
        return []
    raise FileNotFoundError(f"none of these files is there: {', '.join(names)}")


_SEQUENCE = re.compile(r"(?:(0x[0-9a-f]+|\d+)-)?(0x[0-9a-f]+|\d+)(?:/(-?\d+))?(?::(.+))?", re.IGNORECASE)


def _sequence(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    result: list[Any] = []
    for term in terms or [""]:
        given = dict(options)
        match = _SEQUENCE.fullmatch(str(term).strip())
        if match:
            names = ("start", "end", "stride", "format")
            given.update({k: v for k, v in zip(names, match.groups(), strict=True) if v is not None})
        else:
            given.update(part.partition("=")[::2] for part in str(term).split())
        unknown = set(given) - {"start", "end", "count", "stride", "format"}
        if unknown or ("end" in given) == ("count" in given):
            raise ValueError("it takes start, stride, format and one of end and count")
        start, stride = (int(str(given.get(name, 1)), 0) for name in ("start", "stride"))
        if "count" in given:
            count = int(str(given["count"]), 0)
            numbers = range(start, start + count * stride, stride) if stride else range(0)
        else:
            end = int(str(given["end"]), 0)
            if stride and (end - start) * stride < 0:
                raise ValueError(f"from {start} to {end} in steps of {stride} leads nowhere")
            numbers = range(start, end + (1 if stride > 0 else -1), stride) if stride else range(0)
        result += [str(given.get("format", "%d")) % number for number in numbers]
    return result


def _template(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    from orchestrator.language.templating import TemplateOptions, render_file

    own = options.get("template_vars") or {}
    known = {k: v for k, v in options.items() if k in TemplateOptions.__dataclass_fields__}
    return [
        render_file(_found(term, "templates", variables), {**variables, **own}, TemplateOptions(**known))
        for term in terms
    ]


def _nested(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    return [list(items) for items in itertools.product(*map(_listed, terms))]


def _together(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    return [list(items) for items in itertools.zip_longest(*map(_listed, terms))]


def _subelements(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    skip = bool(terms[2].get("skip_missing", False)) if len(terms) > 2 else False
    return [list(pair) for pair in subelements(terms[0], terms[1], skip)]


def _indexed_items(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    return [[index, item] for index, item in enumerate(_items(terms, variables, options))]


def _random_choice(terms: Terms, variables: Variables, options: Options) -> list[Any]:
    return [random.choice(terms)] if terms else []


LOOKUPS: dict[str, Callable[[Terms, Variables, Options], list[Any]]] = {
    "dict": _dict,
    "env": _env,
    "file": _file,
    "fileglob": _fileglob,
    "first_found": _first_found,
    "indexed_items": _indexed_items,
    "items": _items,
    "lines": _lines,
    "list": lambda terms, variables, options: terms,
    "nested": _nested,
    "pipe": _pipe,
    "random_choice": _random_choice,
    "sequence": _sequence,
    "subelements": _subelements,
    "template": _template,
    "together": _together,
    "unvault": _unvault,
    "varnames": _varnames,
    "vars": _vars,
}
