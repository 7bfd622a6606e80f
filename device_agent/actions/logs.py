"""What the tools of a job printed."""

import os

from ..arguments import NAME, Integer, Text, accepts
from ..errors import ActionError
from ..jobs import store
from ..results import Result

READ_BYTES = 1024 * 1024


@accepts(job=Text(default=None, pattern=NAME), lines=Integer(default=100, minimum=1, maximum=100000))
def logs(args, context):
    """The end of a job's output; of the newest job where none is named.

    data:
        job (str or None): None where the device has no job
        state (str), path (str), lines ([str]): at most the last MiB
        jobs ([str]): all there are, oldest first
    """
    ids = store.job_ids(context.root.jobs)
    if args.job is not None and args.job not in ids:
        raise ActionError("there is no job {}".format(args.job), "known: {}".format(", ".join(ids) or "none"))
    job_id = args.job or (ids[-1] if ids else None)
    if job_id is None:
        return Result(data={"job": None, "state": None, "path": None, "lines": [], "jobs": []})
    folder = context.root.job(job_id)
    path = os.path.join(folder, "output.log")
    data = {"job": job_id, "state": store.read_state(folder)["state"], "path": path, "jobs": ids}
    return Result(data=dict(data, lines=_tail(path, args.lines)))


def _tail(path, count):
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.path.getsize(path) - READ_BYTES))
            raw = stream.read()
    except OSError:
        return []
    return raw.decode("utf-8", "replace").splitlines()[-count:]
