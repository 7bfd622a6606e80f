"""The errors of the agent; each says what failed, why, and what to do, and travels to the controller as JSON.

AgentError
├── ActionError   an action was refused or failed: kind is refused, failed, busy or unknown
└── JobError      a job failed: kind is oom, flag, parser, engine, timeout, cancelled, tool, spec or internal
    └── Cancelled    somebody asked the job to stop
"""


class AgentError(Exception):
    """A failure that a person can read.

    args:
        kind (str): what sort of failure, for code
        what, why, remedy (str): one line each, for people
        data: anything else that JSON can carry, for code
    """

    def __init__(self, kind, what, why="", remedy="", **data):
        super(AgentError, self).__init__(what)
        self.kind = kind
        self.what = what
        self.why = why
        self.remedy = remedy
        self.data = data

    def __str__(self):
        return ": ".join(part for part in (self.what, self.why) if part)


class ActionError(AgentError):
    """An action was refused or failed; `kind` is failed unless given: refused, busy, unknown."""

    def __init__(self, what, why="", remedy="", kind="failed", **data):
        super(ActionError, self).__init__(kind, what, why, remedy, **data)

    def to_json(self):
        return {"kind": self.kind, "what": self.what, "why": self.why, "remedy": self.remedy, "data": self.data}


class JobError(AgentError):
    """A job failed; `data` (rc, signal, tail, kernel, attempts, ...) stands beside kind, what, why and remedy."""

    def to_json(self):
        return dict(self.data, kind=self.kind, what=self.what, why=self.why, remedy=self.remedy)


class Cancelled(JobError):
    """Raised out of `job.run` and `job.check_cancelled` when the job was asked to stop."""

    def __init__(self):
        super(Cancelled, self).__init__("cancelled", "the job was cancelled", "somebody asked for it", "start it again")
