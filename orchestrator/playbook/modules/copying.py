"""Content of the controller on the device: copy, template and unarchive."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import stat as modes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.errors import PlaybookError
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, action_module
from orchestrator.playbook.modules.content import (
    ATTRIBUTES,
    digest_of,
    in_loop,
    payload,
    push,
    sha1,
    source_content,
    source_file,
)

INLINE_TREE_BYTES = 2 * 1024 * 1024
"""Of a whole folder inside one request; the rest travels as blobs."""
INLINE_FILE_BYTES = 512 * 1024
_WRITTEN = ("\\n", "\\r", "\\r\\n")

_COPYING: dict[str, Any] = {
    "dest": Argument("path", "where it goes; a folder if it ends with a slash", required=True),
    "backup": Argument("bool", "keep a copy of the file as it was, with the time in its name", False),
    "force": Argument("bool", "replace a file with other content; false leaves what is there", True),
    "follow": Argument("bool", "a link at dest stays, what it points at is written", False),
    "validate": Argument("str", "command that must succeed for the new file, %s, before it takes its place"),
    **ATTRIBUTES,
}


@action_module(
    "copy",
    src=Argument("path", "file or folder of the controller; with a slash at its end what is in the folder"),
    content=Argument("any", "instead of src: the text itself; a mapping or list is written as JSON"),
    remote_src=Argument("bool", "src is on the device", False),
    directory_mode=Argument("any", "mode of folders that are made on the way"),
    local_follow=Argument("bool", "copy what links in a folder point at, not the links", True),
    checksum=Argument("str", "SHA-1 that the content must have"),
    decrypt=Argument("bool", "decrypt a file of the vault", True),
    **_COPYING,
)
def copy(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Copy a file, a folder or a text to the device.

    A relative src is looked for in files/ of the role and of the playbook, then beside the playbook. mode: preserve
    takes the mode of the source. What is there with the same content is not sent through again.

    Returns dest, src, checksum, md5sum, backup_file, state, mode, owner, group, uid, gid, size.
    """
    content, src = args.pop("content"), args["src"]
    decrypt = args.pop("decrypt")
    if (content is None) == (src is None):
        raise PlaybookError("copy needs either src or content", location=task.task.location)
    if args["mode"] == "preserve":
        args["mode"], args["preserve"] = None, True
    if args["remote_src"]:
        if src is None:
            raise PlaybookError("copy: remote_src needs src", location=task.task.location)
        return args
    if content is not None:
        if args["dest"].endswith("/"):
            raise PlaybookError("copy: content needs a file's name as dest", location=task.task.location)
        text = json.dumps(content) if isinstance(content, (dict, list)) else str(content)
        return _brought(task, args, text.encode())
    path = source_file(task, src, "files")
    args["src"] = str(path)
    if path.is_dir():
        return _folder(task, args, path, src.endswith("/"))
    mode = _bits(path) if args.pop("preserve", False) else None
    return _brought(task, args, source_content(path, decrypt), name=path.name, mode=mode)


def _bits(path: Path) -> int:
    return modes.S_IMODE(path.stat().st_mode)


def _brought(
    task: TaskContext, args: dict[str, Any], content: bytes | Path, name: str | None = None, mode: int | None = None
) -> dict[str, Any]:
    """The arguments of the copy action for one content."""
    args.pop("preserve", None)
    digest = sha1(content) if isinstance(content, bytes) else digest_of(content, "sha1")
    sent = {**args, "sha1": digest, "name": name, **payload(task, content)}
    return {**sent, "mode": mode} if mode is not None else sent


def _folder(task: TaskContext, args: dict[str, Any], top: Path, contents_only: bool) -> dict[str, Any]:
    """The arguments of the copy action for a whole folder of the controller."""
    preserve = args.pop("preserve", False)
    base = Path() if contents_only else Path(top.name)
    files: list[dict[str, Any]] = []
    folders: list[str] = []
    links: list[dict[str, str]] = []
    # Folders in a loop share one request; they travel as blobs.
    inline = INLINE_TREE_BYTES if in_loop(task) else 0
    for path in _walk(top, follow=args["local_follow"]):
        name = str(base / path.relative_to(top))
        if path.is_symlink() and not args["local_follow"]:
            links.append({"path": name, "src": str(path.readlink())})
        elif path.is_dir():
            folders.append(name)
        elif path.is_file():
            entry: dict[str, Any] = {"path": name, "sha1": digest_of(path, "sha1")}
            if preserve:
                entry["mode"] = _bits(path)
            size = path.stat().st_size
            if size <= INLINE_FILE_BYTES and inline + size <= INLINE_TREE_BYTES:
                inline += size
                entry["content_base64"] = base64.b64encode(path.read_bytes()).decode()
            elif not task.check:
                entry["blob"] = push(task, path)
            files.append(entry)
    return {**args, "dest": args["dest"].rstrip("/") or "/", "files": files, "folders": folders, "links": links}


