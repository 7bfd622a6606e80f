"""One line of a text file: that it is there, or that none like it is."""

import os

from ..arguments import Flag, Text, accepts
from ..editing import Editing, compiled, editing_arguments
from ..errors import ActionError
from ..files import device_path
from ..results import Result


@accepts(
    state=Text("present", choices=("present", "absent")),
    line=Text(None),
    regexp=Text(None),
    search_string=Text(None),
    insertafter=Text(None),
    insertbefore=Text(None),
    backrefs=Flag(False),
    create=Flag(False),
    firstmatch=Flag(False),
    **editing_arguments(),
)
def lineinfile(args, context):
    """Make sure that a line is in a file, or that no line like it is.

    args:
        path (str), line (str), state: present or absent
        regexp (str) or search_string (str): the line to replace (the last that matches, the first with `firstmatch`)
        insertafter, insertbefore (str): a regular expression, or EOF, BOF; where the line goes if none was replaced
        backrefs (bool): groups of `regexp` in `line`; without a match nothing is done
        create, backup, validate, mode, owner, group
    data:
        msg (str), backup (str, empty without one), found (int, of absent)
    """
    _refuse_together(args, "insertbefore", "insertafter")
    _refuse_together(args, "regexp", "search_string")
    if args.backrefs and args.search_string is not None:
        raise _wrong("search_string", "cannot stand beside backrefs")
    if args.state == "absent":
        return _absent(args, context)
    if args.line is None:
        raise _wrong("line", "is needed with state: present")
    if args.backrefs and args.regexp is None:
        raise _wrong("regexp", "is needed with backrefs: true")
    expression = _expression(args)
    anchor = _anchor(args)
    editing = Editing(args, context, args.create)
    lines = _split(editing.content)
    message = _present(lines, args, expression, anchor)
    return _finish(editing, lines, message)


def _wrong(argument, why):
    return ActionError("lineinfile: argument '{}' {}".format(argument, why), kind="refused", argument=argument)


def _refuse_together(args, one, other):
    if getattr(args, one) is not None and getattr(args, other) is not None:
        raise _wrong(one, "cannot stand beside '{}'".format(other))


def _expression(args):
    """A function from a line (bytes) to what `regexp` or `search_string` found in it, or None without either."""
    if args.regexp is not None:
        return compiled(args.regexp.encode("utf-8"), "regexp").search
    if args.search_string is not None:
        wanted = args.search_string.encode("utf-8")
        return lambda line: wanted in line
    return None


def _anchor(args):
    for name, edge in (("insertafter", ("EOF", "BOF")), ("insertbefore", ("BOF",))):
        value = getattr(args, name)
        if value is not None and value not in edge:
            return compiled(value.encode("utf-8"), name).search
    return None


def _split(content):
    # Only \n ends a line here: splitlines also splits at a lone \r.
    lines = [line + b"\n" for line in content.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _present(lines, args, expression, anchor):
    """Change `lines` (bytes with their ends); what was done, in words, or an empty string."""
    line = args.line.encode("utf-8")
    match, at = _find(lines, expression, args.firstmatch) if expression else (None, None)
    if match is not None:
        new = match.expand(line) if args.backrefs else line
        new = new if new.endswith(b"\n") else new + b"\n"
        if lines[at] == new:
            return ""
        lines[at] = new
        return "line replaced"
    same = [i for i, there in enumerate(lines) if there.rstrip(b"\r\n") == line]
    if same or args.backrefs:
        # Of several the last one is meant; it only needs its end where it is the end of the file.
        return _replace_same(lines, same, line)
    return _insert(lines, line, args, anchor)


def _replace_same(lines, same, line):
    if not same or lines[same[-1]] == line + b"\n":
        return ""
    lines[same[-1]] = line + b"\n"
    return "line replaced"


def _find(lines, expression, first):
    found = None, None
    for i, line in enumerate(lines):
        match = expression(line)
        if match:
            found = match, i
            if first:
                break
    return found


def _insert(lines, line, args, anchor):
    at = None
    if anchor:
        _, at = _find(lines, anchor, args.firstmatch)
        if at is not None and args.insertafter is not None:
            at += 1
    elif "BOF" in (args.insertbefore, args.insertafter):
        at = 0
    if at is None:
        at = len(lines)
    if at == len(lines) and lines and lines[-1][-1:] not in (b"\n", b"\r"):
        lines[-1] += b"\n"
    lines.insert(at, line + b"\n")
    return "line added"


def _absent(args, context):
    if args.regexp is None and args.search_string is None and args.line is None:
        raise _wrong("line", "is needed with state: absent, or regexp, or search_string")
    expression = _expression(args)
    if not os.path.exists(device_path(args.path)):
        return Result(False, {"msg": "file not present"})
    editing = Editing(args, context, False)
    if expression is None:
        line = args.line.encode("utf-8")
        expression = lambda there: there.rstrip(b"\r\n") == line  # noqa: E731
    lines = _split(editing.content)
    kept = [line for line in lines if not expression(line)]
    found = len(lines) - len(kept)
    message = "{} line(s) removed".format(found) if found else ""
    return _finish(editing, kept, message, found=found)


def _finish(editing, lines, message, **data):
    result = editing.finish(b"".join(lines), message, **data)
    # Ansible's lineinfile tells of its backup under a name of its own.
    data = dict(result.data, backup=result.data.pop("backup_file", ""))
    return Result(result.changed, data, result.diff)
