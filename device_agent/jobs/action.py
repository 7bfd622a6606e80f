"""The job kind `action`: any action of the agent, detached from the session; what `async` makes of a task."""

import os

from .. import actions
from ..arguments import check as check_arguments
from ..errors import ActionError, JobError


class JobContext(object):
    """What an action knows of its call when it runs as a job: see serve.Context. There is no session."""

    session = None

    def __init__(self, job, check):
        self.check = check
        self._job = job

    @property
    def root(self):
        return self._job.root

    @property
    def uid(self):
        return os.geteuid()

    def progress(self, data, event="progress"):
        self._job.event(**dict(data, event=event))


def action(spec, job):
    """Run one action to its end.

    args:
        spec: action (str), args (dict), check (bool)
    returns:
        {"changed": bool, "data": dict, "diff": dict or None}
    raises:
        JobError: kind action; what, why, remedy and `data` are those of the action
    """
    try:
        function = actions.find(str(spec.get("action")))
        if getattr(function, "in_session", False):
            raise ActionError("'{}' cannot run as a job".format(spec["action"]), "it belongs to the session")
        arguments = check_arguments(spec["action"], function.schema, spec.get("args") or {})
        changed, data, diff = function(arguments, JobContext(job, bool(spec.get("check"))))
    except ActionError as error:
        raise JobError("action", error.what, error.why, error.remedy, action_kind=error.kind, data=error.data)
    return {"changed": changed, "data": data, "diff": diff}
