"""YAML files of users, with the line and column of every value, so that mistakes can be shown where they stand."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from orchestrator.errors import ConfigurationError, Location
from orchestrator.values import Vaulted, is_vault, open_vault, remember_named, unsafe

# The C loader is about 8 times faster and gives the same marks.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_VAULT_TAGS = ("!vault", "!vault-encrypted")

Keys = tuple[str | int, ...]


class Document:
    """One YAML document: `data` as plain Python values and `location(path)` for any value in it.

    `!vault` values become Vaulted, texts under `!unsafe` become Unsafe.

    Args:
        path: the file, for messages.
        text: its content, possibly encrypted by Ansible Vault.
        error: the error class to raise (an InventoryError for an inventory, ...).

    Raises:
        error: not YAML (with file, line, column), a duplicate key, an unknown tag, a vault that cannot be opened.
    """

    def __init__(self, path: str, text: str, error: type[ConfigurationError] = ConfigurationError) -> None:
        self.path = path
        self.error = error
        encrypted = is_vault(text)
        text = decrypted(path, text, error)
        # Messages show the user's own line, but none out of a vault.
        self._lines = [] if encrypted else text.splitlines()
        self._marks: dict[Keys, tuple[int, int]] = {}
        try:
            loader = _Loader(text)
            try:
                node = loader.get_single_node()
                self.data = self._construct(loader, node, ()) if node is not None else None
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as problem:
            mark = problem.problem_mark or problem.context_mark
            location = self._at(mark.line, mark.column) if mark else Location(path)
            why = " ".join(part for part in (problem.context, problem.problem) if part)
            raise error("not valid YAML", why, "mend the line above", location=location) from None
        except yaml.YAMLError as problem:
            raise error("not valid YAML", str(problem).splitlines()[0], location=Location(path)) from None
        if encrypted:
            remember_named(self.data)

    @classmethod
    def read(cls, path: str | Path, error: type[ConfigurationError] = ConfigurationError) -> Document:
        """Read and parse a file. Raises `error` where it is missing or not text."""
        try:
            return cls(str(path), Path(path).read_text(encoding="utf-8"), error)
        except OSError as problem:
            raise error(f"cannot read {path}", problem.strerror or str(problem)) from None
        except UnicodeDecodeError as problem:
            raise error(f"cannot read {path}", f"not UTF-8 text: {problem.reason} at byte {problem.start}") from None

    def _construct(self, loader: Any, node: Any, path: Keys) -> Any:
        self._marks[path] = (node.start_mark.line, node.start_mark.column)
        if node.tag in _VAULT_TAGS:
            if not isinstance(node, yaml.ScalarNode):
                raise self.fail(f"{node.tag} stands before a text", location=self._mark(node))
            return Vaulted(node.value, self._mark(node))
        if node.tag == "!unsafe":
            return unsafe(self._construct(loader, _untagged(loader, node), path), every=True)
        if isinstance(node, yaml.MappingNode):
            self._refuse_duplicates(loader, node)
            loader.flatten_mapping(node)
            result: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                key = loader.construct_object(key_node, deep=True)
                here = (*path, key)
                result[key] = self._construct(loader, value_node, here)
                self._marks[here] = (key_node.start_mark.line, key_node.start_mark.column)
            return result
        if isinstance(node, yaml.SequenceNode):
            return [self._construct(loader, child, (*path, i)) for i, child in enumerate(node.value)]
        return loader.construct_object(node, deep=True)

    def _refuse_duplicates(self, loader: Any, node: Any) -> None:
        # Before `<<` merges are flattened: what a merge brings may be overridden, what stands twice is a mistake.
        seen: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = loader.construct_object(key_node, deep=True)
            if isinstance(key, (list, dict)):
                raise self.fail("a mapping's key must be a scalar", location=self._mark(key_node))
            if key in seen:
                why = f"first on line {seen[key]}"
                raise self.fail(f"key '{key}' stands twice", why, location=self._mark(key_node))
            seen[key] = key_node.start_mark.line + 1

    def _mark(self, node: Any) -> Location:
        return self._at(node.start_mark.line, node.start_mark.column)

    def _at(self, line: int, column: int) -> Location:
        text = self._lines[line] if line < len(self._lines) else ""
        return Location(self.path, line + 1, column + 1, text)

    def location(self, *path: str | int) -> Location:
        """Where the value at `path` stands (its key, for a mapping's value); the nearest known parent otherwise."""
        while path and path not in self._marks:
            path = path[:-1]
        mark = self._marks.get(path)
        return self._at(*mark) if mark else Location(self.path)

    def fail(
        self,
        what: str,
        why: str = "",
        remedy: str = "",
        *,
        path: Sequence[str | int] = (),
        location: Location | None = None,
    ) -> ConfigurationError:
        """An error (to be raised by the caller) that points at `path`."""
        return self.error(what, why, remedy, location=location or self.location(*path))

    def check_keys(
        self, mapping: Mapping[Any, Any], allowed: Iterable[str], path: Sequence[str | int] = (), *, noun: str = "key"
    ) -> None:
        """Refuse any key of `mapping` (which stands at `path`) outside `allowed`, naming the nearest allowed one.

        Raises:
            error: at the unknown key's line and column.
        """
        allowed = list(allowed)
        for key in mapping:
            if key not in allowed:
                raise self.fail(
                    f"unknown {noun} '{key}'",
                    f"known here: {', '.join(sorted(map(str, allowed)))}",
                    nearest(str(key), allowed),
                    path=(*path, key),
                )


def decrypted(path: str, text: str, error: type[ConfigurationError] = ConfigurationError) -> str:
    """The text of a file, decrypted where it is a vault. Raises `error` where no password fits."""
    if not is_vault(text):
        return text
    try:
        return open_vault(text, Location(path, 1, 1)).decode("utf-8", "surrogateescape")
    except ConfigurationError as problem:
        raise error(problem.what, problem.why, problem.remedy, location=problem.location) from None


def _untagged(loader: Any, node: Any) -> Any:
    """The node as it would be without its tag and, as in Ansible, without its quotes."""
    node.tag = loader.resolve(type(node), node.value, (True, False))
    return node


def nearest(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the known word most like `word`, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else ""
