"""Files on the device: file, lineinfile, blockinfile, replace, stat, find, slurp and fetch."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Any

from orchestrator.errors import ActionError, PlaybookError
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, Outcome, action_module, module
from orchestrator.playbook.modules.content import ATTRIBUTES, digest_of

CHUNK_BYTES = 512 * 1024
ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")

_EDITING: dict[str, Any] = {
    "path": Argument("path", "the file", required=True, aliases=("dest", "destfile", "name")),
    "backup": Argument("bool", "keep a copy of the file as it was, with the time in its name", False),
    "validate": Argument("str", "command that must succeed for the new file, %s, before it takes its place"),
    **ATTRIBUTES,
}
_INSERTION: dict[str, Any] = {
    "insertafter": Argument("str", "EOF, or a regular expression: after the last line that matches it"),
    "insertbefore": Argument("str", "BOF, or a regular expression: before the last line that matches it"),
    "create": Argument("bool", "make the file if there is none", False),
}


@action_module(
    "file",
    path=Argument("path", "the file, folder or link", required=True, aliases=("dest", "name")),
    state=Argument(
        "str",
        "file (set attributes only), directory, link, hard, touch or absent; default what is there, else file",
        choices=("absent", "directory", "file", "hard", "link", "touch"),
    ),
    src=Argument("path", "what a link points at"),
    recurse=Argument("bool", "set attributes of everything in a folder too", False),
    follow=Argument("bool", "a link at path stands for what it points at", True),
    force=Argument("bool", "a link may replace a file, and may point at nothing", False),
    modification_time=Argument("str", "preserve, now, or a time; default now for touch, else preserve"),
    modification_time_format=Argument("str", "how the time is written", "%Y%m%d%H%M.%S"),
    access_time=Argument("str", "as modification_time"),
    access_time_format=Argument("str", "how the time is written", "%Y%m%d%H%M.%S"),
    **ATTRIBUTES,
)
def file(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Make files, folders and links be there with their attributes, or not be there.

    Returns path (dest for links and touch), src, state, mode, owner, group, uid, gid, size.
    """
    return args


