"""Run a command of the user's."""

import os

from ..arguments import Number, Sequence, Text, accepts
from ..errors import ActionError
from ..process import capture, find_tool
from ..results import Result

OUTPUT_LIMIT = 1024 * 1024


@accepts(
    argv=Sequence(Text(), default=None, minimum=1),
    shell=Text(default=None),
    timeout_s=Number(default=600),
    chdir=Text(default=None),
)
def command(args, context):
    """Run a command to its end; what it exits with is for the caller to judge.

    args:
        argv ([str]): a program and its arguments, no shell
        shell (str): or a line for /bin/sh
        timeout_s (float): then it is killed, with all that it started
        chdir (str): where to run it; default the home folder
    data:
        rc (int): 128 + n for signal n
        stdout, stderr (str): at most the last MiB of each
    """
    if (args.argv is None) == (args.shell is None):
        raise ActionError("command: give either 'argv' or 'shell'", kind="refused", argument="argv")
    folder = os.path.expanduser(args.chdir or "~")
    if not os.path.isdir(folder):
        raise ActionError("there is no folder {}".format(folder), kind="refused", argument="chdir")
    argv = args.argv or ["/bin/sh", "-c", args.shell]
    if context.check:
        return Result(True, {"rc": 0, "stdout": "", "stderr": ""})
    output = capture([find_tool(argv[0]) or argv[0]] + argv[1:], timeout_s=args.timeout_s, cwd=folder)
    if output.rc is None:
        raise ActionError("{} could not be started".format(argv[0]), output.stderr, "check its name and permissions")
    data = {"stdout": output.stdout[-OUTPUT_LIMIT:], "stderr": output.stderr[-OUTPUT_LIMIT:]}
    if output.timed_out:
        raise ActionError(
            "{} was not finished after {:g} s".format(argv[0], args.timeout_s),
            "it was killed",
            "raise timeout_s, or find out what it waits for",
            **data,
        )
    return Result(True, dict(data, rc=128 - output.rc if output.rc < 0 else output.rc))
