"""`fleet modules`: what tasks can name, documented from the modules themselves."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from orchestrator.documents import nearest
from orchestrator.errors import UsageError
from orchestrator.playbook.modules import LATER, find_module, module_names, short_name
from orchestrator.playbook.modules.pages import as_text, groups, write


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", help="document this module")
    parser.add_argument("--markdown", metavar="DIR", help="write a page for each module into this folder instead")


def run(options: argparse.Namespace) -> int:
    if options.markdown:
        print(f"{len(write(Path(options.markdown)))} pages in {options.markdown}")
    elif options.name:
        found = find_module(options.name)
        if not found:
            short = short_name(options.name)
            why = "it comes later" if short in LATER else ""
            raise UsageError(f"no module '{options.name}'", why, nearest(short, module_names()) or "fleet modules")
        print(as_text(found))
    else:
        width = max(map(len, module_names()))
        listed = [
            "\n".join([f"{group}:", *(f"  {found.name:<{width}}  {found.summary}" for found in modules)])
            for group, modules in groups()
        ]
        print("\n\n".join(listed))
    return 0


if __name__ == "__main__":
    from orchestrator.cli.main import main

    sys.exit(main(["modules", *sys.argv[1:]]))
