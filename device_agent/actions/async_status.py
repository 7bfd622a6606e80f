"""How far a detached task is: the other half of `async` with `poll: 0`."""

import os
import shutil

from ..arguments import NAME, Text, accepts
from ..errors import ActionError
from ..jobs import store
from ..results import Result


@accepts(
    jid=Text(pattern=NAME, allowed="the ansible_job_id of a task that was started with async"),
    mode=Text(default="status", choices=("status", "cleanup")),
)
def async_status(args, context):
    """Look at a job of kind `action` or `command`, or forget it.

    data:
        ansible_job_id (str), started (bool), finished (bool), results_file (str): its folder
        and, once it has finished, what the task itself returned
    raises:
        ActionError: there is no such job; or, with the task's own words, it ended badly
    """
    folder = context.root.job(args.jid)
    data = {"ansible_job_id": args.jid, "results_file": folder, "started": True}
    if not os.path.isdir(folder):
        if args.mode == "cleanup":
            return Result(False, {"ansible_job_id": args.jid, "erased": folder})
        raise ActionError(
            "could not find job {}".format(args.jid),
            "no task of this id was started on this device, or it was cleaned up",
            **dict(data, finished=True),
        )
    state = store.read_state(folder)
    if args.mode == "cleanup":
        if state["state"] not in store.ENDED:
            raise ActionError("job {} is running".format(args.jid), remedy="wait for it, or cancel it", kind="busy")
        if not context.check:
            gone = os.path.join(context.root.jobs, ".removed-{}-{}".format(args.jid, os.getpid()))
            os.rename(folder, gone)
            shutil.rmtree(gone)
        return Result(False, {"ansible_job_id": args.jid, "erased": folder})
    if state["state"] not in store.ENDED:
        return Result(False, dict(data, finished=False))
    data["finished"] = True
    if state["state"] != "done":
        error = state.get("error") or {}
        data.update(error.get("data") or {})
        raise ActionError(
            error.get("what") or "the task ended as {}".format(state["state"]),
            error.get("why") or "",
            error.get("remedy") or "",
            **data,
        )
    result = state.get("result") or {}
    if state.get("kind") == "action":
        return Result(bool(result.get("changed")), dict(result.get("data") or {}, **data), result.get("diff"))
    return Result(True, dict(result, **data))
