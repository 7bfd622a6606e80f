"""Variables out of files, while a play runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from orchestrator.errors import PlaybookError
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, Outcome, module
from orchestrator.playbook.roles import read_mapping


@module(
    "include_vars",
    free_form="file",
    file=Argument("path", "the file, looked for in the role's and the playbook's vars folders"),
    dir=Argument("path", "a folder: all its files, sorted, one after the other"),
    name=Argument("str", "keep them as one mapping under this name"),
    depth=Argument("int", "how many levels of the folder to read; 0: all", 0),
    files_matching=Argument("str", "only files whose name matches this regular expression"),
    ignore_files=Argument("list", "leave out files whose name matches one of these", elements="str"),
    extensions=Argument("list", "endings to read", ["json", "yaml", "yml"], elements="str"),
    ignore_unknown_extensions=Argument("bool", "leave out files of other endings instead of failing", False),
    hash_behaviour=Argument(
        "str", "replace, or merge mappings with those that there are", choices=("replace", "merge")
    ),
)
def include_vars(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Take variables from files, from this task on.

    Returns ansible_facts and ansible_included_var_files.
    """
    if (args["file"] is None) == (args["dir"] is None):
        raise PlaybookError("include_vars needs a file or a dir", "and not both", location=task.task.location)
    files = [task.find_file("vars", args["file"])] if args["file"] else _of_folder(task, args)
    found: dict[str, Any] = {}
    for path in files:
        found = (
            _merged(found, read_mapping(path)) if args["hash_behaviour"] == "merge" else {**found, **read_mapping(path)}
        )
    if args["name"]:
        found = {args["name"]: found}
    if args["hash_behaviour"] == "merge":
        found = {name: _merged(task.variables.get(name), value) for name, value in found.items()}
    task.state_of_host.included.update(found)
    names = [str(path) for path in files]
    data = {"ansible_facts": found, "ansible_included_var_files": names}
    return Outcome(
        data=data, message=f"{len(found)} variables from {', '.join(path.name for path in files) or 'no file'}"
    )


def _of_folder(task: TaskContext, args: dict[str, Any]) -> list[Path]:
    root = task.find_file("vars", args["dir"])
    if not root.is_dir():
        raise PlaybookError(f"{root} is no folder", "include_vars was given it as dir", location=task.task.location)
    endings = {"." + ending.removeprefix(".") for ending in args["extensions"]}
    found = []
    for path in sorted(root.rglob("*")):
        depth = len(path.relative_to(root).parts)
        if not path.is_file() or path.name.startswith(".") or (args["depth"] and depth > args["depth"]):
            continue
        if args["files_matching"] and not re.search(args["files_matching"], path.name):
            continue
        if any(re.search(pattern, path.name) for pattern in args["ignore_files"] or ()):
            continue
        if path.suffix not in endings:
            if args["ignore_unknown_extensions"]:
                continue
            why = f"allowed: {', '.join(sorted(endings))}"
            raise PlaybookError(f"{path} has an unknown ending", why, "ignore_unknown_extensions: true")
        found.append(path)
    return found


def _merged(old: Any, new: Any) -> Any:
    """`new` over `old`, mappings within mappings merged."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
