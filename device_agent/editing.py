"""What lineinfile, blockinfile and replace share: a text file read, written back, and what changed."""

import os

from .arguments import Flag, Text
from .attributes import Attributes, Path, as_text, attribute_arguments
from .errors import ActionError
from .files import device_path, make_folder, shown_path
from .placing import back_up, check_validator, content_diff, place
from .results import Result

ATTRIBUTES_CHANGED = "ownership, perms or SE linux context changed"


def editing_arguments():
    """What every action that edits a text file accepts."""
    return dict(attribute_arguments(), path=Path(), backup=Flag(False), validate=Text(None))


class Editing(object):
    """One file that is being edited.

    Attributes:
        path (str), exists (bool), content (bytes, empty where it does not exist)
    raises:
        ActionError: it is a folder, or it does not exist and may not be created
    """

    def __init__(self, args, context, create):
        self.args = args
        self.check = context.check
        self.path = args.path
        self.real = device_path(args.path)
        check_validator(args.validate)
        if os.path.isdir(self.real):
            raise ActionError("Path {} is a directory !".format(self.path), rc=256)
        self.exists = os.path.exists(self.real)
        if not self.exists and not create:
            raise ActionError("Path {} does not exist !".format(self.path), "", "create: true makes it", rc=257)
        self.content = b""
        if self.exists:
            with open(self.real, "rb") as stream:
                self.content = stream.read()

    def finish(self, content, message, **data):
        """Write `content` where it differs, set the attributes, and give the action's Result.

        args:
            content (bytes), message (str): what was done, where something was
            data: more for the Result
        """
        changed = content != self.content or (not self.exists and bool(message))
        diff = content_diff(self.path, self.content, content) if changed else None
        data["msg"] = message if changed else ""
        attributes = Attributes.of(self.args)
        # A link stays a link: the file that it points at is edited.
        real = os.path.realpath(self.real)
        found = attributes.changes(real) if self.exists else []
        if changed and not self.check:
            attributes.ids()
            if self.args.backup and self.exists:
                data["backup_file"] = shown_path(back_up(self.real))
            if not self.exists:
                make_folder(os.path.dirname(real))
            place(real, content, attributes, self.args.validate)
        elif found:
            attributes.apply(real, self.check)
        if found:
            data["msg"] = "{} and {}".format(message, ATTRIBUTES_CHANGED) if changed else ATTRIBUTES_CHANGED
            diff = _with_attributes(diff, self.path, found)
        return Result(changed or bool(found), data, diff)


def _with_attributes(diff, path, found):
    before, after = as_text(found)
    if diff is None:
        header = "{} (file attributes)".format(path)
        return {"before": before, "after": after, "before_header": header, "after_header": header}
    return dict(diff, before=diff["before"] + before, after=diff["after"] + after)


def compiled(pattern, argument, flags=0):
    """A regular expression of the user's. raises: ActionError (refused)."""
    import re

    try:
        return re.compile(pattern, flags)
    except re.error as problem:
        raise ActionError(
            "argument '{}' is not a regular expression: {}".format(
                argument, pattern if isinstance(pattern, str) else pattern.decode("utf-8", "replace")
            ),
            str(problem),
            "mind that a backslash is doubled within double quotes in YAML",
            kind="refused",
            argument=argument,
        )
