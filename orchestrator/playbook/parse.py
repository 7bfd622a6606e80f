"""Playbook files to plays; what is not supported is refused here, with file, line and column."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.documents import Document
from orchestrator.errors import PlaybookError
from orchestrator.language.expressions import has_template, render, to_bool
from orchestrator.playbook import keywords
from orchestrator.playbook.inherit import inherit, listed, mapping, sequence
from orchestrator.playbook.modules import find_module, short_name
from orchestrator.playbook.observable import is_observable
from orchestrator.playbook.reader import Reader
from orchestrator.playbook.selection import selected
from orchestrator.playbook.structure import Block, Node, Play, Settings, Task

__all__ = ["Block", "Play", "Task", "load_playbook", "selected"]

Keys = tuple[Any, ...]


def load_playbook(path: str | Path, extra: Mapping[str, Any] | None = None) -> list[Play]:
    """The plays of a playbook file and of those that it imports.

    Args:
        extra: variables of the command line, which names of imported files may use.

    Raises:
        PlaybookError: unreadable, not YAML, an unknown or unsupported keyword or module, a wrong argument, a missing
            role or file; each with file, line and column and the nearest known word.
    """
    return _playbook(Path(os.path.abspath(path)), str(path), Settings(), extra or {}, ())  # noqa: PTH100


def _playbook(
    path: Path, shown: str, outer: Settings, extra: Mapping[str, Any], parents: tuple[Path, ...]
) -> list[Play]:
    document = Document.read(shown if not parents else path, PlaybookError)
    if not isinstance(document.data, list):
        raise document.fail("a playbook is a list of plays", "this file holds no list", "start it with '- hosts: all'")
    plays: list[Play] = []
    for i, value in enumerate(document.data):
        if not isinstance(value, dict):
            raise document.fail("a play is a mapping", "with hosts and tasks", path=(i,))
        imported = [key for key in value if short_name(str(key)) == "import_playbook"]
        if imported:
            plays += _import(document, value, imported[0], (i,), path, outer, extra, parents)
        else:
            plays.append(_play(document, value, (i,), path.parent, outer, extra))
    return plays


def _import(
    document: Document,
    value: Mapping[str, Any],
    key: str,
    where: Keys,
    path: Path,
    outer: Settings,
    extra: Mapping[str, Any],
    parents: tuple[Path, ...],
) -> list[Play]:
    document.check_keys(value, ("name", "when", "tags", "vars", key), where, noun="keyword of import_playbook")
    settings = inherit(outer, document, value, where)
    name = str(render(value[key], {**settings.variables, **extra}, document.location(*where, key)))
    target = Path(os.path.normpath(path.parent / Path(name).expanduser()))
    if target in (*parents, path):
        raise document.fail(f"{name} imports itself", path=(*where, key))
    if not target.is_file():
        raise document.fail(f"no playbook '{name}'", f"looked for {target}", path=(*where, key))
    return _playbook(target, str(target), settings, extra, (*parents, path))


def _play(
    document: Document, value: Mapping[str, Any], path: Keys, folder: Path, outer: Settings, extra: Mapping[str, Any]
) -> Play:
    _check_keywords(document, value, path)
    hosts = value.get("hosts")
    if not hosts:
        raise document.fail("a play needs hosts", remedy="hosts: all", path=path)
    own = {**mapping(document, value, "vars", path), **outer.variables}
    # The play's variables are a layer of their own; `vars` of blocks and tasks lie above roles and facts.
    settings = inherit(replace(outer, variables={}), document, {k: v for k, v in value.items() if k != "vars"}, path)
    settings = replace(settings, folder=str(folder))
    reader = Reader(folder, {**own, **extra})
    roles: list[Node] = []
    for i, entry in enumerate(sequence(document, value, "roles", path)):
        roles += reader.role_entry(document, entry, (*path, "roles", i), settings, ())
    sections: dict[str, list[Node]] = {}
    for key in ("pre_tasks", "tasks", "post_tasks"):
        sections[key] = reader.nodes(document, sequence(document, value, key, path), (*path, key), settings)
    before = [*reader.handlers]
    listed_handlers = sequence(document, value, "handlers", path)
    handlers = reader.nodes(document, listed_handlers, (*path, "handlers"), settings, handlers=True)
    flush = _flush(document, path, settings)
    before_roles = [*sections["pre_tasks"], flush] if sections["pre_tasks"] else []
    nodes = [*before_roles, *roles, *sections["tasks"], flush, *sections["post_tasks"], flush]
    play = Play(
        name=str(value.get("name") or _pattern(hosts)),
        hosts=_pattern(hosts),
        nodes=nodes,
        handlers=[*before, *reader.flat(handlers)],
        location=document.location(*path),
        folder=folder,
        variables=own,
        vars_files=_vars_files(document, value, path, folder),
        roles=reader.roles,
        role_names=_role_names(value),
        gather_facts=value.get("gather_facts", True),
        settings=settings,
        serial=_serial(document, value, path),
        order=value.get("order"),
        max_fail_percentage=_percentage(document, value, path),
        any_errors_fatal=value.get("any_errors_fatal"),
        force_handlers=value.get("force_handlers", False),
        connection=value.get("connection"),
        remote_user=value.get("remote_user"),
    )
    return replace(play, linear=_linear(document, value, path, play))


def _check_keywords(document: Document, value: Mapping[str, Any], path: Keys) -> None:
    for key in value:
        if key in keywords.REFUSED:
            raise document.fail(f"'{key}' is not supported", remedy=keywords.REFUSED[key], path=(*path, key))
    document.check_keys(value, keywords.PLAY, path, noun="keyword of a play")
    for key, allowed in (
        ("strategy", keywords.STRATEGIES),
        ("order", keywords.ORDERS),
        ("connection", keywords.CONNECTIONS),
    ):
        word = short_name(str(value[key])) if value.get(key) is not None else None
        if word is not None and word not in allowed and not has_template(word):
            raise document.fail(f"{key} cannot be '{word}'", f"allowed: {', '.join(allowed)}", path=(*path, key))


def _pattern(hosts: Any) -> str:
    return ":".join(map(str, hosts)) if isinstance(hosts, list) else str(hosts)


def _flush(document: Document, path: Keys, settings: Settings) -> Task:
    module = find_module("meta")
    assert module is not None
    location = replace(document.location(*path), line=0, column=0)
    # Handlers that are due run whatever the tags are; each has tags of its own.
    always = replace(settings, tags=frozenset({"always"}), when=())
    return Task("flush handlers", module, {}, location, always, meta="flush_handlers")


def _vars_files(document: Document, value: Mapping[str, Any], path: Keys, folder: Path) -> list[Any]:
    files = listed(value.get("vars_files"))
    for i, entry in enumerate(files):
        for name in listed(entry):
            if not isinstance(name, str):
                raise document.fail("vars_files is a list of files", path=(*path, "vars_files", i))
        if isinstance(entry, str) and not has_template(entry):
            given = Path(entry).expanduser()
            if not any((base / given).is_file() for base in (folder / "vars", folder)):
                why = f"looked in {folder / 'vars'} and {folder}"
                raise document.fail(f"no file of variables '{entry}'", why, path=(*path, "vars_files", i))
    return files


def _role_names(value: Mapping[str, Any]) -> list[str]:
    entries = value.get("roles") or []
    return [str(e if isinstance(e, str) else e.get("role", e.get("name"))) for e in entries]


def _serial(document: Document, value: Mapping[str, Any], path: Keys) -> list[Any]:
    found = listed(value.get("serial"))
    for size in found:
        text = str(size).strip()
        good = text.removesuffix("%").isdigit() or has_template(size)
        if not good or isinstance(size, bool):
            why = "allowed: a number, a percentage like 30%, or a list of them"
            raise document.fail(f"serial cannot be '{size}'", why, path=(*path, "serial"))
    return found


def _percentage(document: Document, value: Mapping[str, Any], path: Keys) -> Any:
    found = value.get("max_fail_percentage")
    if found is None or has_template(found):
        return found
    try:
        return float(str(found).strip().removesuffix("%"))
    except ValueError:
        what = f"max_fail_percentage cannot be '{found}'"
        raise document.fail(what, "allowed: a number", path=(*path, "max_fail_percentage")) from None


def _linear(document: Document, value: Mapping[str, Any], path: Keys, play: Play) -> bool:
    """Whether hosts must go task by task; where `strategy: free` would be seen, it is refused."""
    strategy = short_name(str(value["strategy"])) if value.get("strategy") else None
    if strategy == "linear":
        return True
    if strategy == "free":
        if any(to_bool(task.settings.run_once) for task in play.tasks if not has_template(task.settings.run_once)):
            raise document.fail("run_once needs strategy: linear", path=(*path, "strategy"))
        return False
    return is_observable(play)
