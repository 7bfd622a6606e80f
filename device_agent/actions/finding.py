"""Find files by name, age, size, content and mode."""

import fnmatch
import os
import re
import stat as modes
import time

from ..arguments import Flag, Integer, Sequence, Text, accepts
from ..attributes import Mode, Path, group_name, resolve_mode, user_name
from ..editing import compiled
from ..errors import ActionError
from ..files import device_path, shown_path
from ..payload import checksum_of
from ..results import Result
from .stat import ALGORITHMS, facts_of

_AGE_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SIZE_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_KINDS = {"file": modes.S_ISREG, "directory": modes.S_ISDIR, "link": modes.S_ISLNK, "any": lambda mode: True}


@accepts(
    paths=Sequence(Path(), minimum=1),
    patterns=Sequence(Text(), default=()),
    excludes=Sequence(Text(), default=()),
    use_regex=Flag(False),
    contains=Text(None),
    read_whole_file=Flag(False),
    encoding=Text("utf-8"),
    file_type=Text("file", choices=tuple(sorted(_KINDS))),
    age=Text(None),
    age_stamp=Text("mtime", choices=("atime", "ctime", "mtime")),
    size=Text(None),
    recurse=Flag(False),
    depth=Integer(None, minimum=0),
    hidden=Flag(False),
    follow=Flag(False),
    get_checksum=Flag(False),
    checksum_algorithm=Text("sha1", choices=ALGORITHMS),
    mode=Mode(None),
    exact_mode=Flag(True),
    limit=Integer(None, minimum=1),
)
def find(args, context):
    """Files below folders, for which all that is asked holds.

    args:
        paths ([str]): folders; recurse, depth (1: only what lies in them), hidden, follow (links to folders)
        patterns, excludes ([str]): of the name, shell patterns, or regular expressions with use_regex
        file_type: file, directory, link or any
        age ("2d", negative for younger), age_stamp; size ("10m", negative for smaller)
        contains (regular expression): of a line's start, or of the whole file with read_whole_file; encoding
        mode, exact_mode (false: one of its bits is enough); limit (int): stop after so many
        get_checksum, checksum_algorithm
    data:
        files ([what `stat` tells]), matched, examined (int), skipped_paths ({path: why}), msg (str)
    """
    search = _Search(args)
    for path in args.paths:
        if search.full():
            break
        search.look_into(path)
    message = "All paths examined"
    if search.full():
        message = "Limit of matches reached"
    if search.skipped:
        message = "Not all paths examined, check warnings for details"
    data = {"files": search.found, "matched": len(search.found), "examined": search.examined, "msg": message}
    return Result(data=dict(data, skipped_paths=search.skipped))


class _Search(object):
    """One search over all paths."""

    def __init__(self, args):
        self.args = args
        self.found = []
        self.examined = 0
        self.skipped = {}
        self.now = time.time()
        self.age = _amount(args.age, "age", _AGE_UNITS)
        self.size = _amount(args.size, "size", _SIZE_UNITS)
        self.wanted = _names(args.patterns, args.use_regex, "patterns") or [lambda name: True]
        self.unwanted = _names(args.excludes, args.use_regex, "excludes")
        self.content = compiled(args.contains, "contains") if args.contains is not None else None
        self.mode = None if args.mode is None else resolve_mode(args.mode, 0, False)

    def full(self):
        return self.args.limit is not None and len(self.found) >= self.args.limit

    def look_into(self, path):
        top = device_path(path)
        if not os.path.isdir(top):
            self.skipped[path] = "'{}' is not a directory".format(path)
            return
        base_depth = top.rstrip("/").count("/")
        for folder, folders, files in os.walk(top, onerror=self._skip, followlinks=self.args.follow):
            self.examined += len(folders) + len(files)
            depth = os.path.normpath(folder).count("/") - base_depth + 1
            for name in files + folders:
                if not self.args.depth or depth <= self.args.depth:
                    self._consider(os.path.normpath(os.path.join(folder, name)), name)
                if self.full():
                    return
            if not self.args.recurse:
                return
            if self.args.depth and depth >= self.args.depth:
                del folders[:]

    def _skip(self, problem):
        self.skipped[shown_path(str(problem.filename))] = str(problem)

    def _consider(self, path, name):
        if name.startswith(".") and not self.args.hidden:
            return
        try:
            status = os.lstat(path)
            if not self._fits(path, name, status):
                return
            told = dict(facts_of(status), path=shown_path(path))
            told["pw_name"] = user_name(status.st_uid) or ""
            told["gr_name"] = group_name(status.st_gid) or ""
            if self.args.get_checksum and told["isreg"]:
                told["checksum"] = checksum_of(path, self.args.checksum_algorithm)
        except OSError as problem:
            self.skipped[shown_path(path)] = str(problem)
            return
        self.found.append(told)

    def _fits(self, path, name, status):
        is_file = modes.S_ISREG(status.st_mode)
        return (
            _KINDS[self.args.file_type](status.st_mode)
            and any(matches(name) for matches in self.wanted)
            and not any(matches(name) for matches in self.unwanted)
            and _reaches(self.now - getattr(status, "st_" + self.args.age_stamp), self.age)
            and (not is_file or _reaches(status.st_size, self.size))
            and self._has_mode(modes.S_IMODE(status.st_mode))
            and (self.content is None or self.args.file_type != "file" or self._contains(path))
        )

    def _has_mode(self, mode):
        if self.mode is None:
            return True
        return mode == self.mode if self.args.exact_mode else bool(mode & self.mode)

    def _contains(self, path):
        try:
            with open(path, encoding=self.args.encoding) as stream:
                if self.args.read_whole_file:
                    return bool(self.content.search(stream.read()))
                return any(self.content.match(line) for line in stream)
        except UnicodeDecodeError as problem:
            self.skipped[shown_path(path)] = "not text in {}: {}".format(self.args.encoding, problem.reason)
            return False
        except LookupError:
            what = "find: argument 'encoding' is '{}'".format(self.args.encoding)
            raise ActionError(what, "Python knows no such encoding", kind="refused", argument="encoding")


def _names(patterns, use_regex, argument):
    if use_regex:
        return [compiled(pattern, argument).match for pattern in patterns]
    return [lambda name, pattern=pattern: fnmatch.fnmatch(name, pattern) for pattern in patterns]


def _amount(text, argument, units):
    """ "2d" as a number of seconds, "-10k" as a number of bytes."""
    if text is None:
        return None
    match = re.match(r"(-?\d+)([a-z]?)\Z", text.lower())
    if not match or match.group(2) not in units:
        allowed = "a number with one of {}, such as 2{}".format(", ".join(sorted(filter(None, units))), max(units))
        what = "find: argument '{}' is '{}'".format(argument, text)
        raise ActionError(what, "allowed: {}".format(allowed), kind="refused", argument=argument)
    return int(match.group(1)) * units[match.group(2)]


def _reaches(value, bound):
    """At least `bound`, or at most its amount where it is negative."""
    if bound is None:
        return True
    return value >= bound if bound >= 0 else value <= -bound
