"""Template files to text, as the `template` module writes them."""

from __future__ import annotations

import ast
import datetime
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import ConfigurationError, Location, PlaybookError
from orchestrator.language.search import read_text, search_paths

_HEADER = "#jinja2:"
_WRITTEN_NEWLINES = {"\\n": "\n", "\\r": "\r", "\\r\\n": "\r\n"}


@dataclass(frozen=True)
class TemplateOptions:
    """How a template file is read; the names are those of the `template` module's arguments."""

    block_start_string: str = "{%"
    block_end_string: str = "%}"
    variable_start_string: str = "{{"
    variable_end_string: str = "}}"
    comment_start_string: str = "{#"
    comment_end_string: str = "#}"
    line_statement_prefix: str | None = None
    line_comment_prefix: str | None = None
    trim_blocks: bool = True
    lstrip_blocks: bool = False
    newline_sequence: str = "\n"
    keep_trailing_newline: bool = False


def render_file(
    path: str | os.PathLike[str],
    variables: Mapping[str, Any],
    options: TemplateOptions | None = None,
    *,
    source: str | None = None,
    destination: str | None = None,
) -> str:
    """The text that a template file becomes.

    Args:
        path: the file, absolute; it may be a vault, and may begin with a line `#jinja2: trim_blocks: False`.
        variables: all variables of the host; `ansible_managed` and the `template_*` ones are added.
        options: delimiters and blanks; what the file's first line says wins.
        source: the name that the task gave, for `template_path`.
        destination: where the text goes on the device, for `template_destpath`.

    Raises:
        PlaybookError: unreadable, or a template that does not parse, fails or names something undefined; with the
            file and line.
    """
    import jinja2

    from orchestrator.language import environment

    path = Path(path)
    try:
        text = read_text(path)
        status = path.stat()
    except OSError as problem:
        raise PlaybookError(f"cannot read {path}", problem.strerror or str(problem)) from None
    options = options or TemplateOptions()
    newline = _WRITTEN_NEWLINES.get(options.newline_sequence, options.newline_sequence)
    body, options, skipped = _header(path, text, replace(options, newline_sequence=newline))
    known = {**_about(path, status, source, destination), **variables}
    folders = _folders(path, variables)
    try:
        compiled = _environment(options, folders).from_string(body)
        value = environment.finished(compiled.render(known))
    except jinja2.TemplateSyntaxError as problem:
        from orchestrator.language.names import about_name

        why, remedy = about_name(str(problem.message))
        where = _location(problem.filename or str(path), problem.lineno + (0 if problem.filename else skipped))
        raise PlaybookError("not a template", why, remedy, location=where) from None
    except jinja2.UndefinedError as problem:
        where = _place(problem, path, skipped)
        remedy = "define it, or use | default(...)"
        raise PlaybookError("undefined in the template", str(problem.message), remedy, location=where) from None
    except jinja2.TemplateNotFound as problem:
        looked = f"looked in {', '.join(folders)}"
        raise PlaybookError(f"no template '{problem.name}'", looked, location=_place(problem, path, skipped)) from None
    except ConfigurationError as problem:
        problem.location = problem.location or Location(str(path))
        raise
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as problem:
        why = f"{type(problem).__name__}: {problem}"
        raise PlaybookError("cannot render the template", why, location=_place(problem, path, skipped)) from None
    # As in Ansible, only a text keeps the newlines at the file's end: `{{ port }}` alone is a number.
    return _ended(value, body, newline) if isinstance(value, str) else "" if value is None else str(value)


def _ended(text: str, body: str, newline: str) -> str:
    # Jinja2 drops the last newline of a file; a file that had one keeps it.
    wanted = len(body) - len(body.rstrip("\n"))
    has = len(text) - len(text.rstrip("\n"))
    return text + newline * (wanted - has) if wanted > has else text


def _header(path: Path, text: str, options: TemplateOptions) -> tuple[str, TemplateOptions, int]:
    """The text after a first line `#jinja2: name: value, ...`, the options with it, and how many lines it took."""
    if not text.startswith(_HEADER):
        return text, options, 0
    line, _, body = text.partition("\n")
    known = {field.name for field in fields(TemplateOptions)}
    given: dict[str, Any] = {}
    for pair in line.removeprefix(_HEADER).split(","):
        name, colon, value = pair.partition(":")
        if not colon or name.strip() not in known:
            why = f"'{pair.strip()}' is not one of {', '.join(sorted(known))} with a colon and a value"
            raise PlaybookError("the first line is not understood", why, location=Location(str(path), 1, 1, line))
        try:
            given[name.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            why = f"'{value.strip()}' is not a Python constant"
            raise PlaybookError(
                "the first line is not understood", why, location=Location(str(path), 1, 1, line)
            ) from None
    return body, replace(options, **given), 1


def _folders(path: Path, variables: Mapping[str, Any]) -> tuple[str, ...]:
    bases = [*search_paths(variables), path.parent]
    return tuple(dict.fromkeys(str(folder) for base in bases for folder in (base / "templates", base)))


@functools.lru_cache(maxsize=64)
def _environment(options: TemplateOptions, folders: tuple[str, ...]) -> Any:
    import jinja2

    from orchestrator.language.environment import defined_only, environment

    settings = {field.name: getattr(options, field.name) for field in fields(options)}
    made = environment().overlay(**settings, loader=jinja2.FileSystemLoader(list(folders)))
    # In a file, unlike in YAML, nobody has read the escapes in strings yet.
    made.yaml_strings = False
    made.finalize = defined_only
    return made


def _about(path: Path, status: os.stat_result, source: str | None, destination: str | None) -> dict[str, Any]:
    import pwd
    import socket

    try:
        owner: Any = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = status.st_uid
    return {
        "ansible_managed": "Ansible managed",
        "template_host": socket.gethostname(),
        "template_path": source or str(path),
        "template_fullpath": str(path),
        "template_destpath": destination,
        "template_mtime": datetime.datetime.fromtimestamp(status.st_mtime),
        "template_run_date": datetime.datetime.now(),
        "template_uid": owner,
    }


def _place(problem: BaseException, path: Path, skipped: int) -> Location:
    """Where in a template something failed: the innermost line of a template in the traceback."""
    line, name = 0, str(path)
    frame = problem.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        if "__jinja_exception__" in frame.tb_frame.f_globals:  # a line of a template, as Jinja2 rewrites tracebacks
            line, name = frame.tb_lineno, code.co_filename
        frame = frame.tb_next
    if name == "<template>":
        name = str(path)
        line += skipped if line else 0
    return _location(name, line)


def _location(name: str, line: int) -> Location:
    try:
        lines = read_text(Path(name)).splitlines()
    except OSError:
        lines = []
    return Location(name, line, 0, lines[line - 1] if 0 < line <= len(lines) else "")
