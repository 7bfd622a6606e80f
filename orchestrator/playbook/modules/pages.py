"""The documentation of modules as pages, for terminals and for docs/modules/."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from orchestrator.playbook.modules import Module, find_module, module_names
from orchestrator.playbook.modules.arguments import Argument
from orchestrator.playbook.modules.families import FAMILIES

GROUPS = {
    "Jetsons": ("power", "jetson", "provisioning"),
    "Engines": ("engine_plan", "engine_push", "engine_build", "engine_benchmark", "engine_release"),
    "Commands": ("commands", "waiting"),
    "Files": ("copying", "files", "net", "scm"),
    "System": ("packages", "system"),
    "Playbooks": ("basics", "include_vars", "structure"),
}
"""What people look for, and the families of modules in it."""


@functools.cache
def examples() -> dict[str, str]:
    """A few lines of playbook for each module."""
    text = Path(__file__).with_name("examples.yml").read_text(encoding="utf-8")
    found: dict[str, str] = yaml.safe_load(text)
    return found


def groups() -> Iterator[tuple[str, list[Module]]]:
    """The modules by what they are for, each group by name."""
    for group, families in GROUPS.items():
        names = [name for name in module_names() if FAMILIES[name] in families]
        yield group, [found for name in names if (found := find_module(name))]


def as_text(module: Module) -> str:
    """The page of one module, for a terminal."""
    lines = [module.name, "=" * len(module.name), "", module.documentation]
    if module.arguments:
        lines += ["", "Arguments:"]
    for name, argument in module.arguments.items():
        lines += [f"  {name} ({'; '.join(_notes(module, name, argument))})", f"      {argument.help}"]
    lines += ["", "Example:", *(f"  {line}".rstrip() for line in examples()[module.name].splitlines())]
    return "\n".join(lines)


def as_markdown(module: Module) -> str:
    """The page of one module, for docs/modules/."""
    lines = [f"# {module.name}", ""]
    paragraphs = module.documentation.split("\n\n")
    returns = [text for text in paragraphs if text.startswith("Returns ")]
    for text in paragraphs:
        if text not in returns:
            lines += [text, ""]
    lines += ["```yaml", examples()[module.name].rstrip(), "```", ""]
    if module.arguments:
        lines += ["## Arguments", "", "| name | what | type | default |", "|---|---|---|---|"]
        lines += [_row(module, name, argument) for name, argument in module.arguments.items()]
        lines.append("")
    for text in returns:
        lines += ["## Returns", "", text.removeprefix("Returns "), ""]
    return "\n".join(lines)


def index() -> str:
    """docs/modules/README.md: every module by what it is for."""
    lines = ["# Modules", "", "What the tasks of a playbook can name. `fleet modules NAME` shows the same pages.", ""]
    for group, modules in groups():
        lines += [f"## {group}", "", "| module | what it does |", "|---|---|"]
        lines += [f"| [{found.name}]({found.name}.md) | {_cell(found.summary)} |" for found in modules]
        lines.append("")
    lines.append("(Made by `python -m orchestrator.cli.modules_command --markdown docs/modules`.)")
    return "\n".join(lines) + "\n"


def write(folder: Path) -> list[Path]:
    """Write every page and the index into a folder, and remove pages of modules that are no more."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"README.md": index()}
    for _, modules in groups():
        pages.update({f"{found.name}.md": as_markdown(found) for found in modules})
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in pages]


def _row(module: Module, name: str, argument: Argument) -> str:
    notes = [argument.help]
    if argument.choices:
        notes.append("one of " + ", ".join(f"`{choice}`" for choice in argument.choices))
    if argument.aliases:
        notes.append("also called " + ", ".join(f"`{alias}`" for alias in argument.aliases))
    if name == module.free_form:
        notes.append("may stand alone, without its name")
    default = "required" if argument.required else "" if argument.default is None else f"`{_plain(argument.default)}`"
    return f"| `{name}` | {_cell('; '.join(notes))} | {_type(argument)} | {_cell(default)} |"


def _notes(module: Module, name: str, argument: Argument) -> list[str]:
    notes = [_type(argument)]
    if argument.required:
        notes.append("required")
    elif argument.default is not None:
        notes.append(f"default {_plain(argument.default)}")
    if argument.choices:
        notes.append("one of " + ", ".join(map(str, argument.choices)))
    if argument.aliases:
        notes.append("also called " + ", ".join(argument.aliases))
    if name == module.free_form:
        notes.append("may stand alone, without its name")
    return notes


def _type(argument: Argument) -> str:
    return f"list of {argument.elements}" if argument.type == "list" and argument.elements != "any" else argument.type


def _plain(value: Any) -> str:
    """A default as YAML would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_plain(item) for item in value)}]"
    return str(value) if value != "" else '""'


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
