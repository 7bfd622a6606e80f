"""A play of one task that stands in no file: what `fleet exec` runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from orchestrator.documents import Document, nearest
from orchestrator.errors import ConfigurationError, PlaybookError, UsageError
from orchestrator.playbook.modules import LATER, find_module, module_names, short_name
from orchestrator.playbook.modules.families import FAMILIES
from orchestrator.playbook.structure import Play, Settings
from orchestrator.playbook.tasks import read_task

RESULT = "result"
"""The name that the task's result is registered under."""

# One task alone cannot do what these are for, and what does it instead.
_NOT_ALONE = {"structure": "fleet play", "engine": "fleet deploy"}


def ad_hoc(
    pattern: str,
    module: str,
    args: str = "",
    *,
    become: bool = False,
    become_user: str | None = None,
    async_s: int = 0,
    poll_s: int = 15,
) -> Play:
    """A play that runs one module on the hosts of a pattern, without gathering facts.

    Args:
        module: short or fully qualified.
        args: `name=value ...`, a free form such as a command line, or a JSON object.
        become: as root, or as `become_user`.
        async_s: run it detached, for at most so many seconds; 0 waits for it in the session.
        poll_s: how often to look after it then; 0 leaves it to itself.

    Raises:
        UsageError: no such module, none that can be run alone, or wrong arguments.
    """
    short = short_name(module)
    if short in LATER:
        raise UsageError(f"module '{short}' is not supported yet", "it comes later")
    if find_module(module) is None:
        raise UsageError(f"no module '{module}'", "", nearest(short, module_names()) or "fleet modules")
    instead = _NOT_ALONE.get(FAMILIES[short].partition("_")[0])
    if instead:
        raise UsageError(f"{short} cannot be run alone", "it is a part of a playbook", instead)
    task: dict[str, Any] = {"name": short, short: _arguments(args), "register": RESULT}
    if async_s:
        task.update({"async": async_s, "poll": poll_s})
    document = Document("--args", json.dumps(task), UsageError)
    settings = Settings(become=become or None, become_user=become_user, folder=str(Path.cwd()))
    try:
        node = read_task(document, document.data, (), settings)
    except ConfigurationError as problem:
        # The place would be one in a file that nobody wrote.
        raise UsageError(problem.what, problem.why, problem.remedy or f"fleet modules {short}") from None
    return Play(
        name=f"{short} on {pattern}",
        hosts=pattern,
        nodes=[node],
        handlers=[],
        location=document.location(),
        folder=Path.cwd(),
        gather_facts=False,
        settings=settings,
    )


def _arguments(text: str) -> Any:
    if not text.strip():
        return None
    if text.lstrip().startswith("{") and not text.lstrip().startswith("{{"):
        data = Document("--args", text, PlaybookError).data
        if not isinstance(data, dict):
            raise UsageError("--args is no JSON object", "", """--args '{"name": "value"}'""")
        return data
    return text
