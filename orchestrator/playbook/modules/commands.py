"""Commands of the user's on the device: command, shell and script."""

from __future__ import annotations

import shlex
from typing import Any

from orchestrator.errors import PlaybookError
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, action_module
from orchestrator.playbook.modules.content import payload, source_file

_CONDITIONS: dict[str, Any] = {
    "chdir": Argument("path", "folder to run in; default the login user's home"),
    "creates": Argument("path", "a path or glob; where it exists the command is not run"),
    "removes": Argument("path", "a path or glob; where it does not exist the command is not run"),
}
_STDIN: dict[str, Any] = {
    "stdin": Argument("str", "text for its standard input"),
    "stdin_add_newline": Argument("bool", "add a line end to stdin", True),
    "strip_empty_ends": Argument("bool", "drop line ends at the end of stdout and stderr", True),
}


@action_module(
    "command",
    free_form="cmd",
    cmd=Argument("str", "the command, split as a shell would, but run without one"),
    argv=Argument("list", "instead of cmd: the program and its arguments", elements="str"),
    expand_argument_vars=Argument("bool", "expand $NAME and ~ in the arguments", True),
    executable=Argument("path", "not used here, as in Ansible; use shell"),
    **_CONDITIONS,
    **_STDIN,
)
def command(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Run a program on the device, without a shell.

    An exit code other than 0 is a failure, unless `failed_when` says otherwise. In check mode it is skipped, unless
    `creates` or `removes` tells whether it would run.

    Returns cmd, rc, stdout, stderr, stdout_lines, stderr_lines, start, end, delta, msg.
    """
    if (args["cmd"] is None) == (args["argv"] is None):
        raise PlaybookError("command needs either cmd or argv", location=task.task.location)
    return {name: value for name, value in args.items() if name != "executable"}


@action_module(
    "shell",
    free_form="cmd",
    cmd=Argument("str", "the line for the shell", required=True),
    executable=Argument("path", "another shell, such as /bin/bash; default /bin/sh"),
    **_CONDITIONS,
    **_STDIN,
)
def shell(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Run a line through the device's shell.

    An exit code other than 0 is a failure, unless `failed_when` says otherwise. In check mode it is skipped, unless
    `creates` or `removes` tells whether it would run.

    Returns cmd, rc, stdout, stderr, stdout_lines, stderr_lines, start, end, delta, msg.
    """
    return args


@action_module(
    "script",
    free_form="cmd",
    cmd=Argument("str", "path of the script on the controller, and its arguments", required=True),
    executable=Argument("str", "what runs it; default its first line says so"),
    **_CONDITIONS,
)
def script(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Run a script of the controller on the device.

    The path is looked for as copy does (files/ of the role, then beside the playbook). In check mode it is skipped,
    unless `creates` or `removes` tells whether it would run.

    Returns rc, stdout, stderr, stdout_lines, stderr_lines.
    """
    line = args["cmd"].strip()
    try:
        name = shlex.split(line)[0]
    except (ValueError, IndexError) as problem:
        raise PlaybookError(f"script cannot run '{line}'", str(problem), location=task.task.location) from None
    # What follows the name goes to the device's shell as it is written, quotes included.
    written = next((form for form in (name, shlex.quote(name), f'"{name}"') if line.startswith(form)), None)
    words = line[len(written) :].strip() if written else shlex.join(shlex.split(line)[1:])
    path = source_file(task, name, "files")
    sent = {name: args[name] for name in ("executable", *_CONDITIONS)}
    return {**sent, "words": words, **payload(task, path.read_bytes())}
