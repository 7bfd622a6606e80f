"""Files, folders and links: that they are there or are not, and their attributes."""

import os
import shutil
import time

from ..arguments import Flag, Text, accepts
from ..attributes import Attributes, Path, as_text, attribute_arguments, describe, state_of
from ..errors import ActionError
from ..files import device_path, shown_path
from ..placing import attribute_diff
from ..results import Result

STATES = ("absent", "directory", "file", "hard", "link", "touch")
TIME_FORMAT = "%Y%m%d%H%M.%S"
CONTENT_LIMIT = 200
"""Names of a removed folder's content that a diff shows."""


@accepts(
    path=Path(),
    state=Text(None, choices=STATES),
    src=Path(None),
    recurse=Flag(False),
    force=Flag(False),
    follow=Flag(True),
    modification_time=Text(None),
    modification_time_format=Text(TIME_FORMAT),
    access_time=Text(None),
    access_time_format=Text(TIME_FORMAT),
    **attribute_arguments(),
)
def file(args, context):
    """Make a path what it should be.

    args:
        path (str), state (str): default is what is there, else a folder where `recurse` is true, else file
        src (str): what a link points at; for `hard` the other name
        recurse (bool): attributes of everything below a folder too
        force (bool): a link takes the place of a file or an empty folder, and may point at nothing
        follow (bool): a link at `path` stands for what it points at
        modification_time, access_time (str): preserve, now, or a time in the format beside it
        mode, owner, group
    data:
        path (dest for links and touch), src of links, and what `describe` tells
    """
    target = _Target(args, context)
    state = args.state or _default_state(args)
    if args.recurse and state != "directory":
        raise _wrong("recurse", "recurse option requires state to be 'directory'", args)
    if args.src and state not in ("link", "hard"):
        raise _wrong("src", "src option requires state to be 'link' or 'hard'", args)
    if args.src and state == "hard" and os.path.isdir(device_path(args.path)):
        target.path = os.path.join(args.path, os.path.basename(args.src))
    target.read_times(state)
    return {
        "absent": target.absent,
        "directory": target.directory,
        "file": target.file,
        "hard": target.hard,
        "link": target.link,
        "touch": target.touch,
    }[state]()


def _default_state(args):
    there = state_of(device_path(args.path))
    if there != "absent":
        return there
    return "directory" if args.recurse else "file"


def _wrong(argument, what, args):
    return ActionError(what, kind="refused", argument=argument, path=args.path)


