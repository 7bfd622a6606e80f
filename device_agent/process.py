"""Run a device's tool for a bounded time, in the C locale, never with the agent's own stdin.

Real boards run non-English locales and put their tools into folders that a non-login SSH session does not search, so
both are set for every child.
"""

import collections
import os
import signal
import subprocess
import time

from .files import device_path

Output = collections.namedtuple("Output", "rc stdout stderr timed_out")
"""rc is None where the tool could not be started; negative for a signal. stdout and stderr are text."""

SEARCH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def environment(extra=None):
    """The environment of every tool: ours, with the C locale and a PATH that holds the system's folders."""
    env = dict(os.environ, LC_ALL="C", LANG="C")
    env.pop("LANGUAGE", None)
    known = [folder for folder in env.get("PATH", "").split(":") if folder]
    env["PATH"] = ":".join(known + [folder for folder in SEARCH if folder not in known])
    env.update(extra or {})
    return env


def find_tool(*candidates):
    """The first of these absolute device paths (or bare names, looked up on PATH) that can be run, or None."""
    for candidate in candidates:
        if candidate.startswith("/"):
            found = device_path(candidate)
            if os.path.isfile(found) and os.access(found, os.X_OK):
                return found
            continue
        if "/" in candidate:
            continue
        for folder in environment()["PATH"].split(":"):
            found = os.path.join(device_path(folder), candidate)
            if os.path.isfile(found) and os.access(found, os.X_OK):
                return found
    return None


def kill_group(pid, sig):
    """Signal a process group that may be gone already."""
    try:
        os.killpg(pid, sig)
    except (ProcessLookupError, PermissionError):
        pass


def capture(argv, timeout_s=30, merge=False, stdin=None, env=None, cwd=None):
    """Run a tool to its end and return its Output.

    args:
        timeout_s (float): then its whole process group is killed and `timed_out` is true
        merge (bool): stderr goes into stdout, in order
        stdin (bytes): what it may read; nothing by default
    """
    source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    stderr = subprocess.STDOUT if merge else subprocess.PIPE
    try:
        child = subprocess.Popen(
            argv,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment(env),
            cwd=cwd,
            start_new_session=True,
        )
    except (OSError, ValueError) as problem:
        return Output(None, "", str(problem), False)
    timed_out = False
    try:
        out, err = child.communicate(stdin, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        timed_out = True
        out, err = _stop(child)
    except BaseException:
        _stop(child)  # the time of the whole action is up
        raise
    return Output(child.returncode, _text(out), _text(err), timed_out)


def _stop(child):
    """Kill a child's group and return what it had printed; a grandchild that fled the group may hold the pipes open."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        kill_group(child.pid, sig)
        try:
            return child.communicate(timeout=2)
        except subprocess.TimeoutExpired as expired:
            partial = (expired.output, expired.stderr)
    for stream in (child.stdout, child.stderr):
        if stream:
            stream.close()
    child.wait()
    return partial


def _text(raw):
    return raw.decode("utf-8", "replace") if raw else ""


def wait_until(condition, timeout_s, pause_s=0.05):
    """Whether `condition()` became true within `timeout_s` seconds."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(pause_s)
    return True
