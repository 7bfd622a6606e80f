"""pip of the Python that runs the agent: the system's, which TensorRT's bindings belong to."""

import os
import re
import sys

from ..errors import ActionError
from ..packages import texts
from ..packages.tool import run_tool
from ..packages.versions import normalised, parse_requirement, satisfies
from ..process import capture

INSTALL_TIMEOUT_S = 3300.0
CHECK_TIMEOUT_S = 180.0

_ENVIRONMENT = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_BREAK_SYSTEM_PACKAGES": "1",  # Ubuntu 24.04 marks the system's Python; the bindings live in no other
    "PIP_ROOT_USER_ACTION": "ignore",
    "PYTHONWARNINGS": "ignore",
}


def requirement(name, pin):
    """`name==1.2` from a pin as the tables write it: a version, or a comparison such as `<2021`."""
    return name + (pin if re.match(r"[<>=!~]", pin) else "==" + pin)


def wanting(pins, installed):
    """The {name: pin} that `installed` does not satisfy."""
    missing = {}
    for name, pin in pins.items():
        version = installed.get(normalised(name))
        if version is None or not satisfies(version, parse_requirement(requirement(name, pin)).specifiers):
            missing[name] = pin
    return missing


class Pip(object):
    """pip for one call of an action; as root it installs for everybody, else into the user's own folder.

    args:
        context: of the action
        env (dict): of every call, such as CUDA's paths
    """

    def __init__(self, context, env=None):
        self.context = context
        self.env = dict(_ENVIRONMENT, **(env or {}))
        self.argv = [sys.executable, "-m", "pip"]

    def version(self):
        """pip's own version, or None where there is no pip."""
        output = capture(self.argv + ["--version"], timeout_s=CHECK_TIMEOUT_S, env=self.env, cwd=_home())
        match = re.match(r"pip (\S+)", output.stdout)
        return match.group(1) if output.rc == 0 and match else None

    def installed(self):
        """{normalised name: version} of what this Python sees; empty where there is no pip."""
        output = capture(self.argv + ["list", "--format=freeze"], timeout_s=CHECK_TIMEOUT_S, env=self.env, cwd=_home())
        return {
            normalised(name): version
            for name, version in re.findall(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)", output.stdout)
        }

    def install(self, words):
        """`pip install words...`. raises: ActionError in the words of what went wrong."""
        scope = [] if self.context.uid == 0 else ["--user"]
        return self.run(["install"] + scope + words)

    def run(self, words, allow_failure=False):
        argv = self.argv + words
        output = run_tool(argv, self.context, env=self.env, cwd=_home(), timeout_s=INSTALL_TIMEOUT_S)
        if output.rc != 0 and not allow_failure:
            raise failure("pip", argv, output)
        return output

    def check(self, code):
        """Run Python code in a fresh interpreter of the device; its Output, streams merged."""
        argv = [sys.executable, "-c", code]
        return capture(argv, timeout_s=CHECK_TIMEOUT_S, merge=True, env=self.env, cwd=_home())


def failure(title, argv, output):
    """The ActionError of a Python tool that failed; its data holds what was printed, for the table of known texts."""
    text = "{}\n{}".format(output.stderr, output.stdout)
    if output.rc in (-4, 132):
        text += "\nIllegal instruction"
    data = {"rc": output.rc, "stdout": output.stdout[-20000:], "stderr": output.stderr[-20000:], "cmd": " ".join(argv)}
    if output.timed_out:
        return ActionError("{} was not finished in time".format(title), "it was stopped", **data)
    found = texts.explain(texts.PIP, text)
    what, why, remedy = found or ("{} failed".format(title), texts.last_error(text), "")
    return ActionError(what, why, remedy, **data)


def _home():
    return os.path.expanduser("~") if os.path.isdir(os.path.expanduser("~")) else os.sep
