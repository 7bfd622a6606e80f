"""Names of hosts as an inventory writes them: `nano-[01:20]`, `rack[a:c]-[0:9:3]`, `board.lan:2222`."""

from __future__ import annotations

import re
import string

_RANGE = re.compile(r"\[([^\]]*)\]")
_BRACKETED_PORT = re.compile(r"\[([^\[\]]+)\]:(\d+)")


def split_port(text: str) -> tuple[str, int | None]:
    """Split `host:22` and `[fe80::1]:22` into name and port; a bare IPv6 address keeps its colons.

    Colons inside ranges (`n[1:3]`) do not count.
    """
    if match := _BRACKETED_PORT.fullmatch(text):
        return match[1], int(match[2])
    head, colon, tail = text.rpartition(":")
    if colon and tail.isdecimal() and head and ":" not in _RANGE.sub("", head) and "[" not in _RANGE.sub("", head):
        return head, int(tail)
    return text, None


def expand(name: str) -> list[str]:
    """Expand every range in a host name, the rightmost turning fastest; a name without a range is itself.

    Raises:
        ValueError: a range that is not `[begin:end]` or `[begin:end:step]`, with the reason.
    """
    match = _RANGE.search(name)
    if match is None:
        if "[" in name or "]" in name:
            raise ValueError("a bracket is not closed")
        return [name]
    head, tail = name[: match.start()], name[match.end() :]
    tails = expand(tail)
    return [head + item + rest for item in _items(match[1]) for rest in tails]


def _items(text: str) -> list[str]:
    parts = text.split(":")
    if len(parts) not in (2, 3):
        raise ValueError(f"[{text}] is not [begin:end] or [begin:end:step]")
    begin, end = parts[0] or "0", parts[1]
    if not end:
        raise ValueError(f"[{text}] has no end")
    step = _number(parts[2], text) if len(parts) == 3 else 1
    if step < 1:
        raise ValueError(f"[{text}] has a step below 1")
    letters = string.ascii_letters
    if len(begin) == len(end) == 1 and begin in letters and end in letters:
        first, last = letters.index(begin), letters.index(end)
        if first > last:
            raise ValueError(f"[{text}] ends before it begins")
        return list(letters[first : last + 1 : step])
    width = 0
    if begin.startswith("0") and len(begin) > 1:
        # [01:20] means two digits throughout, so both ends must be written that way.
        width = len(begin)
        if len(end) != width:
            raise ValueError(f"[{text}] has ends of different widths")
    numbers = range(_number(begin, text), _number(end, text) + 1, step)
    if not numbers:
        raise ValueError(f"[{text}] ends before it begins")
    return [str(number).zfill(width) for number in numbers]


def _number(part: str, text: str) -> int:
    if not (part.isascii() and part.isdecimal()):
        raise ValueError(f"[{text}] is neither a range of numbers nor of single letters")
    return int(part)
