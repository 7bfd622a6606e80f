"""Several actions in one request, so that a link with a long delay is crossed once."""

from ..arguments import Flag, Integer, Mapping, Number, Record, Sequence, Text, accepts
from ..errors import ActionError
from ..results import Result

_STEP = Record(
    action=Text(),
    args=Mapping(default={}),
    become=Flag(default=False),
    check=Flag(default=False),
    ignore=Flag(default=False),
    group=Integer(default=None),
    environment=Mapping(default=None),
    user=Text(default=None),
    timeout_s=Number(default=None),
)


@accepts(steps=Sequence(_STEP, minimum=1))
def batch(args, context):
    """Run steps in order and stop after the first that fails, unless its `ignore` is true.

    A step failed when its reply is not ok, or its data says `failed`, or says nothing of it and has an `rc` other than
    0. Steps of one `group` (the items of a loop) are all run before a failure among them ends the batch.

    args:
        steps ([{action, args, become, check, ignore, group, environment, user, timeout_s}]): environment is added to
            that of the action; user is who to become instead of root
    events:
        step: {"index": 0.., "reply": {"ok", "changed", "data", "diff"} or {"ok", "error"}}, one for each step that ran
    data:
        done (int): how many steps ran
    """
    for step in args.steps:
        if step["action"] == "batch":
            raise ActionError("batch: a step cannot be a batch", kind="refused", argument="steps")
    changed = False
    done = 0
    ending = None
    for index, step in enumerate(args.steps):
        if ending is not None and (step["group"] is None or step["group"] != ending["group"]):
            break
        around = {name: step[name] for name in ("environment", "user", "timeout_s") if step[name]}
        reply = context.perform(step["action"], step["args"], step["check"], step["become"], around)
        context.progress({"index": index, "reply": reply}, "step")
        done += 1
        changed = changed or bool(reply.get("changed"))
        if _failed(reply) and not step["ignore"]:
            ending = step
    return Result(changed, {"done": done})


batch.in_session = True


def _failed(reply):
    if not reply["ok"]:
        return True
    return bool(reply["data"].get("failed", reply["data"].get("rc") not in (None, 0)))
