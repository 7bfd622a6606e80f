"""What a request asks around its action: environment variables, a time limit, another user than root."""

import contextlib
import json
import os
import pwd
import signal
import sys

from .errors import ActionError


class TimeUp(Exception):
    """The time of an action is up; raised in the middle of whatever it does."""


@contextlib.contextmanager
def environment(values):
    """Add to the environment of what runs inside; values are texts."""
    before = dict(os.environ)
    os.environ.update({str(name): str(value) for name, value in (values or {}).items()})
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def time_limit(seconds):
    """Raise TimeUp inside after so many seconds, None for never; in the main thread only."""
    if not seconds:
        yield
        return

    def ring(number, frame):
        raise TimeUp()

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def account(user):
    """The passwd entry of a user named or numbered. raises: ActionError (kind refused)."""
    try:
        return pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
    except KeyError:
        raise ActionError("there is no user {}".format(user), "become_user names it", kind="refused")


def as_user(user, reply):
    """Call `reply()` in a child that is that user, and return what it returns: a JSON object.

    args:
        user (str): a name or a number
        reply: gives the reply to a request, whatever happens
    raises:
        ActionError: no such user, or the child ended without a reply
    """
    entry = account(user)
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(source)
            os.initgroups(entry.pw_name, entry.pw_gid)
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            os.environ.update(HOME=entry.pw_dir, USER=entry.pw_name, LOGNAME=entry.pw_name, SHELL=entry.pw_shell)
            with os.fdopen(sink, "w") as file:
                json.dump(reply(), file)
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(sink)
    with os.fdopen(source) as file:
        text = file.read()
    os.waitpid(child, 0)
    if not text:
        raise ActionError("could not become {}".format(user), "the process of that user ended without an answer")
    return json.loads(text)
