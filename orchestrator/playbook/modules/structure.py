"""Words that stand where modules stand and change what is run: includes, imports and meta.

They are declared here for their arguments and documentation; the parser and the runner carry them out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, Outcome, declare


def _not_run(task: TaskContext, args: dict[str, Any]) -> Outcome:
    raise AssertionError(f"{task.task.module.name} is carried out by the runner")


def _declare(name: str, documentation: str, arguments: Mapping[str, Argument], free_form: str | None = None) -> None:
    def run(task: TaskContext, args: dict[str, Any]) -> Outcome:
        return _not_run(task, args)

    run.__doc__ = documentation
    declare(name, run, arguments, free_form=free_form)


_FILE = Argument("str", "the file, from here, the role's tasks folder or the playbook's folder", required=True)
_ROLE: dict[str, Argument] = {
    "name": Argument("str", "the role", required=True, aliases=("role",)),
    "tasks_from": Argument("str", "file in its tasks folder", "main"),
    "vars_from": Argument("str", "file in its vars folder", "main"),
    "defaults_from": Argument("str", "file in its defaults folder", "main"),
    "handlers_from": Argument("str", "file in its handlers folder", "main"),
    "allow_duplicates": Argument("bool", "run it again where it ran before", True),
    "rolespec_validate": Argument("bool", "accepted for Ansible's sake", True),
    "public": Argument("bool", "let later tasks see its defaults and variables"),
}
_APPLY = Argument("dict", "keywords for the included tasks")

_declare(
    "include_tasks",
    "Run the tasks of a file, chosen while the play runs.\n\n"
    "Its `when`, `tags` and `loop` are about the include itself; `apply` hands keywords down.",
    {"file": _FILE, "apply": _APPLY},
    free_form="file",
)
_declare(
    "import_tasks",
    "Take the tasks of a file as if they stood here.\n\nAll its keywords are handed down to them.",
    {"file": _FILE},
    free_form="file",
)
_declare(
    "include_role",
    "Run a role, chosen while the play runs.\n\n"
    "Its `when`, `tags` and `loop` are about the include itself; `apply` hands keywords down.",
    {**_ROLE, "apply": _APPLY},
)
_declare("import_role", "Take a role's tasks as if they stood here.\n\nAll its keywords are handed down.", _ROLE)
_declare(
    "meta",
    "Change the course of the play: flush_handlers, end_play, end_host, clear_facts, noop.",
    {"action": Argument("str", "what to do", required=True)},
    free_form="action",
)
