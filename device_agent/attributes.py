"""Mode, owner and group of files: how people write them, how they differ from what is there, and how they are set."""

import os
import re
import stat

from .arguments import Argument, Text
from .errors import ActionError
from .files import device_path

_CLAUSE = re.compile(r"([ugo]*|a)((?:[-+=][rwxXstugo]*)+)\Z")
_STEP = re.compile(r"([-+=])([rwxXstugo]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}
_BITS = {"r": 4, "w": 2, "x": 1}
_SPECIAL = {("s", "u"): stat.S_ISUID, ("s", "g"): stat.S_ISGID, ("t", "o"): stat.S_ISVTX}
_OWN_SPECIAL = {"u": stat.S_ISUID, "g": stat.S_ISGID, "o": stat.S_ISVTX}


class Mode(Argument):
    """A file mode: a number, octal digits in a string, or symbols (`u=rw,g=r,o=`, `+x`)."""

    def check(self, value):
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0o7777
        if isinstance(value, str):
            good = bool(re.match(r"0?o?[0-7]{1,4}\Z", value)) or all(_CLAUSE.match(part) for part in value.split(","))
        if not good:
            raise ValueError("a file mode such as '0644' or 'u=rw,g=r,o=r'")
        return value


class Path(Text):
    """A path of the device; `~` and `$NAME` in it are expanded."""

    def check(self, value):
        value = super(Path, self).check(value)
        if not value:
            raise ValueError("a path")
        return os.path.expandvars(os.path.expanduser(value))


def attribute_arguments():
    """What every action that leaves a file behind accepts."""
    return {"mode": Mode(None), "owner": Text(None), "group": Text(None)}


def current_umask():
    umask = os.umask(0o022)
    os.umask(umask)
    return umask


def resolve_mode(wanted, current, is_folder):
    """The permission bits that `wanted` (a checked Mode) means for a file whose bits are `current`."""
    if isinstance(wanted, int):
        return wanted
    if wanted[:1].isdigit():
        return int(wanted.replace("o", ""), 8)
    mode = current
    for part in wanted.split(","):
        users, steps = _CLAUSE.match(part).groups()
        # Without a user all are meant, but what the umask takes away stays away.
        mask = ~current_umask() if not users else ~0
        for operator, symbols in _STEP.findall(steps):
            for user in "ugo" if users in ("", "a") else users:
                bits = _symbols_to_bits(symbols, user, mode, is_folder, mask)
                if operator == "+":
                    mode |= bits
                elif operator == "-":
                    mode &= ~bits
                else:
                    mode = mode & ~(7 << _SHIFT[user]) & ~_OWN_SPECIAL[user] | bits
    return mode


def _symbols_to_bits(symbols, user, mode, is_folder, mask):
    bits = 0
    shift = _SHIFT[user]
    for symbol in symbols:
        if symbol in _BITS:
            bits |= (_BITS[symbol] << shift) & mask
        elif symbol == "X":
            bits |= (1 << shift) if is_folder or mode & 0o111 else 0
        elif symbol in _SHIFT:
            bits |= (mode >> _SHIFT[symbol] & 7) << shift
        else:
            bits |= _SPECIAL.get((symbol, user), 0)
    return bits


def user_id(owner):
    """The number of a user's name (or number as text), or None where nobody has that name."""
    import pwd

    if owner.isdigit():
        return int(owner)
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        return None


def group_id(group):
    """The number of a group's name (or number as text), or None where there is none."""
    import grp

    if group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def user_name(uid):
    """A user's name, or None."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def group_name(gid):
    """A group's name, or None."""
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return None


class Attributes(object):
    """The mode, owner and group that a task asks for; None for what it leaves alone.

    args:
        mode (checked Mode), owner (str), group (str)
    """

    def __init__(self, mode=None, owner=None, group=None):
        self.mode = mode
        self.owner = owner
        self.group = group

    @classmethod
    def of(cls, args):
        return cls(args.mode, args.owner, args.group)

    def changes(self, path, follow=True):
        """What would change on an existing file: [(name, before, after)], numbers of ids, octal texts of modes.

        A name that nobody has counts as a change here and is refused when it is to be set: in check mode an earlier
        task of the play may be the one that makes the user.
        """
        status = os.stat(path) if follow else os.lstat(path)
        found = []
        if self.owner is not None and user_id(self.owner) != status.st_uid:
            found.append(("owner", status.st_uid, user_id(self.owner)))
        if self.group is not None and group_id(self.group) != status.st_gid:
            found.append(("group", status.st_gid, group_id(self.group)))
        if self.mode is not None and not stat.S_ISLNK(status.st_mode):
            before = stat.S_IMODE(status.st_mode)
            after = resolve_mode(self.mode, before, stat.S_ISDIR(status.st_mode))
            if before != after:
                found.append(("mode", "{:04o}".format(before), "{:04o}".format(after)))
        return found

    def ids(self):
        """(uid, gid) to set, -1 for what is left alone. raises: ActionError for a name that nobody has."""
        uid = -1 if self.owner is None else user_id(self.owner)
        gid = -1 if self.group is None else group_id(self.group)
        if uid is None:
            raise ActionError("there is no user {}".format(self.owner), "", "make the user first", argument="owner")
        if gid is None:
            raise ActionError("there is no group {}".format(self.group), "", "make the group first", argument="group")
        return uid, gid

    def apply(self, path, check, follow=True):
        """Set what differs on an existing file and return what differed, as `changes`. raises: ActionError, OSError."""
        found = self.changes(path, follow)
        if not found or check:
            return found
        uid, gid = self.ids()
        names = [name for name, _, _ in found]
        if "owner" in names or "group" in names:
            os.chown(path, uid, gid, follow_symlinks=follow)
        if self.mode is not None and (follow or not os.path.islink(path)):
            # Again even where only the owner changed: chown takes the set-uid bits away.
            status = os.stat(path)
            mode = resolve_mode(self.mode, stat.S_IMODE(status.st_mode), stat.S_ISDIR(status.st_mode))
            if mode != stat.S_IMODE(status.st_mode):
                os.chmod(path, mode)
        return found


def state_of(path):
    """absent, link, directory, hard (a file of several names) or file."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    if stat.S_ISLNK(status.st_mode):
        return "link"
    if stat.S_ISDIR(status.st_mode):
        return "directory"
    return "hard" if status.st_nlink > 1 else "file"


def describe(path):
    """What Ansible tells of a file after any task that left it behind; an empty dict where there is none.

    data:
        uid, gid, size (int), owner, group (names, or numbers as text), mode ("0644"), state (see `state_of`)
    """
    real = device_path(path)
    try:
        status = os.lstat(real)
    except OSError:
        return {}
    return {
        "uid": status.st_uid,
        "gid": status.st_gid,
        "owner": user_name(status.st_uid) or str(status.st_uid),
        "group": group_name(status.st_gid) or str(status.st_gid),
        "mode": "{:04o}".format(stat.S_IMODE(status.st_mode)),
        "size": status.st_size,
        "state": state_of(real),
    }


def as_text(changes):
    """The (before, after) lines of a diff for `changes`."""
    return tuple("".join("{}: {}\n".format(change[0], change[side]) for change in changes) for side in (1, 2))
