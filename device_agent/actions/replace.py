"""Replace what a regular expression finds in a text file."""

import re

from ..arguments import Text, accepts
from ..editing import Editing, compiled, editing_arguments
from ..errors import ActionError
from ..results import Result


@accepts(
    regexp=Text(), replace=Text(""), after=Text(None), before=Text(None), encoding=Text("utf-8"), **editing_arguments()
)
def replace(args, context):
    """Replace all that a regular expression finds.

    args:
        path (str), regexp (str; ^ and $ match at every line), replace (str; may hold \\\\1, \\\\g<name>)
        after, before (str): regular expressions (. matches line ends too); only what stands between is looked at
        encoding (str), backup, validate, mode, owner, group
    data:
        msg (str), rc (int, 0), backup_file (str) where one was made
    """
    expression = compiled(args.regexp, "regexp", re.MULTILINE)
    section = _section(args)
    editing = Editing(args, context, False)
    try:
        text = editing.content.decode(args.encoding)
    except (LookupError, UnicodeDecodeError) as problem:
        raise ActionError("{} cannot be read as {}".format(args.path, args.encoding), str(problem))
    start, end = 0, len(text)
    if section is not None:
        match = section.search(text)
        if match is None:
            what = "Pattern for before/after params did not match the given file: {}".format(section.pattern)
            return Result(False, {"msg": what, "rc": 0})
        start, end = match.span("subsection")
    try:
        new, count = expression.subn(args.replace, text[start:end])
    except (re.error, IndexError) as problem:
        raise ActionError(
            "replace: argument 'replace' does not fit 'regexp'", str(problem), kind="refused", argument="replace"
        )
    content = (text[:start] + new + text[end:]).encode(args.encoding)
    return editing.finish(content, "{} replacements made".format(count), rc=0)


def _section(args):
    if args.after and args.before:
        pattern = "{}(?P<subsection>.*?){}".format(args.after, args.before)
    elif args.after:
        pattern = "{}(?P<subsection>.*)".format(args.after)
    elif args.before:
        pattern = "(?P<subsection>.*){}".format(args.before)
    else:
        return None
    return compiled(pattern, "after" if args.after else "before", re.DOTALL)
