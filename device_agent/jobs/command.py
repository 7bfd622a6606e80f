"""The job kind `command`: a program that takes long, whose lines are events and whose log stays in the job's folder."""

import os

from ..errors import JobError
from ..process import find_tool

_FIELDS = ("argv", "shell", "chdir", "env", "timeout_s", "silence_s", "phase")


def command(spec, job):
    """Run a command to its end; what it exits with is for the caller to judge.

    args:
        spec: argv ([str]) or shell (str, a line for /bin/sh); chdir (str, default the home folder); env ({str: str});
            timeout_s, silence_s (seconds, default none); phase (str, the name that its events carry, default running)
    returns:
        {"rc": as a shell gives it, "signal": int or None, "tail": the last lines, "duration_s", "log": path}
    raises:
        JobError: kind spec (it makes no sense), tool (could not be started), timeout or cancelled
    """
    unknown = sorted(set(spec) - set(_FIELDS))
    if unknown or (spec.get("argv") is None) == (spec.get("shell") is None):
        why = "unknown: {}".format(", ".join(unknown)) if unknown else "it takes either 'argv' or 'shell'"
        raise JobError("spec", "the job's specification makes no sense", why, "known: {}".format(", ".join(_FIELDS)))
    argv = [str(word) for word in spec["argv"]] if spec.get("argv") else ["/bin/sh", "-c", spec["shell"]]
    folder = os.path.expanduser(spec.get("chdir") or "~")
    if not os.path.isdir(folder):
        raise JobError("spec", "there is no folder {}".format(folder), "chdir of the command", "make it first")
    phase = spec.get("phase") or "running"
    job.event(phase=phase, line="$ " + " ".join(argv))
    done = job.run(
        [find_tool(argv[0]) or argv[0]] + argv[1:],
        env={str(name): str(value) for name, value in (spec.get("env") or {}).items()},
        cwd=folder,
        on_line=lambda line: job.event(phase=phase, line=line),
        timeout_s=spec.get("timeout_s"),
        silence_s=spec.get("silence_s"),
    )
    return {
        "rc": done.rc,
        "signal": done.signal,
        "tail": done.tail,
        "duration_s": done.duration_s,
        "log": os.path.join(job.folder, "output.log"),
    }
