"""Playbook files to plays and tasks; what is not supported is refused here, with file, line and column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.documents import Document, nearest
from orchestrator.errors import Location, PlaybookError
from orchestrator.playbook.modules import Module, find_module, module_names

PLAY_KEYS = ("name", "hosts", "vars", "gather_facts", "become", "tags", "tasks")
TASK_KEYS = ("name", "args", "when", "register", "tags", "become", "vars", "ignore_errors", "check_mode", "no_log")


@dataclass(frozen=True)
class Task:
    name: str
    module: Module
    args: Mapping[str, Any]
    """As written: expressions are evaluated for each device when the task runs."""
    location: Location
    when: Sequence[Any] = ()
    """Conditions, all of which must hold."""
    register: str | None = None
    tags: frozenset[str] = frozenset()
    become: Any = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    ignore_errors: Any = False
    check_mode: bool | None = None
    no_log: Any = False


@dataclass(frozen=True)
class Play:
    name: str
    hosts: str
    tasks: Sequence[Task]
    location: Location
    variables: Mapping[str, Any] = field(default_factory=dict)
    gather_facts: bool = True
    become: Any = False
    tags: frozenset[str] = frozenset()


def load_playbook(path: str | Path) -> list[Play]:
    """The plays of a playbook file.

    Raises:
        PlaybookError: unreadable, not YAML, an unknown or unsupported keyword or module, a wrong argument; each with
            file, line and column and the nearest known word.
    """
    document = Document.read(path, PlaybookError)
    if not isinstance(document.data, list):
        raise document.fail("a playbook is a list of plays", "this file holds no list", "start it with '- hosts: all'")
    return [_play(document, value, (i,)) for i, value in enumerate(document.data)]


def _play(document: Document, value: Any, path: tuple[Any, ...]) -> Play:
    if not isinstance(value, dict):
        raise document.fail("a play is a mapping", "with hosts and tasks", path=path)
    document.check_keys(value, PLAY_KEYS, path, noun="keyword of a play")
    if not value.get("hosts"):
        raise document.fail("a play needs hosts", remedy="hosts: all", path=path)
    hosts = value["hosts"]
    tasks = value.get("tasks") or []
    if not isinstance(tasks, list):
        raise document.fail("tasks is a list", path=(*path, "tasks"))
    tags = _tags(document, value, path)
    return Play(
        name=str(value.get("name") or hosts),
        hosts=":".join(map(str, hosts)) if isinstance(hosts, list) else str(hosts),
        tasks=[_task(document, task, (*path, "tasks", i), tags) for i, task in enumerate(tasks)],
        location=document.location(*path),
        variables=_mapping(document, value, "vars", path),
        gather_facts=bool(value.get("gather_facts", True)),
        become=value.get("become", False),
        tags=tags,
    )


def _task(document: Document, value: Any, path: tuple[Any, ...], inherited: frozenset[str]) -> Task:
    if not isinstance(value, dict):
        raise document.fail("a task is a mapping", "with a module's name as one of its keys", path=path)
    names = [key for key in value if key not in TASK_KEYS]
    modules = [(key, module) for key in names if (module := find_module(str(key)))]
    for key in names:
        if not find_module(str(key)):
            known = [*TASK_KEYS, *module_names()]
            why = "" if modules else f"modules: {', '.join(module_names())}"
            what = f"unknown module or keyword '{key}'"
            raise document.fail(what, why, nearest(str(key), known), path=(*path, key))
    if len(modules) != 1:
        why = f"it names {', '.join(str(k) for k, _ in modules)}" if modules else "it names none"
        raise document.fail("a task names exactly one module", why, path=path)
    key, module = modules[0]
    args = value[key]
    if args is None:
        args = {}
    elif not isinstance(args, dict):
        if module.free_form is None:
            raise document.fail(f"the arguments of {key} are a mapping", path=(*path, key))
        args = {module.free_form: args}
    extra = _mapping(document, value, "args", path)
    for name in args:
        _known_argument(document, module, name, (*path, key, name))
    for name in extra:
        _known_argument(document, module, name, (*path, "args", name))
    args = {**extra, **args}
    missing = [
        name
        for name, argument in module.arguments.items()
        if argument.required and not {name, *argument.aliases} & set(args)
    ]
    if missing:
        raise document.fail(f"{key} needs {' and '.join(missing)}", path=(*path, key))
    when = value.get("when", [])
    return Task(
        name=str(value.get("name") or key),
        module=module,
        args=args,
        location=document.location(*path),
        when=when if isinstance(when, list) else [when],
        register=value.get("register"),
        tags=_tags(document, value, path) | inherited,
        become=value.get("become"),
        variables=_mapping(document, value, "vars", path),
        ignore_errors=value.get("ignore_errors", False),
        check_mode=value.get("check_mode"),
        no_log=value.get("no_log", False),
    )


def _known_argument(document: Document, module: Module, name: Any, path: Sequence[Any]) -> None:
    if not module.any_argument and module.argument(str(name)) is None:
        known = module.known
        why = f"known here: {', '.join(known) or 'none'}"
        raise document.fail(f"{module.name} has no argument '{name}'", why, nearest(str(name), known), path=path)


def _mapping(document: Document, value: Mapping[str, Any], key: str, path: Sequence[Any]) -> Mapping[str, Any]:
    found = value.get(key) or {}
    if not isinstance(found, dict):
        raise document.fail(f"{key} is a mapping", path=(*path, key))
    return found


def _tags(document: Document, value: Mapping[str, Any], path: Sequence[Any]) -> frozenset[str]:
    tags = value.get("tags") or []
    if isinstance(tags, str):
        tags = tags.split(",")
    if not isinstance(tags, list):
        raise document.fail("tags is a list of words", path=(*path, "tags"))
    return frozenset(str(tag).strip() for tag in tags)


def selected(tasks: Iterable[Task], only: Sequence[str], skip: Sequence[str]) -> list[Task]:
    """The tasks that `--tags` and `--skip-tags` leave; `always` and `never` as in Ansible."""
    kept = []
    for task in tasks:
        wanted = not only or "all" in only or bool(task.tags & set(only)) or "always" in task.tags
        if "tagged" in only and task.tags:
            wanted = True
        if "never" in task.tags and not (task.tags - {"never"}) & set(only) and "never" not in only:
            wanted = False
        if wanted and not task.tags & set(skip):
            kept.append(task)
    return kept