@action_module(
    "lineinfile",
    state=Argument("str", "whether the line is there", "present", choices=("present", "absent")),
    line=Argument("str", "the line", aliases=("value",)),
    regexp=Argument("str", "the line to replace or remove (the last that matches)", aliases=("regex",)),
    search_string=Argument("str", "as regexp, but plain text"),
    backrefs=Argument("bool", "\\1 in line stands for a group of regexp; without a match nothing is done", False),
    firstmatch=Argument("bool", "the first line that matches, not the last", False),
    **_INSERTION,
    **_EDITING,
)
def lineinfile(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Make sure that a line is in a file, replace one, or remove lines.

    Returns msg, backup, found (with state: absent).
    """
    return args


@action_module(
    "blockinfile",
    state=Argument("str", "whether the block is there", "present", choices=("present", "absent")),
    block=Argument("str", "the lines; empty removes the block", "", aliases=("content",)),
    marker=Argument("str", "line around the block, with {mark} in it", "# {mark} ANSIBLE MANAGED BLOCK"),
    marker_begin=Argument("str", "{mark} of the first marker", "BEGIN"),
    marker_end=Argument("str", "{mark} of the last marker", "END"),
    append_newline=Argument("bool", "an empty line after the block", False),
    prepend_newline=Argument("bool", "an empty line before the block", False),
    **_INSERTION,
    **_EDITING,
)
def blockinfile(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Keep a block of lines between two marker lines in a file, or remove it.

    Returns msg, backup_file.
    """
    return args


@action_module(
    "replace",
    regexp=Argument("str", "what to replace; ^ and $ match at every line", required=True),
    replace=Argument("str", "what to put there; \\1 stands for a group", ""),
    after=Argument("str", "only what follows this regular expression"),
    before=Argument("str", "only what precedes this regular expression"),
    encoding=Argument("str", "of the file", "utf-8"),
    **_EDITING,
)
def replace(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Replace everything in a file that a regular expression finds.

    Returns msg, rc, backup_file.
    """
    return args


@action_module(
    "stat",
    path=Argument("path", "what to look at", required=True, aliases=("dest", "name")),
    follow=Argument("bool", "of a link, look at what it points at", False),
    get_checksum=Argument("bool", "tell the checksum of a file", True),
    get_mime=Argument("bool", "tell mimetype and charset", True, aliases=("mime", "mime_type", "mime-type")),
    get_attributes=Argument("bool", "tell what lsattr tells", True, aliases=("attr", "attributes")),
    checksum_algorithm=Argument(
        "str", "of the checksum", "sha1", choices=ALGORITHMS, aliases=("checksum", "checksum_algo")
    ),
)
def stat(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Look at a file, folder or link.

    Returns stat: exists, and where it does path, isreg, isdir, islnk, size, mode, pw_name, gr_name, mtime, checksum
    and more.
    """
    return args


@action_module(
    "find",
    paths=Argument("list", "folders to look into", required=True, aliases=("name", "path"), elements="str"),
    patterns=Argument("list", "of names: shell patterns, or regular expressions", aliases=("pattern",), elements="str"),
    excludes=Argument("list", "as patterns: names to leave out", aliases=("exclude",), elements="str"),
    use_regex=Argument("bool", "patterns and excludes are regular expressions", False),
    contains=Argument("str", "regular expression that a line must match from its start"),
    read_whole_file=Argument("bool", "look for contains in the whole file, not line by line", False),
    encoding=Argument("str", "of the files, for contains"),
    file_type=Argument("str", "what to look for", "file", choices=("any", "directory", "file", "link")),
    age=Argument("str", "at least so old: 2d, 1h, ...; negative: at most"),
    age_stamp=Argument("str", "by which time", "mtime", choices=("atime", "ctime", "mtime")),
    size=Argument("str", "at least so large: 10k, 5m, ...; negative: at most"),
    recurse=Argument("bool", "look into folders too", False),
    depth=Argument("int", "with recurse: so many floors"),
    hidden=Argument("bool", "names with a leading dot too", False),
    follow=Argument("bool", "look into folders that links point at", False),
    get_checksum=Argument("bool", "tell checksums", False),
    checksum_algorithm=Argument(
        "str", "of the checksums", "sha1", choices=ALGORITHMS, aliases=("checksum", "checksum_algo")
    ),
    mode=Argument("any", "permissions that they must have"),
    exact_mode=Argument("bool", "exactly those; false: one of the bits is enough", True),
    limit=Argument("int", "stop after so many"),
)
def find(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Find files below folders by name, age, size, content and permissions.

    Returns files (as of stat), matched, examined, skipped_paths, msg.
    """
    return args


@action_module("slurp", src=Argument("path", "the file", required=True, aliases=("path",)))
def slurp(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Read a file of the device into a variable; its content comes as base64 (see the b64decode filter).

    Returns content, encoding, source.
    """
    return args


@module(
    "fetch",
    src=Argument("path", "file on the device", required=True),
    dest=Argument("path", "folder on the controller; with flat the file, or a folder if it ends with /", required=True),
    flat=Argument("bool", "do not put it below HOST/path/of/the/file", False),
    fail_on_missing=Argument("bool", "fail where the device has no such file", True),
    validate_checksum=Argument("bool", "compare the SHA-1 of what arrived", True),
)
def fetch(task: TaskContext, args: dict[str, Any]) -> Outcome:
    """Bring a file of the device to the controller, as dest/HOST/path.

    A file that is there with the same content is left alone. In check mode it tells whether it would change.

    Returns checksum, dest, file, md5sum, remote_checksum, remote_md5sum.
    """
    src = args["src"]
    try:
        first = _piece(task, src, 0)
    except ActionError as error:
        data = {"msg": error.what, "file": src}
        if not args["fail_on_missing"] and "not found" in error.what.lower():
            return Outcome(data={**data, "msg": f"{error.what}, ignored"}, message=error.what)
        return Outcome(data=data, failed=True)
    target = _fetched_to(task, args)
    told = {"dest": str(target), "checksum": first["sha1"], "remote_checksum": first["sha1"], "remote_md5sum": None}
    if target.is_file() and digest_of(target, "sha1") == first["sha1"]:
        return Outcome(data={**told, "file": src, "md5sum": digest_of(target, "md5")})
    if task.check:
        return Outcome(True, told)
    digest = hashlib.sha1(usedforsecurity=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.{task.name}.part")
    try:
        with temporary.open("wb") as stream:
            piece, offset = first, 0
            while content := base64.b64decode(piece["content"]):
                stream.write(content)
                digest.update(content)
                offset += len(content)
                if offset >= first["size_bytes"]:
                    break
                piece = _piece(task, src, offset)
        if args["validate_checksum"] and digest.hexdigest() != first["sha1"]:
            what = f"{src} changed while it was fetched"
            return Outcome(data={**told, "msg": what, "file": src, "checksum": digest.hexdigest()}, failed=True)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    told.update(checksum=digest.hexdigest(), md5sum=digest_of(target, "md5"))
    return Outcome(True, told, message=str(target))


def _piece(task: TaskContext, src: str, offset: int) -> dict[str, Any]:
    return task.device.call("slurp", {"src": src, "offset": offset, "limit": CHUNK_BYTES}, become=task.become).data


def _fetched_to(task: TaskContext, args: dict[str, Any]) -> Path:
    dest, src = args["dest"], args["src"]
    base = Path(str(task.variables.get("playbook_dir") or "."))
    target = base / Path(os.path.expandvars(dest)).expanduser()
    if not args["flat"]:
        return target / task.name / src.lstrip("/")
    if dest.endswith("/"):
        return target / Path(src).name
    if target.is_dir():
        raise PlaybookError(
            "fetch: dest is a folder", str(target), "end it with a slash, or name the file", location=task.task.location
        )
    return target
