"""Python packages, by whichever pip the device has (9 of Ubuntu 18.04 to today's)."""

import os
import re
import shlex
import sys

from ..arguments import Flag, Sequence, Text, accepts
from ..attributes import Path
from ..errors import ActionError
from ..packages import texts
from ..packages.tool import run_tool
from ..packages.versions import normalised, parse_requirement, satisfies
from ..process import capture, find_tool
from ..results import Result

TIMEOUT_S = 3300.0
"""pycuda and its like are compiled on the device: more than ten minutes on a Nano."""

_STATES = ("present", "latest", "absent", "forcereinstall")


@accepts(
    name=Sequence(Text(), default=()),
    version=Text(default=None),
    requirements=Path(default=None),
    state=Text(default="present", choices=_STATES),
    virtualenv=Path(default=None),
    virtualenv_command=Text(default="virtualenv"),
    virtualenv_python=Text(default=None),
    virtualenv_site_packages=Flag(default=False),
    executable=Path(default=None),
    extra_args=Text(default=""),
    editable=Flag(default=False),
    chdir=Path(default=None),
    break_system_packages=Flag(default=False),
)
def pip(args, context):
    """Install, upgrade or remove Python packages.

    Without `executable` and `virtualenv` it is the pip of the Python that runs the agent: the system's, which
    TensorRT's bindings belong to.

    data:
        cmd (str), name ([str] or None), version, state, requirements, virtualenv, stdout, stderr (str)
    raises:
        ActionError: what pip failed over, with rc, stdout, stderr
    """
    _refuse_nonsense(args)
    # `python -m` looks for modules where it is started: not where others may put some.
    folder = args.chdir or os.sep
    environment = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PYTHONWARNINGS": "ignore"}
    if args.break_system_packages:
        environment["PIP_BREAK_SYSTEM_PACKAGES"] = "1"
    made = False
    if args.virtualenv and not os.path.exists(os.path.join(args.virtualenv, "bin", "activate")):
        if context.check:
            return Result(True, _data(args, "", "", ""))
        _make_virtualenv(args, context)
        made = True
    tool = _find_pip(args)
    before = _installed(tool, environment, folder)
    specs = _specs(args, folder)
    settled = _settled(args.state, specs, before)
    if settled and not made:
        return Result(False, _data(args, "", "", ""))
    if context.check:
        data = _data(args, "", "", "")
        if settled is None:
            data["warnings"] = ["pip cannot tell beforehand whether this would change anything"]
        return Result(True, data)
    argv = tool + _words(args)
    output = run_tool(argv, context, env=environment, cwd=folder, timeout_s=TIMEOUT_S)
    nothing = args.state == "absent" and re.search(r"not installed", output.stdout + output.stderr)
    if output.rc != 0 and not nothing:
        raise _failure(argv, output)
    after = _installed(tool, environment, folder)
    changed = made or after != before
    if any(requirement is None for _, requirement in specs):
        # What comes from an address or a folder may be new under the same version.
        changed = changed or "Successfully installed" in output.stdout
    if args.state == "forcereinstall":
        changed = True
    diff = tuple(
        "".join("{}=={}\n".format(n, side[n]) for n in sorted(side) if before.get(n) != after.get(n))
        for side in (before, after)
    )
    return Result(changed, _data(args, " ".join(argv), output.stdout, output.stderr), diff if any(diff) else None)


def _refuse_nonsense(args):
    problem = None
    if bool(args.name) == bool(args.requirements):
        problem = ("name", "give either 'name' or 'requirements'")
    elif args.executable and args.virtualenv:
        problem = ("executable", "give either 'executable' or 'virtualenv'")
    elif args.version and len(args.name) != 1:
        problem = ("version", "'version' goes with exactly one name")
    elif args.version and args.state == "latest":
        problem = ("version", "'version' and state: latest contradict each other")
    elif args.chdir and not os.path.isdir(args.chdir):
        problem = ("chdir", "there is no folder {}".format(args.chdir))
    if problem:
        raise ActionError("pip: " + problem[1], kind="refused", argument=problem[0])


def _find_pip(args):
    if args.virtualenv:
        return [os.path.join(args.virtualenv, "bin", "python"), "-m", "pip"]
    if not args.executable:
        return [sys.executable, "-m", "pip"]
    tool = args.executable if "/" in args.executable else find_tool(args.executable)
    if tool is None or not os.access(tool, os.X_OK):
        what = "there is no {} on this device".format(args.executable)
        raise ActionError(what, kind="refused", argument="executable")
    return [tool]


