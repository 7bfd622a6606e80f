"""The folder of a job: what every session may read, and the lock that tells the living from the dead.

    jobs/<id>/spec.json      {"kind": ..., "spec": {...}}
    jobs/<id>/state.json     {"state", "kind", "pid", "started", "finished", "result", "error"}; state is running, done,
                             failed or cancelled
    jobs/<id>/events.jsonl   one event a line
    jobs/<id>/output.log     what the tools printed
    jobs/<id>/lock           held with flock by the living supervisor
    jobs/<id>/cancel         exists once somebody asked the job to stop

A job whose state says running while nobody holds its lock is lost: its supervisor was killed, or the power went.
"""

import fcntl
import json
import os
import re

from ..files import read_json

ENDED = ("done", "failed", "cancelled", "lost")


def is_alive(folder):
    """Whether a supervisor holds the job's lock. A shared try, so that two who look do not see each other."""
    try:
        fd = os.open(os.path.join(folder, "lock"), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(fd)


def read_state(folder):
    """state.json with `state` told truly: a running job without a living supervisor is `lost`."""
    alive = is_alive(folder)
    # In this order: a supervisor writes its last state before it lets go of the lock.
    state = read_json(os.path.join(folder, "state.json"), {})
    state = state if isinstance(state, dict) else {}
    if state.get("state") not in ENDED and not alive:
        error = {
            "kind": "lost",
            "what": "the job was lost",
            "why": "its supervisor ended without a word: killed, or the device was restarted",
            "remedy": "run again; the job is started anew",
        }
        return dict(state, state="lost", result=None, error=error)
    return state


def read_events(folder, offset):
    """Complete events from byte `offset` on, as (offset after the event, event)."""
    try:
        with open(os.path.join(folder, "events.jsonl"), "rb") as stream:
            stream.seek(offset)
            raw = stream.read()
    except OSError:
        return []
    events = []
    for line in raw.splitlines(True):
        if not line.endswith(b"\n"):
            break
        offset += len(line)
        try:
            event = json.loads(line.decode("utf-8"))
        except ValueError:
            continue  # the half line of a power cut
        if isinstance(event, dict):
            events.append((offset, event))
    return events


def job_ids(jobs):
    """Ids of all jobs in the folder `jobs`, archived ones included, oldest start first."""
    try:
        names = os.listdir(jobs)
    except OSError:
        return []
    dated = []
    for name in names:
        try:
            if not name.startswith("."):
                dated.append((os.path.getmtime(os.path.join(jobs, name, "spec.json")), name))
        except OSError:
            continue
    return [name for _, name in sorted(dated)]


def archive(folder):
    """Put a job that ended badly aside as `<id>.1`, `<id>.2`, ... and return the new path."""
    jobs, job_id = os.path.split(folder)
    numbers = [0]
    for name in os.listdir(jobs):
        match = re.match(re.escape(job_id) + r"\.(\d+)\Z", name)
        if match:
            numbers.append(int(match.group(1)))
    aside = "{}.{}".format(folder, max(numbers) + 1)
    os.rename(folder, aside)
    return aside
