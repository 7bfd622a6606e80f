"""A block of lines in a text file, between two marker lines."""

import os
import re

from ..arguments import Flag, Text, accepts
from ..editing import Editing, compiled, editing_arguments
from ..errors import ActionError
from ..files import device_path
from ..results import Result


@accepts(
    state=Text("present", choices=("present", "absent")),
    block=Text(""),
    marker=Text("# {mark} ANSIBLE MANAGED BLOCK"),
    marker_begin=Text("BEGIN"),
    marker_end=Text("END"),
    insertafter=Text(None),
    insertbefore=Text(None),
    create=Flag(False),
    append_newline=Flag(False),
    prepend_newline=Flag(False),
    **editing_arguments(),
)
def blockinfile(args, context):
    """Keep a block of lines in a file, or take it away.

    args:
        path (str), block (str; empty takes it away), state: present or absent
        marker (str): the lines around it, with {mark} for marker_begin and marker_end
        insertafter, insertbefore (str): a regular expression (the last line that matches), or EOF, BOF
        append_newline, prepend_newline (bool): an empty line between the block and what follows or precedes it
        create, backup, validate, mode, owner, group
    data:
        msg (str), backup_file (str) where one was made
    """
    if args.insertafter is not None and args.insertbefore is not None:
        raise ActionError("blockinfile: give one of 'insertafter' and 'insertbefore'", kind="refused")
    present = args.state == "present"
    anchor = _anchor(args)
    if not present and not os.path.exists(device_path(args.path)) and args.create:
        return Result(False, {"msg": "File {} not present".format(args.path)})
    editing = Editing(args, context, args.create)
    begin, end = (_marker(args, mark) for mark in (args.marker_begin, args.marker_end))
    block = args.block.encode("utf-8")
    wanted = []
    if present and block:
        wanted = [begin] + (block if block.endswith(b"\n") else block + b"\n").splitlines(True) + [end]
    lines = editing.content.splitlines(True)
    at = _take_away(lines, begin, end)
    if at is None:
        at = _where(lines, editing.content, anchor, args)
    if at > 0 and not lines[at - 1].endswith(b"\n"):
        lines[at - 1] += b"\n"
    if present and args.prepend_newline and at > 0 and lines[at - 1] != b"\n":
        lines.insert(at, b"\n")
        at += 1
    lines[at:at] = wanted
    after = at + len(wanted)
    if present and args.append_newline and after < len(lines) and lines[after] != b"\n":
        lines.insert(after, b"\n")
    message = "File created" if not editing.exists else "Block inserted" if wanted else "Block removed"
    return editing.finish(b"".join(lines), message)


def _marker(args, mark):
    return args.marker.replace("{mark}", mark).encode("utf-8") + b"\n"


def _anchor(args):
    if args.insertafter not in (None, "EOF"):
        return compiled(args.insertafter.encode("utf-8"), "insertafter")
    if args.insertbefore not in (None, "BOF"):
        return compiled(args.insertbefore.encode("utf-8"), "insertbefore")
    return None


def _take_away(lines, begin, end):
    """Remove the block that is there (the last of each marker counts) and tell where it was, or None."""
    starts = [i for i, line in enumerate(lines) if line == begin]
    ends = [i for i, line in enumerate(lines) if line == end]
    if not starts or not ends:
        return None
    first, last = sorted((starts[-1], ends[-1]))
    del lines[first : last + 1]
    return first


def _where(lines, content, anchor, args):
    if anchor is None:
        return 0 if args.insertbefore is not None else len(lines)
    if anchor.flags & re.MULTILINE:
        match = anchor.search(content)
        found = None if match is None else match.end() if args.insertafter is not None else match.start()
        at = None if found is None else content.count(b"\n", 0, found)
    else:
        matching = [i for i, line in enumerate(lines) if anchor.search(line)]
        at = matching[-1] if matching else None
    if at is None:
        return len(lines)
    return at + 1 if args.insertafter is not None else at
