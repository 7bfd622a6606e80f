"""Build with make."""

import os

from ..arguments import Integer, Mapping, Number, Sequence, Text, accepts
from ..attributes import Path
from ..errors import ActionError
from ..files import device_path
from ..process import capture, find_tool
from ..results import Result


@accepts(
    chdir=Path(),
    target=Text(None),
    targets=Sequence(Text(), default=()),
    params=Mapping(default={}),
    file=Path(None),
    make=Path(None),
    jobs=Integer(None, minimum=1),
    timeout_s=Number(None),
)
def make(args, context):
    """Bring targets up to date; `make --question` tells first whether they are.

    args:
        chdir (str): where to run it, target or targets, params ({name: value, or null for a bare word})
        file (str): another makefile; make (str): another make; jobs (int): so many at once
    data:
        target, targets, params, file, chdir, jobs, make, command (str); stdout, stderr, stdout_lines, stderr_lines, rc
    """
    folder = device_path(args.chdir)
    if not os.path.isdir(folder):
        raise ActionError("there is no folder {}".format(args.chdir), kind="refused", argument="chdir")
    if args.target is not None and args.targets:
        raise ActionError("make: give one of 'target' and 'targets'", kind="refused", argument="targets")
    tool = find_tool(args.make) if args.make else find_tool("make", "gmake")
    if tool is None:
        raise ActionError("there is no {} on this device".format(args.make or "make"), "", "install make first")
    argv = [tool]
    if args.file is not None:
        argv += ["--file", device_path(args.file)]
    argv += [args.target] if args.target is not None else args.targets
    argv += [str(name) if value is None else "{}={}".format(name, value) for name, value in args.params.items()]
    building = argv[:1] + (["-j", str(args.jobs)] if args.jobs else []) + argv[1:]
    data = {
        "target": args.target,
        "targets": list(args.targets) or None,
        "params": args.params or None,
        "file": args.file,
        "chdir": args.chdir,
        "jobs": args.jobs,
        "make": tool,
        "command": " ".join(building),
    }
    question = capture(argv[:1] + ["--question"] + argv[1:], timeout_s=args.timeout_s, cwd=folder)
    if question.rc == 0:
        return Result(False, _with_output(data, question))
    if context.check:
        # 1: something would be made; anything else is an error of the makefile.
        data = _with_output(data, question)
        return Result(question.rc == 1, data if question.rc == 1 else _failed(data, question))
    output = capture(building, timeout_s=args.timeout_s, cwd=folder)
    data = _with_output(data, output)
    return Result(True, data) if output.rc == 0 else Result(True, _failed(data, output))


def _with_output(data, output):
    stdout, stderr = output.stdout, output.stderr
    return dict(
        data,
        rc=output.rc,
        stdout=stdout,
        stderr=stderr,
        stdout_lines=stdout.splitlines(),
        stderr_lines=stderr.splitlines(),
    )


def _failed(data, output):
    lines = (output.stderr or output.stdout).strip().splitlines()
    reason = "it was not finished in time" if output.timed_out else lines[-1] if lines else "rc {}".format(output.rc)
    return dict(data, failed=True, msg="make failed: {}".format(reason))
