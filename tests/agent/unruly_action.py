"""An action that does what actions must not do; tests put it into a copy of the agent."""

import os
import subprocess
import sys

from ..arguments import Text, accepts
from ..results import Result


@accepts(how=Text())
def unruly(args, context):
    """Misbehave in the way that is asked for."""
    if args.how == "print":
        print("a stray line")
        print('{"id": 1, "ok": true}')
        os.write(1, b"raw bytes on fd 1 \xff\n")
        subprocess.call(["sh", "-c", "echo a child speaks; echo and complains >&2"])
        sys.stdout.flush()
    elif args.how == "read":
        return Result(data={"read": os.read(0, 100).decode()})
    elif args.how == "raise":
        raise KeyError("a mistake")
    elif args.how == "nan":
        return Result(data={"value": float("nan")})
    elif args.how == "progress":
        context.progress({"fraction": 0.5})
    return Result(data={"how": args.how})
