"""Arguments written on one line: `src=a dest="b c" mode=0644`."""

from __future__ import annotations

import re
from collections.abc import Iterable

# A word ends at a blank outside quotes and outside `{{ }}` and `{% %}`.
_WORD = re.compile(r"""(?:\{\{.*?\}\}|\{%.*?%\}|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\.|[^\s])+""", re.DOTALL)
# Escapes that are read in a value, as Ansible reads them on such a line (and only there).
_ESCAPE = re.compile(r"""\\(?:U[0-9a-fA-F]{8}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|N\{[^}]+\}|[\\'"abfnrtv])""")
_PAIR = re.compile(r"([A-Za-z_][\w.-]*)=(.*)\Z", re.DOTALL)


def words(text: str) -> list[str]:
    """The words of a line, quotes and expressions kept whole and as they are written."""
    return [match.group() for match in _WORD.finditer(text)]


def parse_key_values(text: str) -> dict[str, str]:
    """`a=1 b='x y'` as a mapping of strings.

    Raises:
        ValueError: a word that is no `name=value`; its text is the word.
    """
    found = {}
    for word in words(text):
        pair = _PAIR.match(word)
        if not pair:
            raise ValueError(word)
        found[pair.group(1)] = unquoted(_unescaped(pair.group(2)))
    return found


def split_free_form(text: str, known: Iterable[str]) -> tuple[str, dict[str, str]]:
    """A free-form line and the arguments hidden in it: `make install chdir=/src` gives the line and `chdir`.

    Only names in `known` count as arguments, so that `FOO=1 make` stays as it is.
    """
    names = set(known)
    options: dict[str, str] = {}
    kept: list[str] = []
    end = 0
    for match in _WORD.finditer(text):
        pair = _PAIR.match(match.group())
        if pair and pair.group(1) in names:
            options[pair.group(1)] = unquoted(_unescaped(pair.group(2)))
            kept.append(text[end : match.start()].rstrip(" \t"))
            end = match.end()
    kept.append(text[end:])
    return "".join(kept).strip() if options else text.strip(), options


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda match: match.group().encode().decode("unicode_escape"), text)


def unquoted(text: str) -> str:
    """`text` without the quotes around the whole of it."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text
