"""All variables of a task, in Ansible's order of precedence, with the magic ones."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import PlaybookError
from orchestrator.inventory.settings import defaults
from orchestrator.language.expressions import HostVars, render
from orchestrator.language.search import candidates
from orchestrator.playbook.inherit import listed
from orchestrator.playbook.roles import read_mapping

if TYPE_CHECKING:
    from orchestrator.inventory.inventory import Inventory
    from orchestrator.playbook.context import HostContext, RunContext
    from orchestrator.playbook.structure import Play, Role, Task

VERSION: Mapping[str, Any] = {"full": "2.19.0", "major": 2, "minor": 19, "revision": 0, "string": "2.19.0"}
"""`ansible_version`: the release whose behaviour is followed, for playbooks that ask."""


@dataclass
class Wave:
    """The hosts that go through a play together."""

    play: Play
    hosts: Sequence[str]
    """All of the play."""
    batch: Sequence[str]
    """Of this wave."""
    gone: set[str] = field(default_factory=set)
    """Those that failed or could not be reached."""


class Variables:
    """Builds the variables of tasks for all hosts of a run.

    Args:
        contexts: every host of the run by its name.
        extra: of the command line; they win over all others.
    """

    def __init__(
        self, inventory: Inventory, contexts: Mapping[str, HostContext], run: RunContext, extra: Mapping[str, Any]
    ) -> None:
        self._inventory = inventory
        self._contexts = contexts
        self._run = run
        self._extra = dict(extra)
        self._defaults = defaults()
        self._waves: dict[str, Wave] = {}
        self._files: dict[Path, dict[str, Any]] = {}
        self._hostvars = HostVars(list(inventory.hosts), self._of_other)

    def enter(self, host: str, wave: Wave) -> None:
        """From now on `host` is in this play."""
        self._waves[host] = wave

    def _of_other(self, name: str) -> dict[str, Any]:
        context = self._contexts.get(name)
        if context is None:
            return {**self._defaults, **self._inventory.host(name).variables, **self._extra}
        return self.of(context, None)  # without what a play says, as in Ansible

    def of(
        self,
        context: HostContext,
        play: Play | None,
        task: Task | None = None,
        layers: Sequence[Mapping[str, Any]] = (),
        exposed: Sequence[Role] = (),
    ) -> dict[str, Any]:
        """The variables of a host, in a play, for a task; lowest precedence first.

        Args:
            layers: loop variables and the like, of the includes around the task.
            exposed: roles that `include_role` with `public` brought.
        """
        found = dict(self._defaults)
        roles = [*play.roles, *exposed] if play else []
        role = task.settings.role if task else None
        for shown in roles:
            found.update(shown.own_defaults)
        if role:
            found.update(role.defaults)
        found.update(context.host.variables)
        facts = {**(context.facts or {}), **context.ansible_facts}
        found.update({_injected(name): value for name, value in context.ansible_facts.items()})
        found["ansible_facts"] = facts
        found.setdefault("ansible_local", {})
        if play:
            found.update(play.variables)
            for path in self._vars_files(play, context, found):
                found.update(path)
            for shown in roles:
                found.update({**shown.own_variables})
        if role:
            found.update(role.variables)
        if task:
            found.update(task.settings.variables)
        found.update(context.included)
        found.update(context.kept)
        if role:
            found.update(role.all_parameters)
        if task:
            found.update(task.settings.include_variables)
        for layer in layers:
            found.update(layer)
        found.update(self._extra)
        found.update(self._magic(context, play, task))
        found["vars"] = dict(found)
        return found

    def _magic(self, context: HostContext, play: Play | None, task: Task | None) -> dict[str, Any]:
        options = self._run.options
        found: dict[str, Any] = {
            "inventory_hostname": context.host.name,
            "inventory_hostname_short": context.host.name.partition(".")[0],
            "groups": {name: list(hosts) for name, hosts in self._inventory.groups.items()},
            "hostvars": self._hostvars,
            "ansible_check_mode": options.check,
            "ansible_diff_mode": options.diff,
            "ansible_verbosity": options.verbosity,
            "ansible_forks": options.forks,
            "ansible_run_tags": list(options.tags) or ["all"],
            "ansible_skip_tags": list(options.skip_tags),
            "ansible_playbook_python": sys.executable,
            "ansible_version": dict(VERSION),
            "fleet_facts": context.facts or {},
            "fleet_run": self._run.id,
        }
        if options.limit:
            found["ansible_limit"] = options.limit
        if play is None:
            return found
        role = task.settings.role if task else None
        folders = [str(play.folder)]
        if task and task.settings.folder and task.settings.folder not in folders:
            folders.insert(0, task.settings.folder)
        if role:
            folders = [str(r.path) for r in (role, *reversed(role.parents))] + folders
            found.update(role_name=role.name, ansible_role_name=role.name, role_path=str(role.path))
            found["ansible_parent_role_names"] = [parent.name for parent in reversed(role.parents)]
            found["ansible_parent_role_paths"] = [str(parent.path) for parent in reversed(role.parents)]
        wave = self._waves.get(context.host.name)
        everyone = list(wave.hosts) if wave else [context.host.name]
        gone = wave.gone if wave else set()
        batch = [name for name in (wave.batch if wave else everyone) if name not in gone]
        dependencies = sorted({dependency.name for role in play.roles for dependency in role.all_dependencies})
        found.update(
            playbook_dir=str(play.folder),
            ansible_play_name=play.name,
            ansible_play_hosts_all=everyone,
            ansible_play_hosts=[name for name in everyone if name not in gone],
            ansible_play_batch=batch,
            play_hosts=batch,
            role_names=list(play.role_names),
            ansible_play_role_names=list(play.role_names),
            ansible_dependent_role_names=dependencies,
            ansible_role_names=sorted({*play.role_names, *dependencies}),
            ansible_search_path=folders,
        )
        return found

    def _vars_files(self, play: Play, context: HostContext, known: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The contents of the play's `vars_files`; of a list of names the first that exists."""
        if not play.vars_files:
            return []
        seen = {**known, **self._extra, "playbook_dir": str(play.folder), "inventory_hostname": context.host.name}
        seen["ansible_search_path"] = [str(play.folder)]
        found = []
        for entry in play.vars_files:
            names = [str(render(name, seen, play.location)) for name in listed(entry)]
            places = [path for name in names for path in candidates(name, "vars", seen)]
            path = next((path for path in places if path.is_file()), None)
            if path is None and len(names) == 1:
                looked = ", ".join(str(place) for place in places)
                what = f"no file of variables '{names[0]}'"
                raise PlaybookError(what, f"looked for {looked}", location=play.location)
            if path is not None:
                if path not in self._files:
                    self._files[path] = read_mapping(path)
                found.append(self._files[path])
        return found


def _injected(name: str) -> str:
    return name if name.startswith("ansible_") else f"ansible_{name}"
