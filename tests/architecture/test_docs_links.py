"""What the pages say is there: the files that they link to, the commands and options that they show."""

import re
import shlex
from pathlib import Path

import pytest

from orchestrator.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    gone = [to for to in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / to).exists()]
    assert not gone


def shown_commands():
    """Every `fleet ...` line of a code block, with its page."""
    for page in PAGES:
        for block in re.findall(r"^```(?:sh)?\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                if re.match(r"(?:\.venv/bin/)?fleet \w", line):
                    yield page.relative_to(ROOT), line


@pytest.mark.parametrize(("page", "line"), [pytest.param(*case, id=case[1][:60]) for case in shown_commands()])
def test_commands_and_options_exist(page, line, capsys):
    _, command, *words = shlex.split(line, comments=True)
    assert command in COMMANDS, f"{page}: {line}"
    actions = [words[0]] if command in ("vault", "lab") and words else []
    with pytest.raises(SystemExit):
        main([command, *actions, "--help"])
    known = set(re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", capsys.readouterr().out))
    options = [word.partition("=")[0] for word in words if re.match(r"--?[A-Za-z]", word)]
    assert not [option for option in options if option not in known], f"{page}: {line}"
