"""Reads lists of tasks: blocks, imports, includes and roles, down to the files that they name."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.documents import Document
from orchestrator.errors import Location, PlaybookError
from orchestrator.language.expressions import has_template, render, to_bool
from orchestrator.playbook import keywords
from orchestrator.playbook.inherit import inherit, mapping, sequence
from orchestrator.playbook.modules import short_name
from orchestrator.playbook.roles import find_role, metadata, role_file, role_variables
from orchestrator.playbook.structure import Block, Include, Node, Role, Settings, Task
from orchestrator.playbook.tasks import read_task

Keys = tuple[Any, ...]

_FROM = ("tasks_from", "vars_from", "defaults_from", "handlers_from")


class Reader:
    """Reads the tasks of one play, and while it runs those of its dynamic includes.

    Args:
        folder: the playbook's.
        constants: variables that names of imports may use: those of the play and of the command line.

    Attributes:
        handlers: of the roles that were read, in order.
        roles: those whose defaults and variables the whole play sees.
    """

    def __init__(self, folder: Path, constants: Mapping[str, Any]) -> None:
        self.folder = folder
        self.constants = dict(constants)
        self.handlers: list[Task] = []
        self.roles: list[Role] = []
        self._known: list[Role] = []  # all that were read
        self._open: list[tuple[str, str]] = []

    def nodes(
        self, document: Document, value: Any, path: Keys, outer: Settings, *, handlers: bool = False
    ) -> list[Node]:
        """The nodes of the list at `path`.

        Raises:
            PlaybookError: whatever is not supported, at its line and column.
        """
        if value is None:
            return []
        if not isinstance(value, list):
            raise document.fail("tasks are a list", "each with '- ' in front", path=path)
        found: list[Node] = []
        for i, item in enumerate(value):
            found += self._node(document, item, (*path, i), outer, handlers=handlers)
        return found

    def file(self, path: Path, outer: Settings, *, handlers: bool = False) -> list[Node]:
        """The nodes of a file of tasks. Raises PlaybookError as `nodes`, or where the file cannot be read."""
        document = Document.read(path, PlaybookError)
        here = replace(outer, folder=str(path.parent))
        return self.nodes(document, document.data, (), here, handlers=handlers)

    def flat(self, nodes: Sequence[Node]) -> list[Task]:
        """Handlers among `nodes`; a block around handlers only hands its keywords down."""
        found: list[Task] = []
        for node in nodes:
            if isinstance(node, Block):
                what = "a block of handlers has no rescue and no always"
                raise PlaybookError(what, "a handler is one task", location=node.location)
            found.append(node)
        return found

    def _node(self, document: Document, value: Any, path: Keys, outer: Settings, *, handlers: bool) -> Sequence[Node]:
        if isinstance(value, dict) and "block" in value:
            return self._block(document, value, path, outer, handlers=handlers)
        task = read_task(document, value, path, outer, handler=handlers)
        name = task.module.name
        if name == "meta":
            return [self._meta(document, task, path)]
        if name in ("include_tasks", "include_role"):
            document.check_keys(_keywords(value, task), keywords.INCLUDE, path, noun=f"keyword of {name}")
            return [self._include(document, value, task, path, outer)]
        if name in ("import_tasks", "import_role"):
            document.check_keys(_keywords(value, task), keywords.IMPORT, path, noun=f"keyword of {name}")
            args = self._constant(task)
            if name == "import_tasks":
                return self._imported(self._tasks_file(task, str(args["file"])), task.settings, handlers=handlers)
            return self.role_of(args, task.settings, task.location, public=to_bool(args.get("public", True)))
        return [task]

    def _block(
        self, document: Document, value: Mapping[str, Any], path: Keys, outer: Settings, *, handlers: bool
    ) -> Sequence[Node]:
        document.check_keys(value, keywords.BLOCK, path, noun="keyword of a block")
        settings = inherit(outer, document, value, path)
        body, rescue, always = (
            self.nodes(document, sequence(document, value, key, path), (*path, key), settings, handlers=handlers)
            for key in ("block", "rescue", "always")
        )
        if not rescue and not always:
            return body  # it only hands down keywords, which its tasks have by now
        return [Block(body, rescue, always, document.location(*path))]

    @staticmethod
    def _meta(document: Document, task: Task, path: Keys) -> Task:
        action = str(task.args["action"])
        if action not in keywords.METAS:
            why = f"allowed: {', '.join(keywords.METAS)}"
            raise document.fail(f"meta cannot be '{action}'", why, path=path)
        return replace(task, meta=action)

    def _include(self, document: Document, value: Mapping[str, Any], task: Task, path: Keys, outer: Settings) -> Task:
        given = mapping(document, value, "vars", path)
        around = replace(outer, include_variables={**outer.include_variables, **given})
        key = next(k for k in value if str(k).endswith(task.module.name))
        apply = task.args.get("apply")
        if apply is not None:
            document.check_keys(apply, keywords.INHERITED, (*path, key, "apply"), noun="keyword")
            around = inherit(around, document, apply, (*path, key, "apply"))
        include = Include(around)
        args = {name: item for name, item in task.args.items() if name != "apply"}
        task = replace(task, args=args, include=include)
        if has_template(args) or task.settings.module_defaults.get(task.module.name):
            return task
        identity = (task.module.name, json.dumps(args, sort_keys=True, default=str) + (outer.folder or ""))
        if identity in self._open:
            return task  # it includes itself: read level by level, as it runs
        self._open.append(identity)
        try:
            nodes, roles = self.included(task, args)
            return replace(task, include=replace(include, nodes=nodes, roles=roles))
        finally:
            self._open.pop()

    def included(self, task: Task, args: Mapping[str, Any]) -> tuple[list[Node], list[Role]]:
        """What an include with evaluated arguments brings, and the roles that all later tasks are to see.

        Raises:
            PlaybookError: as `nodes`; no such file or role.
        """
        assert task.include is not None
        if task.module.name == "include_tasks":
            return self._imported(self._tasks_file(task, str(args["file"])), task.include.apply), []
        before = len(self.roles)
        nodes = self.role_of(args, task.include.apply, task.location, public=to_bool(args.get("public") or False))
        shown = self.roles[before:]
        del self.roles[before:]
        return nodes, shown

    def _imported(self, path: Path, settings: Settings, *, handlers: bool = False) -> list[Node]:
        identity = ("file", str(path))
        if self._open.count(identity) > 20:
            raise PlaybookError(f"{path} imports itself", "without end", "use include_tasks with a condition")
        self._open.append(identity)
        try:
            return self.file(path, settings, handlers=handlers)
        finally:
            self._open.pop()

    def _constant(self, task: Task) -> dict[str, Any]:
        """The arguments of an import, which is carried out before there are hosts."""
        known = {"playbook_dir": str(self.folder), **self.constants, **task.settings.variables}
        if task.settings.role:
            known.update(role_path=str(task.settings.role.path), role_name=task.settings.role.name)
        return dict(render(dict(task.args), known, task.location))

    def _tasks_file(self, task: Task, name: str) -> Path:
        given = Path(name).expanduser()
        role = task.settings.role
        folders = [Path(task.settings.folder or self.folder)]
        if role:
            folders = [role.path / "tasks", *folders, role.path]
        folders += [self.folder / "tasks", self.folder]
        for folder in folders:
            path = folder / given
            if path.is_file():
                return Path(os.path.abspath(path))  # noqa: PTH100 - symlinks stay as they are
        looked = ", ".join(dict.fromkeys(map(str, folders)))
        raise PlaybookError(f"no file of tasks '{name}'", f"looked in {looked}", location=task.location)

    def role_entry(
        self,
        document: Document,
        value: Any,
        path: Keys,
        outer: Settings,
        parents: Sequence[Role],
        *,
        public: bool = True,
    ) -> list[Node]:
        """What an element of `roles` or `dependencies` stands for.

        Raises:
            PlaybookError: as `nodes`.
        """
        if isinstance(value, str):
            value = {"role": value}
        if not isinstance(value, dict) or not isinstance(value.get("role", value.get("name")), str):
            raise document.fail("a role is its name, or a mapping with `role`", path=path)
        value = {"role": value.get("role", value.get("name")), **{k: v for k, v in value.items() if k != "name"}}
        given = mapping(document, value, "vars", path)
        said = {key: item for key, item in value.items() if key in keywords.ROLE and key != "vars"}
        parameters = {key: item for key, item in value.items() if key not in keywords.ROLE}
        for name in parameters:
            if name in keywords.TASK or name in keywords.REFUSED:
                raise document.fail(f"a role cannot say '{name}'", path=(*path, name))
        return self.role_of(
            {"name": self._rendered(value["role"], document.location(*path))},
            inherit(outer, document, said, path),
            document.location(*path),
            public=public,
            given=given,
            parameters=parameters,
            parents=parents,
            once=True,
        )

    def _rendered(self, name: str, location: Location) -> str:
        return str(render(name, self.constants, location))

    def role_of(
        self,
        args: Mapping[str, Any],
        settings: Settings,
        location: Location,
        *,
        public: bool,
        given: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        parents: Sequence[Role] = (),
        once: bool = False,
    ) -> list[Node]:
        """The nodes of a role and of those it depends on.

        Args:
            args: `name` and the `..._from` of include_role.
            settings: what the role's tasks inherit.
            public: whether the whole play sees the role's defaults and variables.
            given, parameters: `vars` and other words where the role is named.
            parents: the roles that depend on this one, outermost first.
            once: leave it out where it ran before for the same host with the same words.
        """
        name = str(args.get("name") or args.get("role"))
        around = [settings.role.path] if settings.role else []
        folder = find_role(name, self.folder, [*around, *(role.path for role in parents)], location)
        if [role.path for role in parents].count(folder):
            raise PlaybookError(f"role '{name}' depends on itself", location=location)
        files = {key: Path(str(args.get(key) or "main")).with_suffix("").as_posix() for key in _FROM}
        document, dependencies, repeatable = metadata(folder)
        words = [str(folder), files, given or {}, parameters or {}]
        role = Role(
            name=Path(name).name,
            path=folder,
            own_defaults=role_variables(folder, "defaults", files["defaults_from"], location),
            own_variables=role_variables(folder, "vars", files["vars_from"], location),
            given=given or {},
            parameters=parameters or {},
            parents=tuple(parents),
            key="" if repeatable or not once else json.dumps(words, sort_keys=True, default=str),
        )
        nodes: list[Node] = []
        first = len(self._known)
        for i, value in enumerate(dependencies):
            path = ("dependencies", i)
            nodes += self.role_entry(document, value, path, settings, (*parents, role), public=public)
        direct = [found for found in self._known[first:] if found.parents == (*parents, role)]
        role = replace(role, dependencies=tuple(direct))
        self._known.append(role)
        if public:
            self.roles.append(role)
        inside = replace(settings, role=role, folder=str(folder / "tasks"))
        handlers = role_file(folder, "handlers", files["handlers_from"])
        if handlers:
            document = Document.read(handlers, PlaybookError)
            found = self.nodes(document, document.data, (), replace(inside, folder=str(handlers.parent)), handlers=True)
            self.handlers += self.flat(found)
        tasks = role_file(folder, "tasks", files["tasks_from"])
        if tasks is None and files["tasks_from"] != "main":
            what = f"role '{name}' has no tasks/{files['tasks_from']}.yml"
            raise PlaybookError(what, f"looked in {folder / 'tasks'}", location=location)
        return nodes + (self._imported(tasks, inside) if tasks else [])


def _keywords(value: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """What a task says besides its module."""
    return {key: item for key, item in value.items() if short_name(str(key)) != task.module.name}
