"""The serve loop: requests in, replies out, one action at a time."""

import errno
import os
import re
import sys
import threading

from . import PROTOCOL, actions
from .arguments import check as check_arguments
from .errors import ActionError, AgentError
from .protocol import Channel
from .results import Result
from .root import find_root
from .surroundings import TimeUp, account, as_user, environment, time_limit

_FIELDS = ("id", "action", "args", "check", "become", "environment", "user", "timeout_s")


def agent_digest():
    """The digest that the agent was unpacked under, or `development`."""
    home = os.path.basename(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return home if re.match(r"[0-9a-f]{8,64}\Z", home) else "development"


class Context(object):
    """What an action knows of its call.

    check (bool): predict, change nothing; root (Root); uid (int); session: for actions marked `in_session`
    """

    def __init__(self, session, request_id, check):
        self.session = session
        self.check = check
        self._request_id = request_id

    @property
    def root(self):
        return self.session.root

    @property
    def uid(self):
        return os.geteuid()

    def progress(self, data, event="progress"):
        """Tell the controller how far the action is."""
        self.session.send({"id": self._request_id, "event": event, "data": data})

    def perform(self, action, args, check=False, become=False, around=None):
        """Run another action within this one; returns its reply, without id, whatever happens.

        args:
            around (dict): environment, user and timeout_s of the request
        """
        request = {"id": self._request_id, "action": action, "args": args, "check": check, "become": become}
        reply = self.session.reply_to(dict(request, **(around or {})))
        reply.pop("id", None)
        return reply


class Session(object):
    """One channel, one fleet_root, and the root twin once somebody needed it."""

    def __init__(self, channel, root):
        self.channel = channel
        self.root = root
        self.twin = None
        self.after_reply = []
        """Functions to call once the reply of the running action has left: what would cut the link."""

    def send(self, message):
        try:
            self.channel.send(message)
        except OSError:
            # Nobody listens any more. A thread that follows a job just ends: the action that may be running is not cut
            # short by it. Jobs are processes of their own and go on.
            if threading.current_thread() is threading.main_thread():
                os._exit(0)
            sys.exit()

    def elevate(self, password):
        """Start the root twin if there is none. raises: ActionError that says what sudo wants."""
        if self.twin is None or not self.twin.alive():
            from .elevation import Twin

            self.twin = Twin.start(password, self.root.path)
        return self.twin

    def become(self, action, args, check=False, on_event=None):
        """Run an action as root and return its Result. raises: ActionError."""
        if os.geteuid() == 0:
            function = actions.find(action)
            return function(check_arguments(action, function.schema, args), Context(self, None, check))
        request = {"id": 0, "action": action, "args": args, "check": check}
        reply = self.elevate(None).call(request, on_event or (lambda event: None))
        if not reply["ok"]:
            raise _error_of(reply["error"])
        return Result(reply["changed"], reply["data"], reply.get("diff"))

    def handle(self, request):
        """Answer one request, whatever happens."""
        request_id = request.get("id")
        try:
            function = self._resolve(request)
        except ActionError as error:
            self.send({"id": request_id, "ok": False, "error": error.to_json()})
            return
        if getattr(function, "concurrent", False):
            threading.Thread(target=self._answer, args=(request, function), daemon=True).start()
        else:
            self._answer(request, function)
            pending, self.after_reply = self.after_reply, []
            for function in pending:
                function()

    def _resolve(self, request):
        unknown = sorted(set(request) - set(_FIELDS))
        if unknown or not isinstance(request.get("id"), int) or not isinstance(request.get("action"), str):
            why = "unknown: {}".format(", ".join(unknown)) if unknown else "'id' is a number and 'action' a name"
            raise ActionError("a request is malformed", why, kind="refused")
        for flag in ("check", "become"):
            if not isinstance(request.get(flag, False), bool):
                raise ActionError("a request is malformed", "'{}' is true or false".format(flag), kind="refused")
        return actions.find(request["action"])

    def _answer(self, request, function):
        try:
            self.send(self._reply(request, function))
        except (TypeError, ValueError) as problem:  # a result that is not JSON
            self.send({"id": request["id"], "ok": False, "error": _explain(request["action"], problem).to_json()})

    def reply_to(self, request):
        """The reply to a request, whatever happens; its events are sent on the way."""
        try:
            function = self._resolve(request)
        except ActionError as error:
            return {"id": request.get("id"), "ok": False, "error": error.to_json()}
        return self._reply(request, function)

    def _reply(self, request, function):
        try:
            arguments = check_arguments(request["action"], function.schema, request.get("args") or {})
            if getattr(function, "in_session", False):
                return self._run(request, function, arguments)
            if os.geteuid() != 0:
                if request.get("become") and not _already(request.get("user")):
                    return self._answer_as_root(request)
            elif request.get("user") and not _already(request["user"]):
                return as_user(request["user"], lambda: self._run(request, function, arguments))
            return self._run(request, function, arguments)
        except AgentError as error:
            return {"id": request["id"], "ok": False, "error": error.to_json()}
        except Exception as problem:
            return {"id": request["id"], "ok": False, "error": _explain(request["action"], problem).to_json()}

    def _run(self, request, function, arguments):
        timeout_s = request.get("timeout_s")
        try:
            with environment(request.get("environment")), time_limit(timeout_s):
                result = function(arguments, Context(self, request["id"], bool(request.get("check"))))
            changed, data, diff = result
            return {"id": request["id"], "ok": True, "changed": changed, "data": data, "diff": diff}
        except TimeUp:
            what = "{} was not finished after {:g} s".format(request["action"], timeout_s)
            error = ActionError(what, "it was ended", "raise the timeout, or find out what it waits for")
            return {"id": request["id"], "ok": False, "error": error.to_json()}
        except AgentError as error:
            return {"id": request["id"], "ok": False, "error": error.to_json()}
        except Exception as problem:
            return {"id": request["id"], "ok": False, "error": _explain(request["action"], problem).to_json()}

    def _answer_as_root(self, request):
        forwarded = dict(request, become=False)
        return self.elevate(None).call(forwarded, self.send)


def _already(user):
    """Whether this process is the user to become; None stands for root."""
    return os.geteuid() == (account(user).pw_uid if user else 0)


def _error_of(error):
    data = error.get("data") or {}
    return ActionError(error["what"], error["why"], error["remedy"], kind=error["kind"], **data)


def _explain(action, problem):
    """An ActionError for what no action expected: the disk, the permissions, or a mistake of ours."""
    if isinstance(problem, OSError) and problem.errno is not None:
        remedies = {
            errno.ENOSPC: "free some space on the device",
            errno.EROFS: "the file system was mounted or remounted read-only; look into the kernel log",
            errno.EACCES: "run the task with become: true, or choose another fleet_root",
            errno.EPERM: "run the task with become: true",
        }
        what = "{}: {}".format(action, problem.strerror)
        return ActionError(what, str(problem.filename or ""), remedies.get(problem.errno, ""), errno=problem.errno)
    import traceback

    traceback.print_exc(file=sys.stderr)
    where = traceback.extract_tb(problem.__traceback__)[-1]
    return ActionError(
        "{}: the agent made a mistake: {}: {}".format(action, type(problem).__name__, problem),
        "{}:{}".format(os.path.basename(where[0]), where[1]),
        "please report it with the device's facts",
    )


def serve(nonce, root, greet_first=False):
    """Speak the protocol until the end of input; returns the exit code.

    args:
        nonce (str): ends what precedes the protocol, in both directions
        root (str): fleet_root, or auto
        greet_first (bool): greet before the nonce was read, so that a starter knows whether sudo let it through
    """
    channel = Channel.take_standard_streams()
    session = Session(channel, find_root(root))
    greeting = {
        "protocol": PROTOCOL,
        "agent": agent_digest(),
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "pid": os.getpid(),
        "uid": os.geteuid(),
        "root": session.root.path,
    }
    try:
        if greet_first:
            channel.greet(nonce, greeting)
        if not channel.await_nonce(nonce):
            return 1
        if not greet_first:
            channel.greet(nonce, greeting)
    except OSError:
        return 1
    while True:
        try:
            request = channel.receive()
        except ActionError as error:
            session.send({"id": None, "ok": False, "error": error.to_json()})
            continue
        if request is None:
            break
        session.handle(request)
    if session.twin is not None:
        session.twin.close()
    # Threads that follow jobs end with us; their jobs do not.
    sys.stderr.flush()
    os._exit(0)
