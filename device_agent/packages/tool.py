"""Run a package tool that may take many minutes, telling its lines while it works."""

import os
import select
import signal
import subprocess
import time

from ..process import Output, environment, kill_group

TELL_EVERY_S = 0.5
"""A slow link must not carry every line that apt-get prints."""


def run_tool(argv, context, env=None, cwd=None, timeout_s=3000, stdin=None):
    """Run a tool to its end and return its process.Output; a line of it now and then is a progress event.

    args:
        env (dict): added to the agent's environment, which has LC_ALL=C
        timeout_s (float): then its whole process group is ended and `timed_out` is true
    """
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(env),
            cwd=cwd,
            start_new_session=True,
        )
    except (OSError, ValueError) as problem:
        return Output(None, "", str(problem), False)
    streams = {child.stdout.fileno(): [], child.stderr.fileno(): []}
    open_streams = set(streams)
    end = time.monotonic() + timeout_s
    told = 0.0
    timed_out = False
    while open_streams:
        ready, _, _ = select.select(list(open_streams), [], [], 0.2)
        for fd in ready:
            chunk = os.read(fd, 65536)
            if not chunk:
                open_streams.discard(fd)
            streams[fd].append(chunk)
        if not ready and child.poll() is not None:
            break  # something that fled the process group (a daemon that a package started) holds the pipe open
        now = time.monotonic()
        if ready and now - told >= TELL_EVERY_S:
            told = now
            _tell(context, streams[ready[0]])
        if now >= end:
            timed_out = True
            kill_group(child.pid, signal.SIGTERM)
            time.sleep(0.5)
            kill_group(child.pid, signal.SIGKILL)
            break
    child.wait()
    out, err = (b"".join(streams[pipe.fileno()]).decode("utf-8", "replace") for pipe in (child.stdout, child.stderr))
    child.stdout.close()
    child.stderr.close()
    return Output(child.returncode, out, err, timed_out)


def _tell(context, chunks):
    lines = b"".join(chunks[-2:]).decode("utf-8", "replace").splitlines()
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if line:
        context.progress({"line": line[:200]})
