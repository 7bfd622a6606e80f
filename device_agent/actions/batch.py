"""Several actions in one request, so that a link with a long delay is crossed once."""

from ..arguments import Flag, Mapping, Record, Sequence, Text, accepts
from ..errors import ActionError
from ..results import Result

_STEP = Record(
    action=Text(),
    args=Mapping(default={}),
    become=Flag(default=False),
    check=Flag(default=False),
    ignore=Flag(default=False),
)


@accepts(steps=Sequence(_STEP, minimum=1))
def batch(args, context):
    """Run steps in order and stop after the first that fails, unless its `ignore` is true.

    A step failed when its reply is not ok, or says `failed: true` in its data.

    args:
        steps ([{action, args, become, check, ignore}])
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
    for index, step in enumerate(args.steps):
        reply = context.perform(step["action"], step["args"], step["check"], step["become"])
        context.progress({"index": index, "reply": reply}, "step")
        done += 1
        changed = changed or bool(reply.get("changed"))
        failed = not reply["ok"] or bool(reply["data"].get("failed"))
        if failed and not step["ignore"]:
            break
    return Result(changed, {"done": done})


batch.in_session = True
