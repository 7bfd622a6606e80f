"""The root twin: the same agent under sudo, started once, spoken to over pipes.

The password goes to sudo's standard input when sudo asks for it and never anywhere else: not into argv, the environment
or a file. The twin greets first, so nothing is ever written to its input before it is known to be the twin who reads.
"""

import json
import os
import re
import select
import subprocess
import sys
import threading
import time

from .errors import ActionError
from .files import device_path
from .process import environment, find_tool

START_TIMEOUT_S = 60.0
"""sudo may ask a slow directory service."""

_REFUSALS = (
    # (text of sudo in the C locale, reason, what, remedy)
    (r"not in the sudoers|not allowed to", "not allowed", "sudo refuses this user", "allow the user in sudoers"),
    (r"must have a tty", "no tty", "sudo insists on a terminal", "remove 'requiretty' from sudoers"),
    (
        r"no tty present|a terminal is required|password is required",
        "password needed",
        "sudo asks for a password",
        None,
    ),
    (r"incorrect password|try again", "wrong password", "sudo refused the password", None),
    (r"effective uid is not 0|no new privileges", "no sudo", "sudo cannot work here", "log in as root"),
)
_PASSWORD_REMEDY = "set ansible_become_password (in a vault), or use --ask-become-pass"


class Twin(object):
    """A running root agent.

    args:
        process (subprocess.Popen): sudo, with pipes to the twin
    """

    def __init__(self, process):
        self._process = process

    @classmethod
    def start(cls, password, root):
        """Start the twin under sudo.

        args:
            password (str or None): for sudo, if it asks; None: sudo must not need one
            root (str): fleet_root in use
        raises:
            ActionError: kind refused, data.reason is "wrong password", "password needed", "no sudo", "not allowed",
                "no tty" or "failed"
        """
        sudo = find_tool("sudo", "/usr/bin/sudo")
        if sudo is None:
            raise _refused("no sudo", "there is no sudo on this device", "", "log in as root")
        nonce = os.urandom(16).hex()
        prompt = "fleet-password-{}:".format(nonce[:8])
        argv = [sudo] + (["-n"] if password is None else ["-S", "-p", prompt]) + ["--"]
        # -B: root must not leave compiled files in the user's folder.
        package = os.path.dirname(os.path.abspath(__file__))
        argv += [sys.executable, "-B", package, "serve", "--nonce", nonce, "--root", root, "--greet-first", "yes"]
        if device_path("/") != "/":
            argv += ["--prefix", device_path("/")]
        pipe = subprocess.PIPE
        try:
            process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, env=environment(), bufsize=0)
        except OSError as problem:
            raise _refused("no sudo", "sudo could not be started", str(problem), "")
        try:
            _await_greeting(process, nonce, prompt, password)
            process.stdin.write((nonce + "\n").encode("ascii"))
        except BaseException as problem:
            _discard(process)
            if isinstance(problem, OSError):
                raise _refused("failed", "the root agent ended at once", str(problem), "")
            raise
        process.stdout = os.fdopen(os.dup(process.stdout.fileno()), "rb")
        threading.Thread(target=_drain, args=(process.stderr,), daemon=True).start()
        return cls(process)

    def alive(self):
        return self._process.poll() is None

    def call(self, request, on_event):
        """Send a request and return its reply; events on the way go to `on_event`. raises: ActionError."""
        try:
            self._process.stdin.write((json.dumps(request) + "\n").encode("utf-8"))
            while True:
                line = self._process.stdout.readline()
                if not line:
                    break
                message = json.loads(line.decode("utf-8"))
                if "ok" in message:
                    return message
                on_event(message)
        except (OSError, ValueError) as problem:
            why = str(problem)
        else:
            why = "its stream ended"
        _discard(self._process)
        raise ActionError("the root agent was lost during '{}'".format(request["action"]), why, "run it again")

    def close(self):
        """Let the twin end: it does so at the end of its input."""
        try:
            self._process.stdin.close()
            self._process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            pass


def _await_greeting(process, nonce, prompt, password):
    """Answer sudo's prompt once and wait for the twin's greeting; raises ActionError with what sudo said instead."""
    streams = {process.stdout.fileno(): b"", process.stderr.fileno(): b""}
    out, err = process.stdout.fileno(), process.stderr.fileno()
    open_streams = [out, err]
    answered = False
    end = time.monotonic() + START_TIMEOUT_S
    while open_streams and time.monotonic() < end:
        ready, _, _ = select.select(open_streams, [], [], 1.0)
        for fd in ready:
            chunk = os.read(fd, 65536)
            streams[fd] += chunk
            if not chunk:
                open_streams.remove(fd)
        if re.search(r"(?m)^{} \{{.*\}}$".format(nonce), streams[out].decode("utf-8", "replace")):
            return
        said = streams[err].decode("utf-8", "replace")
        # A PAM module may ask with its own words instead of ours.
        prompts = len(re.findall(re.escape(prompt) + r"|password[^\n:]*:\s*\Z", said, re.IGNORECASE))
        if answered and (prompts > 1 or "try again" in said):
            raise _refused("wrong password", "sudo refused the password", "", _PASSWORD_REMEDY)
        if prompts and not answered and password is not None:
            process.stdin.write((password + "\n").encode("utf-8"))
            answered = True
    said = streams[err].decode("utf-8", "replace").replace(prompt, "").strip()
    for pattern, reason, what, remedy in _REFUSALS:
        if re.search(pattern, said):
            if reason == "password needed" and answered:
                reason, what = "wrong password", "sudo refused the password"
            raise _refused(reason, what, _last_line(said), remedy or _PASSWORD_REMEDY)
    if time.monotonic() >= end:
        raise _refused("failed", "sudo did not answer in {:.0f} s".format(START_TIMEOUT_S), _last_line(said), "")
    raise _refused("failed", "the root agent did not start", _last_line(said), "")


def _last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


def _refused(reason, what, why, remedy):
    return ActionError(what, why, remedy, kind="refused", reason=reason)


def _discard(process):
    """End a sudo that is of no use. It runs as root: closing its pipes is what we may do, a signal may be refused."""
    for stream in (process.stdin, process.stdout):
        try:
            stream.close()
        except OSError:
            pass
    try:
        process.terminate()
    except OSError:
        pass
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        pass


def _drain(stream):
    """Pass the twin's stderr on, so that it never blocks on a full pipe."""
    while True:
        try:
            chunk = os.read(stream.fileno(), 65536)
        except (OSError, ValueError):
            return
        if not chunk:
            return
        os.write(2, chunk)
