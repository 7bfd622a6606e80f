"""The session itself: is it alive, who are we, where do we keep things."""

import errno
import os
import time

from ..arguments import Integer, Text, accepts
from ..errors import ActionError
from ..files import device_path
from ..results import Result
from ..root import SYSTEM_ROOT, Root


@accepts()
def ping(args, context):
    """The device's clock. data: time (float): seconds since the epoch."""
    return Result(data={"time": time.time()})


@accepts(password=Text(default=None))
def elevate(args, context):
    """Start the root twin, so that actions with `become` have somebody to run them.

    args:
        password (str): for sudo, if it asks
    data:
        uid (int): 0
    raises:
        ActionError: data.reason is "wrong password", "password needed", "no sudo", "not allowed", "no tty" or "failed"
    """
    if os.geteuid() != 0:
        context.session.elevate(args.password)
    return Result(data={"uid": 0})


elevate.in_session = True


@accepts(path=Text(default=SYSTEM_ROOT, pattern=r"/.*", allowed="an absolute path"))
def root_prepare(args, context):
    """Make fleet_root with root's help if it is missing, give it to the login user, and use it from now on.

    args:
        path (str): default /var/lib/fleet
    data:
        root (str): fleet_root in use afterwards
    """
    path = device_path(args.path) if args.path == SYSTEM_ROOT else os.path.abspath(args.path)
    changed = not _usable(path)
    if not context.check and (changed or context.session.twin is not None):
        # Also where nothing is to be made: the twin learns of the new fleet_root by this.
        context.session.become("root_folder", {"path": path, "uid": os.geteuid(), "gid": os.getegid()})
        if not _usable(path):
            raise ActionError("{} cannot be written after all".format(path), "is it on a read-only file system?")
    diff = (context.root.path, path) if path != context.root.path else None
    if not context.check:
        context.session.root = Root(path)
    return Result(changed, {"root": context.root.path}, diff)


root_prepare.in_session = True


def _usable(path):
    return os.path.isdir(path) and os.access(path, os.R_OK | os.W_OK | os.X_OK)


@accepts(path=Text(pattern=r"/.*", allowed="an absolute path"), uid=Integer(minimum=0), gid=Integer(minimum=0))
def root_folder(args, context):
    """What root does for `root_prepare`: make the folder and hand it over. data: path (str)."""
    status = os.stat(args.path) if os.path.isdir(args.path) else None
    if not context.check:
        context.session.root = Root(args.path)
    if status and status.st_uid == args.uid and status.st_mode & 0o777 == 0o755:
        return Result(False, {"path": args.path})
    if status and status.st_uid not in (0, args.uid):
        owner = status.st_uid
        raise ActionError(
            "{} belongs to another user (uid {})".format(args.path, owner),
            "two login users cannot share one fleet_root",
            "log in as that user, or set fleet_root",
            kind="refused",
            owner=owner,
        )
    if not context.check:
        os.makedirs(args.path, exist_ok=True)
        os.chmod(args.path, 0o755)
        try:
            os.chown(args.path, args.uid, args.gid)
        except OSError as problem:
            # In a user namespace root may not know the login user, who then owns what root makes; root_prepare looks.
            if problem.errno != errno.EINVAL:
                raise
    return Result(True, {"path": args.path})
