"""What to say of a filter or test that there is not: why some are left out, or the nearest one."""

from __future__ import annotations

import re

from orchestrator.documents import nearest

_UNKNOWN = re.compile(r"No (filter|test) named '([^']+)'")

_LEFT_OUT = {
    "password_hash": "write the hash itself into a vault: openssl passwd -6",
    "json_query": "it needs a library of its own; use selectattr, map and dict2items",
    "ipaddr": "it needs a library of its own",
    "vault": "use `fleet vault encrypt`",
    "unvault": "use `!vault` values or lookup('unvault', FILE)",
}


def about_name(message: str) -> tuple[str, str]:
    """The reason and the remedy for a message of Jinja2's compiler."""
    match = _UNKNOWN.match(message)
    if not match:
        return message, ""
    from orchestrator.language import environment

    kind, name = match.groups()
    short = name.removeprefix("ansible.builtin.").removeprefix("ansible.legacy.").removeprefix("community.general.")
    if short in _LEFT_OUT:
        return f"the {kind} '{short}' is not supported", _LEFT_OUT[short]
    if short.startswith("win_"):
        return f"the {kind} '{short}' is for Windows", ""
    known = environment.environment().filters if kind == "filter" else environment.environment().tests
    return f"there is no {kind} '{name}'", nearest(short, [word for word in known if "." not in word])
