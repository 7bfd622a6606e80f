"""Runs the steps of a build, bounded by memory: a compiler that the kernel killed is tried once more, alone."""

import os
import re

from ..errors import ActionError
from ..packages import texts
from ..packages.tool import run_tool
from ..process import find_tool

STEP_TIMEOUT_S = 4 * 3600.0
"""A Nano takes hours for TensorRT's open-source part."""

_KILLED = re.compile(r"internal compiler error: Killed|fatal error: Killed signal|Killed \(program cc1plus\)")


class Build(object):
    """The steps of one build.

    args:
        context: of the action
        title (str): what is built, for messages
        env (dict): of every step
        jobs (int): compilers at once
    """

    def __init__(self, context, title, env, jobs):
        self.context = context
        self.title = title
        self.env = env
        self.jobs = jobs

    def step(self, argv, cwd, allow_failure=False):
        """Run one step. raises: ActionError with its last error line, rc, stdout and stderr."""
        tool = find_tool(argv[0]) if not argv[0].startswith((".", os.sep)) else argv[0]
        if tool is None:
            remedy = "apt: {{name: {}}}".format({"make": "build-essential"}.get(argv[0], argv[0]))
            raise ActionError(
                "{} cannot be built".format(self.title), "there is no {} on this device".format(argv[0]), remedy
            )
        self.context.progress({"line": "{}: {}".format(self.title, " ".join(argv)[:160])})
        output = run_tool([tool] + argv[1:], self.context, env=self.env, cwd=cwd, timeout_s=STEP_TIMEOUT_S)
        if output.rc != 0 and not allow_failure:
            raise self.failure(argv, output)
        return output

    def make(self, cwd, words=()):
        """`make -jN words...`; where memory was too small for N compilers, again with one."""
        output = self.step(["make", "-j{}".format(self.jobs)] + list(words), cwd, allow_failure=True)
        if output.rc != 0 and self.jobs > 1 and _KILLED.search(output.stderr + output.stdout):
            self.context.progress(
                {"line": "{}: the compiler was killed for want of memory; again with one".format(self.title)}
            )
            self.jobs = 1
            output = self.step(["make", "-j1"] + list(words), cwd, allow_failure=True)
        if output.rc != 0:
            raise self.failure(["make"] + list(words), output)
        return output

    def failure(self, argv, output):
        text = output.stderr + "\n" + output.stdout
        why = _first_error(text)
        remedy = "see stdout and stderr of the task"
        if output.timed_out:
            why = "{} was not finished after {:.0f} s".format(argv[0], STEP_TIMEOUT_S)
        elif _KILLED.search(text):
            why = "the compiler was killed for want of memory"
            remedy = "add swap (swapfile) and free memory (headless), then run again"
        return ActionError(
            "{} could not be built".format(self.title),
            "{}: {}".format(" ".join(argv)[:80], why),
            remedy,
            rc=output.rc,
            stdout=output.stdout[-20000:],
            stderr=output.stderr[-20000:],
        )


def _first_error(text):
    """The first line of a build's output that says error, with what CMake says below it: later ones only follow."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if line.startswith("CMake Error"):
            return " ".join(lines[number : number + 2])
        if re.search(r"(?i)\b(error|fatal)\b", line):
            return line
    return texts.last_error(text)


def tool_version(name, pattern):
    """The version that `name --version` prints, by a pattern with one group; None where there is no such tool."""
    from ..process import capture

    tool = find_tool(name)
    if tool is None:
        return None
    match = re.search(pattern, capture([tool, "--version"], timeout_s=60, merge=True).stdout)
    return match.group(1) if match else None


def numbers(version):
    """`3.10.2-rc1` as (3, 10, 2)."""
    match = re.match(r"\d+(?:\.\d+)*", version or "")
    return tuple(int(part) for part in match.group().split(".")) if match else ()