def _make_virtualenv(args, context):
    words = shlex.split(args.virtualenv_command)
    tool = find_tool(words[0]) if "/" not in words[0] else words[0]
    if tool is None and words == ["virtualenv"]:
        # The standard library's does the same; Ubuntu ships it as python3-venv.
        words = [args.virtualenv_python or sys.executable, "-m", "venv"]
        tool = find_tool(words[0]) or words[0]
    elif tool is None:
        raise ActionError("there is no {} on this device".format(words[0]), "", "install it first")
    elif args.virtualenv_python and "venv" not in words:
        words += ["-p", args.virtualenv_python]
    argv = [tool] + words[1:] + (["--system-site-packages"] if args.virtualenv_site_packages else [])
    output = run_tool(argv + [args.virtualenv], context, timeout_s=600)
    if output.rc != 0:
        remedy = "apt: {name: python3-venv}" if "venv" in output.stdout + output.stderr else ""
        why = texts.last_error(output.stderr or output.stdout)
        raise ActionError("the virtual environment could not be made", why, remedy, rc=output.rc, stderr=output.stderr)


def _specs(args, folder):
    """[(as written, Requirement or None)]: None is what only pip can judge."""
    if args.requirements:
        return [(line, parse_requirement(line)) for line in _requirement_lines(os.path.join(folder, args.requirements))]
    if args.version:
        name = args.name[0]
        spec = "{}=={}".format(name, args.version) if args.version[0].isalnum() else name + args.version
        return [(spec, parse_requirement(spec))]
    return [(name, None if args.editable else parse_requirement(name)) for name in args.name]


def _requirement_lines(path):
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except OSError as problem:
        raise ActionError("cannot read {}".format(path), problem.strerror, kind="refused", argument="requirements")
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line]


def _installed(tool, environment, folder):
    """{normalised name: version} of what this pip sees. raises: ActionError where it does not work."""
    output = capture(tool + ["list", "--format=freeze"], timeout_s=300, env=environment, cwd=folder)
    if output.rc != 0:
        raise _failure(tool + ["list"], output)
    pairs = re.findall(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)", output.stdout)
    return {normalised(name): version for name, version in pairs}


def _settled(state, specs, installed):
    """Whether everything is as asked already: True, False, or None where only pip can tell."""
    answers = []
    for _, requirement in specs:
        if requirement is None or state in ("latest", "forcereinstall"):
            known = requirement is not None and requirement.name not in installed
            answers.append(False if known or state == "forcereinstall" else None)
        elif state == "absent":
            answers.append(requirement.name not in installed)
        else:
            version = installed.get(requirement.name)
            answers.append(False if version is None else satisfies(version, requirement.specifiers))
    if False in answers:
        return False
    return None if None in answers else True


def _words(args):
    words = {
        "present": ["install"],
        "latest": ["install", "-U"],
        "forcereinstall": ["install", "-U", "--force-reinstall"],
        "absent": ["uninstall", "-y"],
    }[args.state]
    words = words + shlex.split(args.extra_args)
    if args.requirements:
        return words + ["-r", args.requirements]
    if args.state == "absent":
        return words + [requirement.name if requirement else text for text, requirement in _specs(args, "")]
    return words + [word for text, _ in _specs(args, "") for word in ((["-e"] if args.editable else []) + [text])]


def _failure(argv, output):
    text = output.stderr + "\n" + output.stdout
    data = {"rc": output.rc, "stdout": output.stdout, "stderr": output.stderr, "cmd": " ".join(argv)}
    if output.rc is None:
        return ActionError("pip could not be started", output.stderr, "apt: {name: python3-pip}", **data)
    if output.timed_out:
        return ActionError("pip was not finished after {:.0f} s".format(TIMEOUT_S), "it was stopped", **data)
    if output.rc in (-4, 132):
        text += "\nIllegal instruction"
    found = texts.explain(texts.PIP, text)
    what, why, remedy = found or ("pip failed", texts.last_error(text), "")
    return ActionError(what, why, remedy, **data)


def _data(args, cmd, stdout, stderr):
    return {
        "cmd": cmd,
        "name": list(args.name) or None,
        "version": args.version,
        "state": args.state,
        "requirements": args.requirements,
        "virtualenv": args.virtualenv,
        "stdout": stdout,
        "stderr": stderr,
    }
