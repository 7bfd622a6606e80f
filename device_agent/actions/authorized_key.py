"""Who may log in with which key: lines of a user's authorized_keys."""

import os
import stat

from .. import accounts
from ..arguments import Flag, Text, accepts
from ..attributes import Path
from ..errors import ActionError
from ..files import device_path, write_atomic
from ..results import Result
from ..sshkeys import Key


@accepts(
    user=Text(),
    key=Text(),
    state=Text(default="present", choices=("present", "absent")),
    exclusive=Flag(default=False),
    manage_dir=Flag(default=True),
    path=Path(default=None),
    key_options=Text(default=None, pattern=r"[^\n]*", allowed="one line"),
    comment=Text(default=None, pattern=r"[^\n]*", allowed="one line"),
)
def authorized_key(args, context):
    """Keep public keys in a user's authorized_keys, or their absence.

    args:
        key (str): one key a line
        exclusive (bool): nothing else may stand in the file
        manage_dir (bool): make the folder and set its mode and owner
        path (str): another file than ~/.ssh/authorized_keys
        key_options (str): replaces the options that the keys come with
        comment (str): replaces their comments
    data:
        user, key, state, keyfile, path, exclusive, manage_dir, key_options, comment
    """
    wanted = _wanted(args)
    owner = accounts.find_user(args.user)
    if owner is None:
        if context.check:
            return Result(args.state == "present", _data(args, args.path))
        raise ActionError("there is no user {}".format(args.user), "", "make the user first", argument="user")
    path = args.path or os.path.join(owner.home, ".ssh", "authorized_keys")
    before = _read(path)
    after = _after(before, wanted, args)
    data = _data(args, path)
    if after == before:
        return Result(False, data)
    diff = {
        "before": "".join(line + "\n" for line in before),
        "after": "".join(line + "\n" for line in after),
        "before_header": path,
        "after_header": path,
    }
    if not context.check:
        _write(path, after, owner, args.manage_dir)
    return Result(True, data, diff)


def _wanted(args):
    if "://" in args.key.split(" ")[0]:
        raise ActionError(
            "authorized_key: a key's address is not supported",
            args.key,
            "fetch it on the controller: key: \"{{ lookup('url', ...) }}\", or name the key itself",
            kind="refused",
            argument="key",
        )
    keys = []
    for line in args.key.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            key = Key(line)
        except ValueError as problem:
            raise ActionError("invalid key specified", str(problem), "", kind="refused", argument="key")
        if args.key_options is not None:
            key.options = args.key_options.strip()
        if args.comment is not None:
            key.comment = args.comment.strip()
        keys.append(key)
    if not keys:
        raise ActionError("authorized_key: no key was given", kind="refused", argument="key")
    return keys


def _read(path):
    try:
        with open(device_path(path), encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read().splitlines()
    except FileNotFoundError:
        return []


def _after(before, wanted, args):
    """The lines that the file is to have."""
    identities = {key.identity for key in wanted}
    if args.state == "absent":
        return [line for line in before if _identity(line) not in identities]
    lines, settled = [], set()
    by_identity = {key.identity: key for key in wanted}
    for line in before:
        identity = _identity(line)
        key = by_identity.get(identity)
        if key is None:
            if not args.exclusive:
                lines.append(line)
        elif identity not in settled:
            settled.add(identity)
            lines.append(line if _same(Key(line), key, args) else key.line())
    return lines + [key.line() for key in wanted if key.identity not in settled]


def _same(there, wanted, args):
    return there.options == wanted.options and (args.comment is None or there.comment == wanted.comment)


def _identity(line):
    if line.lstrip().startswith("#"):
        return None
    try:
        return Key(line).identity
    except ValueError:
        return None


def _write(path, lines, owner, manage_dir):
    target = device_path(path)
    folder = os.path.dirname(target)
    if manage_dir:
        if not os.path.isdir(folder):
            os.makedirs(folder, 0o700)
        os.chmod(folder, 0o700)
        _own(folder, owner)
    elif not os.path.isdir(folder):
        remedy = "make it first, or set manage_dir: true"
        raise ActionError("there is no folder {}".format(os.path.dirname(path)), "", remedy, argument="path")
    try:
        mode = stat.S_IMODE(os.stat(target).st_mode)
    except FileNotFoundError:
        mode = 0o600
    text = "".join(line + "\n" for line in lines)
    write_atomic(os.path.realpath(target), text.encode("utf-8", "surrogateescape"), mode)
    _own(os.path.realpath(target), owner)


def _own(path, owner):
    status = os.stat(path)
    if (status.st_uid, status.st_gid) != (owner.uid, owner.gid):
        os.chown(path, owner.uid, owner.gid)


def _data(args, path):
    names = ("user", "key", "state", "exclusive", "manage_dir", "path", "key_options", "comment")
    return dict({name: getattr(args, name) for name in names}, keyfile=path)