def _walk(top: Path, follow: bool) -> Iterator[Path]:
    """Everything below a folder, sorted, folders before what is in them."""
    for root, folders, names in os.walk(top, followlinks=follow):
        folders.sort()
        for name in sorted([*folders, *names]):
            yield Path(root) / name


@action_module(
    "template",
    action="copy",
    reads_variables=True,
    src=Argument("path", "template file of the controller", required=True),
    block_start_string=Argument("str", "what begins a block", "{%"),
    block_end_string=Argument("str", "what ends a block", "%}"),
    variable_start_string=Argument("str", "what begins an expression", "{{"),
    variable_end_string=Argument("str", "what ends an expression", "}}"),
    comment_start_string=Argument("str", "what begins a comment", "{#"),
    comment_end_string=Argument("str", "what ends a comment", "#}"),
    trim_blocks=Argument("bool", "drop the line end after a block", True),
    lstrip_blocks=Argument("bool", "drop blanks before a block", False),
    newline_sequence=Argument("str", "line end of the result", "\n", choices=("\n", "\r", "\r\n", *_WRITTEN)),
    output_encoding=Argument("str", "encoding of the result", "utf-8"),
    **_COPYING,
)
def template(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Render a Jinja2 template on the controller and copy the result to the device.

    A relative src is looked for in templates/ of the role and of the playbook, then beside the playbook.

    Returns dest, src, checksum, md5sum, backup_file, state, mode, owner, group, uid, gid, size.
    """
    from orchestrator.language.templating import TemplateOptions, render_file

    path = source_file(task, args["src"], "templates")
    names = {field.name for field in dataclasses.fields(TemplateOptions)} & args.keys()
    options = TemplateOptions(**{name: args.pop(name) for name in names})
    text = render_file(path, task.variables, options, source=args["src"], destination=args["dest"])
    encoding = args.pop("output_encoding")
    try:
        content = text.encode(encoding)
    except (LookupError, UnicodeEncodeError) as problem:
        why = f"{path} cannot be written as {encoding}: {problem}"
        raise PlaybookError("template: output_encoding does not fit", why, location=task.task.location) from None
    bits = _bits(path) if args["mode"] == "preserve" else None
    return _brought(task, {**args, "src": str(path)}, content, name=path.name, mode=bits)


@action_module(
    "unarchive",
    src=Argument("path", "archive on the controller; with remote_src on the device, or a URL", required=True),
    dest=Argument("path", "folder on the device; it exists", required=True),
    remote_src=Argument("bool", "src is on the device", False),
    copy=Argument("bool", "false is an older way to say remote_src: true", True),
    creates=Argument("path", "a path or glob; where it exists nothing is done"),
    list_files=Argument("bool", "tell what is in the archive", False),
    keep_newer=Argument("bool", "leave files that are newer than in the archive", False),
    include=Argument("list", "shell patterns: only these", elements="str"),
    exclude=Argument("list", "shell patterns: all but these", elements="str"),
    extra_opts=Argument("list", "--strip-components=N, --same-owner, --no-same-owner", elements="str"),
    validate_certs=Argument("bool", "check the certificate of a URL's server", True),
    decrypt=Argument("bool", "decrypt a file of the vault", True),
    **ATTRIBUTES,
)
def unarchive(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Unpack a tar (plain, gz, bz2, xz) or zip archive on the device.

    What is there already as in the archive is left alone. Names that lead out of dest are refused.

    Returns dest, src, handler, files (with list_files), state, mode, owner, group, uid, gid, size.
    """
    decrypt = args.pop("decrypt")
    if not args.pop("copy"):
        args["remote_src"] = True
    if args["remote_src"]:
        return args
    path = source_file(task, args["src"], "files")
    return {**args, "src": str(path), **(payload(task, source_content(path, decrypt)) or {"unsent": True})}