class _Target(object):
    """One path on its way to its state; collects what changes."""

    def __init__(self, args, context):
        self.args = args
        self.check = context.check
        self.path = args.path
        self.attributes = Attributes.of(args)
        self.changes = []
        self.modification_time = None
        self.access_time = None

    @property
    def real(self):
        return device_path(self.path)

    def read_times(self, state):
        """Understand the wanted times; None leaves one alone."""
        default = "now" if state == "touch" else "preserve"
        self.modification_time = _moment(
            self.args.modification_time or default, self.args.modification_time_format, "modification_time"
        )
        self.access_time = _moment(self.args.access_time or default, self.args.access_time_format, "access_time")

    def absent(self):
        before = state_of(self.real)
        data = {"path": self.path, "state": "absent"}
        if before == "absent":
            return Result(False, data)
        lost = self._content() if before == "directory" else ""
        diff = attribute_diff(self.path, "state: {}\n{}".format(before, lost), "state: absent\n")
        if not self.check:
            if before == "directory":
                shutil.rmtree(self.real)
            else:
                os.unlink(self.real)
        return Result(True, data, diff)

    def _content(self):
        names = []
        for folder, folders, files in os.walk(self.real):
            names += [os.path.relpath(os.path.join(folder, name), self.real) for name in folders + files]
            if len(names) > CONTENT_LIMIT:
                names = names[:CONTENT_LIMIT] + ["..."]
                break
        return "".join("  {}\n".format(name) for name in sorted(names))

    def file(self):
        self._follow()
        before = state_of(self.real)
        if before not in ("file", "hard"):
            raise ActionError(
                "file ({}) is {}, cannot continue".format(self.path, before),
                "state: file sets attributes, it makes nothing",
                "make it with state: touch, or with copy or template" if before == "absent" else "",
                path=self.path,
                state=before,
            )
        self._set(self.real)
        return self._result("path")

    def _follow(self):
        if self.args.follow and os.path.islink(self.real):
            self.path = shown_path(os.path.realpath(self.real))

    def directory(self):
        self._follow()
        before = state_of(self.real)
        if before == "absent":
            self.changes.append(("state", "absent", "directory"))
            if not self.check:
                self._make_folders()
            return self._result("path")
        if before != "directory":
            raise ActionError("{} already exists as a {}".format(self.path, before), path=self.path)
        self._set(self.real)
        if self.args.recurse:
            self._set_below(self.real, set())
        return self._result("path")

    def _make_folders(self):
        self.attributes.ids()
        missing = []
        folder = os.path.abspath(self.real)
        while not os.path.isdir(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        for folder in reversed(missing):
            os.mkdir(folder)
            self.attributes.apply(folder, False)
            self._touch(folder)

    def _set_below(self, top, seen):
        for folder, folders, files in os.walk(top):
            for name in folders + files:
                path = os.path.join(folder, name)
                self._set(path, follow=False)
                if not os.path.islink(path) or not self.args.follow or not os.path.exists(path):
                    continue
                target = os.path.realpath(path)
                if target in seen:
                    continue
                seen.add(target)
                self._set(target)
                if os.path.isdir(target):
                    self._set_below(target, seen)

    def touch(self):
        before = state_of(self.real)
        if before == "absent":
            self.changes.append(("state", "absent", "touch"))
            if self.check:
                return self._result("dest")
            self.attributes.ids()
            os.close(os.open(self.real, os.O_WRONLY | os.O_CREAT, 0o666))
        self._set(self.real, follow=self.args.follow)
        return self._result("dest")

    def link(self):
        before = state_of(self.real)
        source = self.args.src
        if source is None and self.args.follow and before == "link":
            source = os.readlink(self.real)
        self._may_become_a_link(before, source)
        now = os.readlink(self.real) if before == "link" else None
        if before == "link" and source is not None and now != source:
            self.changes.append(("src", now, source))
        elif before != "link":
            self.changes.append(("state", before, "link"))
        if self.changes and not self.check:
            self._switch(lambda path: os.symlink(source, path), before)
        follow = self.args.follow
        if not self.check or (before == "link" and os.path.exists(self.real)):
            if os.path.exists(self.real) or not follow:
                self._set(self.real, follow=follow)
        return self._result("dest", src=source)

    def _may_become_a_link(self, before, source):
        if source is None:
            if before != "link":
                raise _wrong("src", "src is required for creating new symlinks", self.args)
            return
        folder = self.real if before == "directory" else os.path.dirname(self.real)
        target = device_path(source) if source.startswith("/") else os.path.join(folder, source)
        if not self.args.force and not os.path.exists(target):
            raise ActionError(
                "src file does not exist, use 'force=yes' if you really want to create the link: {}".format(source),
                path=self.path,
                src=source,
            )
        if before in ("file", "hard", "directory") and not self.args.force:
            what = "refusing to convert from {} to symlink for {}".format(before, self.path)
            raise ActionError(what, "", "force: true allows it", path=self.path)
        if before == "directory" and os.listdir(self.real):
            what = "the directory {} is not empty, refusing to convert it".format(self.path)
            raise ActionError(what, path=self.path)

    def hard(self):
        before = state_of(self.real)
        source = self.args.src
        if source is None:
            if before != "hard":
                raise _wrong("src", "src is required for creating new hardlinks", self.args)
        elif not os.path.exists(device_path(source)):
            raise ActionError("src does not exist", source, dest=self.path, src=source)
        elif before == "absent" or not os.path.samefile(self.real, device_path(source)) or before == "link":
            if before != "absent" and before != "link" and not self.args.force:
                what = "Cannot link, {} exists at destination".format(
                    "different hard link" if before == "hard" else before
                )
                raise ActionError(what, "", "force: true replaces it", dest=self.path, src=source)
            self.changes.append(("state", before, "hard"))
            if not self.check:
                real = os.path.realpath(device_path(source)) if self.args.follow else device_path(source)
                self._switch(lambda path: os.link(real, path), before)
        if state_of(self.real) != "absent":
            self._set(self.real, follow=self.args.follow)
        return self._result("dest", src=source)

    def _switch(self, make, before):
        """Make a link under a temporary name and rename it, so that the path never is without."""
        temporary = os.path.join(
            os.path.dirname(self.real), ".fleet-{}-{}.tmp".format(os.getpid(), os.urandom(4).hex())
        )
        make(temporary)
        try:
            if before == "directory":
                os.rmdir(self.real)
            os.rename(temporary, self.real)
        except BaseException:
            os.unlink(temporary)
            raise

    def _set(self, path, follow=True):
        self.changes += self.attributes.apply(path, self.check, follow)
        self._touch(path, follow)

    def _touch(self, path, follow=True):
        if self.modification_time is None and self.access_time is None:
            return
        status = os.stat(path) if follow else os.lstat(path)
        now = time.time()
        wanted = [
            before if moment is None else now if moment == "now" else moment
            for moment, before in ((self.access_time, status.st_atime), (self.modification_time, status.st_mtime))
        ]
        if wanted == [status.st_atime, status.st_mtime]:
            return
        for name, before, after in (("atime", status.st_atime, wanted[0]), ("mtime", status.st_mtime, wanted[1])):
            if before != after:
                self.changes.append((name, before, after))
        if self.check:
            return
        if self.modification_time == self.access_time == "now" and follow:
            # Whoever may write a file may set it to now; another time is for its owner.
            os.utime(path, None)
        else:
            os.utime(path, tuple(wanted), follow_symlinks=follow)

    def _result(self, name, **data):
        before, after = as_text(self.changes)
        diff = attribute_diff(self.path, before, after) if self.changes else None
        return Result(bool(self.changes), dict(describe(self.path), **dict(data, **{name: self.path})), diff)


def _moment(text, time_format, argument):
    """None (leave alone), "now", or seconds since the epoch."""
    if text == "preserve":
        return None
    if text == "now":
        return "now"
    try:
        return time.mktime(time.strptime(text, time_format))
    except (ValueError, OverflowError) as problem:
        raise ActionError(
            "file: argument '{}' is '{}'".format(argument, text),
            "allowed: preserve, now, or a time as {}: {}".format(time_format, problem),
            kind="refused",
            argument=argument,
        )
