"""Makes the git repositories that virtual devices clone from, without git: sources of projects that boards build.

They are the same, commit for commit, wherever they are made, and lie in a folder named after their contents.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "tools" / "sources"
MOUNT = "/.lab/repositories"
GITCONFIG = f"""\
# Of the virtual lab: there is no network behind these names.
[url "file://{MOUNT}/"]
\tinsteadOf = https://github.com/
\tinsteadOf = http://github.com/
\tinsteadOf = git@github.com:
\tinsteadOf = git://github.com/
[protocol "file"]
\tallow = always
[safe]
\tdirectory = *
"""
_WHO = "Fleet Lab <lab@fleet.invalid> 1600000000 +0000"


def make_repositories(folder: Path) -> Path:
    """The folder under `folder` with all repositories, made if it is not there yet."""
    texts = {
        str(f.relative_to(SOURCES)): f.read_text(encoding="utf-8") for f in sorted(SOURCES.rglob("*")) if f.is_file()
    }
    digest = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:16]
    place = folder / digest
    if place.is_dir():
        return place
    from orchestrator.documents import Document

    table = Document.read(SOURCES / "repositories.yml").data or {}
    fresh = folder / f"{digest}.{os.getpid()}.new"
    refs: dict[str, dict[str, str]] = {}
    for name in _by_need(table):
        refs[name] = _repository(fresh / f"{name}.git", table[name], texts, refs)
    try:
        fresh.rename(place)
    except OSError:
        if not place.is_dir():  # else another daemon was faster with the same
            raise
    return place


def _by_need(table: Mapping[str, Any]) -> list[str]:
    """Repositories that others take as submodules first."""
    needed = [path[0] for entry in table.values() for path in entry.get("submodules", {}).values()]
    return [*dict.fromkeys(needed), *(name for name in table if name not in needed)]


def _repository(
    place: Path, entry: Mapping[str, Any], texts: Mapping[str, str], others: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    for name in ("objects", "refs/heads", "refs/tags"):
        (place / name).mkdir(parents=True)
    (place / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = true\n", encoding="ascii")
    refs: dict[str, str] = {}
    for kind, word in (("branches", "heads"), ("tags", "tags")):
        for ref, values in entry.get(kind, {}).items():
            files = _files(entry["folder"], values, texts)
            links = {}
            for path, (other, at) in entry.get("submodules", {}).items():
                links[path] = others[other][at]
                files[".gitmodules"] = _gitmodules(entry["submodules"])
            commit = _commit(place, files, links, f"{ref}\n")
            file = place / "refs" / word / str(ref)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(commit + "\n", encoding="ascii")
            refs[str(ref)] = commit
    branches = [str(ref) for ref in entry.get("branches", {})]
    if not branches:
        branches = ["main"]
        (place / "refs/heads/main").write_text(list(refs.values())[-1] + "\n", encoding="ascii")
    (place / "HEAD").write_text(f"ref: refs/heads/{branches[-1]}\n", encoding="ascii")
    return refs


def _files(folder: str, values: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for layer in values.get("layers", [""]):
        base = os.path.normpath(os.path.join(folder, layer)) + "/"
        files.update({path[len(base) :]: text for path, text in texts.items() if path.startswith(base)})
    for name, value in values.items():
        if name != "layers":
            files = {path: text.replace(f"@{name}@", str(value)) for path, text in files.items()}
    return files


def _gitmodules(submodules: Mapping[str, Any]) -> str:
    return "".join(
        f'[submodule "{path}"]\n\tpath = {path}\n\turl = https://github.com/{repository}.git\n'
        for path, (repository, _) in submodules.items()
    )


def _commit(place: Path, files: Mapping[str, str], links: Mapping[str, str], message: str) -> str:
    tree = _tree(place, {**files, **{path: ("link", commit) for path, commit in links.items()}})
    body = f"tree {tree}\nauthor {_WHO}\ncommitter {_WHO}\n\n{message}"
    return _object(place, "commit", body.encode())


def _tree(place: Path, entries: Mapping[str, Any]) -> str:
    """Write a tree with all below it; an entry is a file's text, or ("link", commit) for a submodule."""
    folders: dict[str, dict[str, Any]] = {}
    rows: list[tuple[str, str, str]] = []
    for path, entry in entries.items():
        top, _, rest = path.partition("/")
        if rest:
            folders.setdefault(top, {})[rest] = entry
        elif isinstance(entry, tuple):
            rows.append((top, "160000", entry[1]))
        else:
            mode = "100755" if entry.startswith("#!") else "100644"
            rows.append((top, mode, _object(place, "blob", entry.encode())))
    rows += [(name, "40000", _tree(place, inner)) for name, inner in folders.items()]
    rows.sort(key=lambda row: row[0] + "/" if row[1] == "40000" else row[0])
    body = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(digest) for name, mode, digest in rows)
    return _object(place, "tree", body)


def _object(place: Path, kind: str, body: bytes) -> str:
    raw = f"{kind} {len(body)}\0".encode() + body
    digest = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
    file = place / "objects" / digest[:2] / digest[2:]
    if not file.exists():
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(zlib.compress(raw, 1))
    return digest
