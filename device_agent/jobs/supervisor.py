"""The detached process of a job: holds the lock, runs the work, records how it ended.

The state is on disk, durably, before the lock is let go of, so whoever looks later sees either a living job or how it
ended, whatever happened to the session or the controller in between.
"""

import importlib
import os
import signal
import sys
import time
import traceback

from ..errors import JobError
from ..files import read_json, sync_file, write_json
from ..root import Root
from .work import Job

KINDS = {
    "action": "device_agent.jobs.action",
    "command": "device_agent.jobs.command",
    "build": "device_agent.engine.build",
    "run": "device_agent.engine.run",
    "measure": "device_agent.engine.measure",
}
"""Kind of job -> the module whose function of that name does it."""


def supervise(folder, lock_fd):
    """Detach, work on the job in `folder`, and return the exit code of the process that worked.

    args:
        lock_fd (int): descriptor of `lock`, on which the starter took the flock; the lock lives as long as we do
    """
    if os.fork():
        os._exit(0)  # the session's child ends here; the job belongs to nobody
    os.chdir("/")
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.set_inheritable(lock_fd, False)  # a tool that outlives us must not look like a living job
    document = read_json(os.path.join(folder, "spec.json"), {})
    state = read_json(os.path.join(folder, "state.json"), {})
    state.update(state="running", pid=os.getpid())
    write_json(os.path.join(folder, "state.json"), state)
    job = Job(folder, document["spec"], Root(os.path.dirname(os.path.dirname(folder))))
    state.update(_work(document["kind"], job))
    state["finished"] = time.time()
    sync_file(os.path.join(folder, "events.jsonl"))
    try:
        write_json(os.path.join(folder, "state.json"), state)
    except (TypeError, ValueError) as problem:
        error = JobError("internal", "the job's result cannot be recorded", str(problem), "please report it")
        state.update(state="failed", result=None, error=error.to_json())
        write_json(os.path.join(folder, "state.json"), state)
    return 0


def _work(kind, job):
    """Run the work and say how it ended: {"state", "result", "error"}; never raises."""
    try:
        job.check_cancelled()
        function = getattr(importlib.import_module(KINDS[kind]), kind)
        return {"state": "done", "result": function(job.spec, job), "error": None}
    except JobError as error:
        state = "cancelled" if error.kind == "cancelled" else "failed"
        return {"state": state, "result": None, "error": error.to_json()}
    except OSError as problem:
        error = JobError(
            "internal",
            "{}: {}".format(kind, problem.strerror or problem),
            str(problem.filename or ""),
            "check the disk and the permissions below fleet_root",
            errno=problem.errno,
        )
        return {"state": "failed", "result": None, "error": error.to_json()}
    except Exception as problem:
        traceback.print_exc(file=sys.stderr)
        error = JobError(
            "internal",
            "{}: the agent made a mistake: {}: {}".format(kind, type(problem).__name__, problem),
            "see supervisor.log in the job's folder",
            "please report it with the device's facts",
        )
        return {"state": "failed", "result": None, "error": error.to_json()}
