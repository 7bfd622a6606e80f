"""What the device is and how it stands."""

from .. import facts as topics
from ..arguments import Flag, accepts
from ..results import Result


@accepts(quick=Flag(default=False))
def facts(args, context):
    """Raw facts; see docs/architecture.md.

    args:
        quick (bool): only what needs no tool to be run
    """
    return Result(data=topics.gather(context.root, args.quick))
