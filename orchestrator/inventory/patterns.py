"""Host patterns, as plays and `--limit` write them: `jetsons:&lab:!nano-01`, `~web\\d+`, `orin[0:2]`, `@failed.txt`."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from orchestrator.errors import InventoryError
from orchestrator.inventory.ranges import split_port

_TERM = re.compile(r"(?:\[[^\]]*\]|[^\s:\[\]])+")
_SUBSCRIPT = re.compile(r"(.+)\[(?:(?P<index>-?\d+)|(?P<first>\d+):(?P<last>\d*))\]")
_GLOB = frozenset(".?*[")


def split(pattern: str) -> list[str]:
    """The terms of a pattern: separated by commas, or by colons where there is no comma.

    Colons of an IPv6 address, of a port and inside brackets do not separate.
    """
    if "," in pattern:
        terms = pattern.split(",")
    elif _is_address(pattern):
        terms = [pattern]
    else:
        terms = _TERM.findall(pattern)
    return [term.strip() for term in terms if term.strip()]


def _is_address(pattern: str) -> bool:
    name, port = split_port(pattern.strip())
    if port is not None and name[:1] not in ("&", "!", "~") and "*" not in name and "?" not in name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def split_limit(limit: str, cwd: Path) -> list[str]:
    """The terms of a `--limit`; `@file` stands for the lines of that file.

    Raises:
        InventoryError: the file cannot be read.
    """
    terms: list[str] = []
    for term in split(limit):
        if not term.startswith("@"):
            terms.append(term)
            continue
        path = cwd / Path(term[1:]).expanduser()
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as problem:
            why = getattr(problem, "strerror", None) or str(problem)
            raise InventoryError(f"cannot read the limit file {term[1:]}", why) from None
        terms += [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    return terms


class Matcher:
    """Evaluates terms against the names of an inventory.

    Args:
        groups: name of each group to the names of all its hosts, in order.
        hosts: all host names, in order.
        implicit: asked for the name of a host that exists without being written down (localhost), or None.
    """

    def __init__(
        self,
        groups: Mapping[str, list[str]],
        hosts: Iterable[str],
        implicit: Callable[[str], str | None] = lambda name: None,
    ) -> None:
        self._groups = groups
        self._hosts = dict.fromkeys(hosts)
        self._implicit = implicit
        self.unmatched: list[str] = []
        """Terms that matched no group and no host, in the order in which they were met."""

    def select(self, terms: Iterable[str]) -> list[str]:
        """Names of the hosts that the terms choose: plain terms add, then `&` keeps, then `!` removes.

        Raises:
            InventoryError: a regular expression that is not one, or an index outside its group.
        """
        terms = list(terms)
        plain = [term for term in terms if term[0] not in "&!"]
        chosen = dict.fromkeys(name for term in plain or ["all"] for name in self._match(term))
        for term in (term for term in terms if term[0] == "&"):
            keep = set(self._match(term[1:]))
            chosen = {name: None for name in chosen if name in keep}
        for term in (term for term in terms if term[0] == "!"):
            for name in self._match(term[1:]):
                chosen.pop(name, None)
        return list(chosen)

    def _match(self, term: str) -> list[str]:
        if not term:
            raise InventoryError("a pattern ends in '&' or '!'", "nothing follows the sign", "name a host or a group")
        if term in self._hosts:
            return [term]
        expression, index, span = _split_subscript(term)
        found = self._enumerate(expression)
        if index is not None and found:
            try:
                return [found[index]]
            except IndexError:
                why = f"'{expression}' has {len(found)} host{'s' * (len(found) != 1)}"
                raise InventoryError(f"no host matches '{term}'", why, f"count from 0 to {len(found) - 1}") from None
        return found[span[0] : span[1]] if span else found

    def _enumerate(self, expression: str) -> list[str]:
        test = _compile(expression)
        groups = [name for name in self._groups if test(name)]
        found = dict.fromkeys(host for name in groups for host in self._groups[name])
        if not groups or expression[0] == "~" or _GLOB.intersection(expression):
            found.update((host, None) for host in self._hosts if test(host))
        if not found and (name := self._implicit(expression)):
            return [name]
        if not found and not groups and expression not in self.unmatched:
            self.unmatched.append(expression)
        return list(found)


def _split_subscript(term: str) -> tuple[str, int | None, tuple[int, int | None] | None]:
    """`web[1]` to (web, 1, None); `web[1:3]`, whose end counts, to (web, None, (1, 4)); others stay whole."""
    match = None if term.startswith("~") else _SUBSCRIPT.fullmatch(term)
    if match is None:
        return term, None, None
    if match["index"]:
        return match[1], int(match["index"]), None
    return match[1], None, (int(match["first"]), int(match["last"]) + 1 if match["last"] else None)


def _compile(expression: str) -> Callable[[str], object]:
    regex = expression[1:] if expression.startswith("~") else fnmatch.translate(expression)
    try:
        return re.compile(regex).match
    except re.error as problem:
        raise InventoryError(f"'{expression}' is not a valid regular expression", str(problem)) from None
