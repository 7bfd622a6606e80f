"""Run commands of the user's: a program, a line for a shell, a script that comes along."""

import datetime
import glob
import os
import pwd
import shlex

from ..arguments import Flag, Number, Sequence, Text, accepts
from ..attributes import Path
from ..errors import ActionError
from ..files import device_path, remove
from ..payload import Payload, payload_arguments
from ..process import capture, find_tool
from ..results import Result

OUTPUT_LIMIT = 1024 * 1024

_SHARED = {
    "chdir": Path(None),
    "creates": Path(None),
    "removes": Path(None),
    "stdin": Text(None),
    "stdin_add_newline": Flag(True),
    "strip_empty_ends": Flag(True),
    "timeout_s": Number(None),
}


@accepts(argv=Sequence(Text(), default=None, minimum=1), cmd=Text(None), expand_argument_vars=Flag(True), **_SHARED)
def command(args, context):
    """Run a program to its end; an exit code that is not 0 is told as `failed`.

    args:
        argv ([str]): a program and its arguments, or
        cmd (str): both in a line that is split as a shell would, and run without one
        expand_argument_vars (bool): expand `~` and `$NAME` in them
        chdir (str): where to run it; default the login user's home folder
        creates, removes (str): a glob; do nothing where it matches, or where it does not
        stdin (str), stdin_add_newline (bool): what it may read
        strip_empty_ends (bool): drop line ends at the end of what it printed
        timeout_s (float): then it is killed, with all that it started; default never
    data:
        cmd ([str]), rc (int, negative for a signal), start, end, delta (str, as Ansible prints them)
        stdout, stderr (str): at most the last MiB of each; stdout_lines, stderr_lines ([str])
        msg (str): why it did not run, or that it failed; failed, skipped (true): only where it did, or was not run
    """
    if (args.argv is None) == (args.cmd is None):
        raise ActionError("command: give either 'argv' or 'cmd'", kind="refused", argument="argv")
    try:
        argv = args.argv or shlex.split(args.cmd)
    except ValueError as problem:
        raise ActionError("command: 'cmd' cannot be split", str(problem), "mend its quotes", kind="refused")
    if not argv:
        raise ActionError("command: there is nothing to run", kind="refused", argument="cmd")
    run = [os.path.expanduser(os.path.expandvars(word)) for word in argv] if args.expand_argument_vars else argv
    return _run([find_tool(run[0]) or run[0]] + run[1:], argv, args, context)


@accepts(cmd=Text(), executable=Text(None), **_SHARED)
def shell(args, context):
    """Run a line through a shell; everything but `cmd` is as in `command`.

    args:
        cmd (str): the line
        executable (str): the shell, default /bin/sh
    data:
        as `command`, cmd (str)
    """
    return _run([args.executable or "/bin/sh", "-c", args.cmd], args.cmd, args, context)


def script(args, context):
    """Run a script that comes along, through the shell, as `shell` does.

    args:
        content_base64 or blob: the script
        words (str): what stands behind its name on the line
        executable (str): what runs it; default its first line says so
        chdir, creates, removes, timeout_s: as in `command`
    data:
        rc, stdout, stderr, stdout_lines, stderr_lines; msg, failed, skipped as in `command`
    """
    payload = Payload.of(args, context, "script")
    if payload is None:
        raise ActionError("script: its content is missing", kind="refused", argument="content_base64")
    for pattern, verdict in ((args.creates, True), (args.removes, False)):
        if pattern and bool(glob.glob(device_path(pattern))) == verdict:
            option = "creates" if verdict else "removes"
            found = "exists" if verdict else "does not exist"
            return Result(False, {"skipped": True, "msg": "{} {}, matching {} option".format(pattern, found, option)})
    if context.check:
        if args.creates or args.removes:
            return Result(True)
        return Result(False, {"skipped": True, "msg": "Check mode is not supported for this task."})
    import tempfile

    fd, path = tempfile.mkstemp(prefix="fleet-script-")
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(payload.read())
        os.chmod(path, 0o700)
        line = " ".join(part for part in (args.executable, shlex.quote(path), args.words) if part)
        result = _run(["/bin/sh", "-c", line], line, args, context)
    finally:
        remove(path)
    kept = ("rc", "stdout", "stderr", "stdout_lines", "stderr_lines", "failed", "msg")
    return Result(True, {name: result.data[name] for name in kept if name in result.data and result.data[name] != ""})


script = accepts(words=Text(""), executable=Text(None), **dict(payload_arguments(), **_SHARED))(script)


def _run(argv, shown, args, context):
    data = {"cmd": shown, "rc": None, "stdout": "", "stderr": "", "start": None, "end": None, "delta": None, "msg": ""}
    folder = device_path(args.chdir) if args.chdir else _home()
    if not os.path.isdir(folder):
        if args.chdir:
            raise ActionError("there is no folder {}".format(args.chdir), kind="refused", argument="chdir")
        folder = "/"
    reason = _reason_not_to(args, folder, context.check)
    if reason:
        data.update(rc=0, msg=reason[0], stdout=reason[1])
        return Result(False, _with_lines(data))
    if context.check:
        data.update(rc=0, msg="Command would have run if not in check mode")
        if args.creates or args.removes:
            return Result(True, _with_lines(data))
        return Result(False, _with_lines(dict(data, skipped=True)))
    started = datetime.datetime.now()
    output = capture(argv, timeout_s=args.timeout_s, stdin=_stdin(args), cwd=folder)
    ended = datetime.datetime.now()
    data.update(start=str(started), end=str(ended), delta=str(ended - started))
    for name, text in (("stdout", output.stdout), ("stderr", output.stderr)):
        text = text[-OUTPUT_LIMIT:]
        data[name] = text.rstrip("\r\n") if args.strip_empty_ends else text
    if output.rc is None:
        # The shell's number for a program that is not there or cannot be run; its text says which.
        data.update(rc=2, failed=True, stderr="", msg=output.stderr)
        return Result(False, _with_lines(data))
    if output.timed_out:
        raise ActionError(
            "{} was not finished after {:g} s".format(argv[0], args.timeout_s),
            "it was killed",
            "raise timeout_s, or find out what it waits for",
            **_with_lines(data),
        )
    data["rc"] = output.rc
    if output.rc != 0:
        data.update(failed=True, msg="non-zero return code")
    return Result(True, _with_lines(data))


def _home():
    """Where a login session starts; the root twin too, for sudo leaves the folder alone."""
    try:
        return pwd.getpwuid(int(os.environ["SUDO_UID"])).pw_dir
    except (KeyError, ValueError):
        return os.path.expanduser("~")


def _reason_not_to(args, folder, check):
    """(message, stdout) that say why `creates` or `removes` makes the command needless, or None."""
    verb = "Would" if check else "Did"
    for pattern, verdict, said in ((args.creates, True, "exists"), (args.removes, False, "does not exist")):
        if not pattern:
            continue
        absolute = device_path(pattern) if pattern.startswith("/") else os.path.join(glob.escape(folder), pattern)
        if bool(glob.glob(absolute)) == verdict:
            message = "{} not run command since '{}' {}".format(verb, pattern, said)
            return message, "skipped, since {} {}".format(pattern, said)
    return None


def _stdin(args):
    if args.stdin is None:
        return None
    return (args.stdin + ("\n" if args.stdin_add_newline else "")).encode("utf-8")


def _with_lines(data):
    return dict(data, stdout_lines=data["stdout"].splitlines(), stderr_lines=data["stderr"].splitlines())
