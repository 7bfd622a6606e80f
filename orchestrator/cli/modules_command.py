"""`fleet modules`: what tasks can name, documented from the modules themselves."""

from __future__ import annotations

import argparse

from orchestrator.documents import nearest
from orchestrator.errors import UsageError
from orchestrator.playbook.modules import Module, find_module, module_names


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="document this module")


def run(options: argparse.Namespace) -> int:
    if not options.name:
        modules = [found for name in module_names() if (found := find_module(name))]
        width = max(len(found.name) for found in modules)
        print("\n".join(f"{found.name:<{width}}  {found.summary}" for found in modules))
        return 0
    found = find_module(options.name)
    if not found:
        raise UsageError(f"no module '{options.name}'", "", nearest(options.name, module_names()) or "fleet modules")
    print(document(found))
    return 0


def document(found: Module) -> str:
    """The page of one module."""
    lines = [found.name, "=" * len(found.name), ""]
    lines += [line.removeprefix("    ") for line in found.documentation.splitlines()]
    if found.arguments:
        lines += ["", "Arguments:"]
    for name, argument in found.arguments.items():
        notes = [argument.type]
        if argument.required:
            notes.append("required")
        elif argument.default is not None:
            notes.append(f"default {argument.default}")
        if argument.choices:
            notes.append("one of " + ", ".join(map(str, argument.choices)))
        if name == found.free_form:
            notes.append("may stand for all arguments")
        lines.append(f"  {name} ({'; '.join(notes)})")
        lines.append(f"      {argument.help}")
    return "\n".join(lines)
