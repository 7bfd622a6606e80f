"""Start, follow, cancel, list and remove jobs."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time

from ..arguments import NAME, Integer, Mapping, Text, accepts
from ..errors import ActionError
from ..files import make_folder, read_json, sync_folder, write_atomic, write_json
from ..jobs import store
from ..jobs.supervisor import KINDS
from ..process import environment, kill_group, wait_until
from ..results import Result

FOLLOW_POLL_S = 0.1
CANCEL_TIMEOUT_S = 15.0

_ID = Text(pattern=NAME, allowed="a name of letters, digits and . _ + @ = -, at most 200")


@accepts(id=_ID, kind=Text(choices=tuple(sorted(KINDS))), spec=Mapping())
def job_start(args, context):
    """Start a job, or attach to the one of this id that is alive or done; one that ended badly is put aside first.

    data:
        id (str)
        attached (bool): nothing was started
        state (str): running or done
        archived (str or None): the name that an earlier job of this id was put aside under
    """
    jobs = context.root.jobs
    folder = context.root.job(args.id)
    if context.check:
        state = store.read_state(folder)["state"] if os.path.isdir(folder) else "missing"
        attached = state in ("running", "done")
        data = {"id": args.id, "attached": attached, "state": state if attached else "running", "archived": None}
        return Result(not attached, data)
    make_folder(jobs)
    _give_back(jobs, context)
    # One starter at a time, of all sessions: look, put aside and create are one step.
    starting = os.open(os.path.join(jobs, ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    _give_back(os.path.join(jobs, ".lock"), context)
    try:
        fcntl.flock(starting, fcntl.LOCK_EX)
        archived = None
        if os.path.isdir(folder):
            state = store.read_state(folder)["state"]
            if state in ("running", "done"):
                return Result(False, {"id": args.id, "attached": True, "state": state, "archived": None})
            archived = os.path.basename(store.archive(folder))
        _create(folder, args.kind, args.spec)
    finally:
        os.close(starting)
    return Result(True, {"id": args.id, "attached": False, "state": "running", "archived": archived})


def _give_back(path, context):
    """What root makes here belongs to whom fleet_root belongs to, so that his own jobs get past it."""
    if context.uid == 0:
        owner = os.stat(context.root.path)
        os.chown(path, owner.st_uid, owner.st_gid)


def _create(folder, kind, spec):
    """Make the job's folder aside, lock it, show it by a rename, and start its supervisor with the lock in hand."""
    jobs, job_id = os.path.split(folder)
    aside = os.path.join(jobs, ".new-" + job_id)
    shutil.rmtree(aside, ignore_errors=True)
    os.mkdir(aside)
    os.chmod(aside, 0o755)
    write_json(os.path.join(aside, "spec.json"), {"kind": kind, "spec": spec})
    write_json(os.path.join(aside, "state.json"), {"state": "running", "kind": kind, "started": time.time()})
    write_atomic(os.path.join(aside, "events.jsonl"), b"")
    lock = os.open(os.path.join(aside, "lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(aside, folder)
        sync_folder(jobs)
        package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        with open(os.path.join(folder, "supervisor.log"), "ab") as log:
            starter = subprocess.Popen(
                [sys.executable, package, "job", folder, "--lock-fd", str(lock)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock,),
                env=environment(),
                start_new_session=True,
            )
        if starter.wait(timeout=60) != 0:
            raise ActionError(
                "job {} could not be started".format(job_id),
                "its supervisor ended with {}".format(starter.returncode),
                "see supervisor.log in {}".format(folder),
            )
    finally:
        os.close(lock)


@accepts(id=_ID, offset=Integer(default=0, minimum=0))
def job_follow(args, context):
    """Send the job's events from byte `offset` of its events.jsonl on, until it ends.

    events:
        "job": the event's fields, and `offset`: where to go on after it
    data:
        state (str): done, failed, lost or cancelled
        result (dict or None), error (dict or None)
        offset (int): after the last event
    """
    folder = _existing(context, args.id)
    offset = args.offset
    while True:
        # State first: events that stand before a final state are then all there.
        state = store.read_state(folder)
        for after, event in store.read_events(folder, offset):
            context.progress(dict(event, offset=after), event="job")
            offset = after
        if state["state"] in store.ENDED:
            data = {"state": state["state"], "result": state.get("result"), "error": state.get("error")}
            return Result(data=dict(data, offset=offset))
        time.sleep(FOLLOW_POLL_S)


job_follow.concurrent = True


@accepts(id=_ID)
def job_cancel(args, context):
    """Stop a job: its tool gets TERM, then KILL.

    data:
        state (str): how it ended; one that had ended before is left as it was
    """
    folder = _existing(context, args.id)
    state = store.read_state(folder)["state"]
    if state in store.ENDED:
        return Result(False, {"state": state})
    if context.check:
        return Result(True, {"state": "cancelled"})
    write_atomic(os.path.join(folder, "cancel"), b"")
    if not wait_until(lambda: not store.is_alive(folder), CANCEL_TIMEOUT_S):
        _kill_supervisor(folder)
    return Result(True, {"state": store.read_state(folder)["state"]})


def _kill_supervisor(folder):
    """The last resort for a supervisor that does not look at its cancel file; its tool dies with it."""
    pid = read_json(os.path.join(folder, "state.json"), {}).get("pid")
    if not isinstance(pid, int) or not store.is_alive(folder):
        return
    kill_group(os.getpgid(pid), signal.SIGKILL)
    if wait_until(lambda: not store.is_alive(folder), CANCEL_TIMEOUT_S):
        state = store.read_state(folder)
        error = {"kind": "cancelled", "what": "the job was cancelled", "why": "it had to be killed", "remedy": ""}
        write_json(os.path.join(folder, "state.json"), dict(state, state="cancelled", error=error))


@accepts()
def job_list(args, context):
    """All jobs, oldest first.

    data:
        jobs ([{"id", "kind", "state", "started", "finished"}])
    """
    jobs = []
    for job_id in store.job_ids(context.root.jobs):
        state = store.read_state(context.root.job(job_id))
        summary = {name: state.get(name) for name in ("kind", "state", "started", "finished")}
        jobs.append(dict(summary, id=job_id))
    return Result(data={"jobs": jobs})


@accepts(id=_ID)
def job_remove(args, context):
    """Remove a job that has ended. data: id (str). raises: ActionError (busy) where it is alive."""
    folder = context.root.job(args.id)
    if not os.path.isdir(folder):
        return Result(False, {"id": args.id})
    # A supervisor writes the end into the state a moment before it lets go of its lock.
    ended = (read_json(os.path.join(folder, "state.json"), {}) or {}).get("state") in store.ENDED
    if not wait_until(lambda: not store.is_alive(folder), 10 if ended else 0):
        raise ActionError("job {} is running".format(args.id), remedy="cancel it first", kind="busy")
    if not context.check:
        gone = os.path.join(context.root.jobs, ".removed-{}-{}".format(args.id, os.getpid()))
        os.rename(folder, gone)
        shutil.rmtree(gone)
    return Result(True, {"id": args.id})


def _existing(context, job_id):
    folder = context.root.job(job_id)
    if not os.path.isdir(folder):
        raise ActionError("there is no job {}".format(job_id), kind="refused")
    return folder
