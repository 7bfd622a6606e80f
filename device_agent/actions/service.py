"""Units of systemd: running or not, enabled or not, masked or not."""

import os
import re

from ..arguments import Flag, Text, accepts
from ..errors import ActionError
from ..process import capture, find_tool
from ..results import Result

TIMEOUT_S = 180

_UNIT = r"[A-Za-z0-9][A-Za-z0-9:_.@\\-]*"
_STATES = ("started", "stopped", "restarted", "reloaded")
_SHARED = {
    "state": Text(default=None, choices=_STATES),
    "enabled": Flag(default=None),
}


@accepts(
    name=Text(default=None, pattern=_UNIT, allowed="a unit's name"),
    masked=Flag(default=None),
    daemon_reload=Flag(default=False),
    daemon_reexec=Flag(default=False),
    no_block=Flag(default=False),
    force=Flag(default=False),
    scope=Text(default="system", choices=("system", "user", "global")),
    **_SHARED,
)
def systemd(args, context):
    """Keep a unit running, enabled or masked, or not.

    args:
        name (str): .service is added where no suffix is given; needed by all but daemon_reload and daemon_reexec
        state (str): started, stopped, restarted, reloaded
    data:
        name, status (dict of `systemctl show`), enabled, state, active (what `is-active` says afterwards)
    raises:
        ActionError: there is no such unit, or systemctl refused; the last line it said
    """
    if args.name is None and (args.state or args.enabled is not None or args.masked is not None):
        raise ActionError("systemd: argument 'name' is missing", kind="refused", argument="name")
    if args.name is None and not (args.daemon_reload or args.daemon_reexec):
        raise ActionError(
            "systemd: nothing is asked for",
            "give one of state, enabled, masked, daemon_reload, daemon_reexec",
            kind="refused",
            argument="state",
        )
    systemctl = _Systemctl(args.scope, args.no_block, args.force)
    for wanted, verb in ((args.daemon_reexec, "daemon-reexec"), (args.daemon_reload, "daemon-reload")):
        if wanted and not context.check:
            systemctl.must([verb], verb)
    if args.name is None:
        return Result(False, {"name": None, "status": {}})
    unit = _Unit(systemctl, args.name)
    data = {"name": args.name, "status": unit.status}
    changed = False
    if args.masked is not None and args.masked != unit.masked:
        changed = True
        if not context.check:
            systemctl.must(["mask" if args.masked else "unmask", args.name], "unit {}".format(args.name))
            unit = _Unit(systemctl, args.name)
    if not unit.known and not unit.masked and (args.state or args.enabled is not None):
        if context.check:
            # An earlier task of the play may be the one that puts the unit down.
            data["warnings"] = ["there is no unit {} yet".format(args.name)]
            return Result(True, data)
        raise ActionError(
            "there is no unit {}".format(args.name),
            "systemd does not know it",
            "check its name; after putting a unit file down set daemon_reload: true",
            kind="refused",
            argument="name",
        )
    if args.enabled is not None:
        data["enabled"] = args.enabled
        if args.enabled != unit.enabled:
            changed = True
            if not context.check:
                systemctl.must(["enable" if args.enabled else "disable", args.name], "unit {}".format(args.name))
    if args.state:
        verb = _verb(args.state, unit.active)
        data["state"] = "stopped" if args.state == "stopped" else "started"
        if verb:
            changed = True
            if not context.check:
                remedy = "look at 'journalctl -u {}' on the device".format(args.name)
                systemctl.must([verb, args.name], "unit {} could not be {}".format(args.name, args.state), remedy)
        data["active"] = systemctl.word("is-active", args.name) if not context.check else _expected(args.state)
    return Result(changed, data)


@accepts(name=Text(pattern=_UNIT, allowed="a unit's name"), **_SHARED)
def service(args, context):
    """`systemd` without what only systemd has: the module that knows no init system by name."""
    if args.state is None and args.enabled is None:
        raise ActionError("service: give 'state' or 'enabled'", kind="refused", argument="state")
    for name in systemd.schema:
        if not hasattr(args, name):
            setattr(args, name, systemd.schema[name].default)
    return systemd(args, context)


class _Systemctl(object):
    def __init__(self, scope, no_block, force):
        tool = find_tool("/bin/systemctl", "/usr/bin/systemctl", "systemctl")
        if tool is None:
            raise ActionError("there is no systemctl on this device", "it does not run systemd")
        self._argv = [tool] + ([] if scope == "system" else ["--" + scope])
        self._argv += ["--no-block"] if no_block else []
        self._force = ["--force"] if force else []
        # A session without a login manager has no address of the user's own systemd.
        self._env = {"XDG_RUNTIME_DIR": "/run/user/{}".format(os.geteuid())} if scope == "user" else None

    def ask(self, words):
        return capture(self._argv + words, timeout_s=TIMEOUT_S, env=self._env)

    def word(self, verb, name):
        """What `is-active` or `is-enabled` says, in one word."""
        lines = self.ask([verb, name]).stdout.split()
        return lines[0] if lines else ""

    def must(self, words, what, remedy=""):
        force = self._force if words[0] in ("enable", "disable", "mask", "unmask") else []
        output = capture(self._argv + force + words, timeout_s=TIMEOUT_S, merge=True, env=self._env)
        if output.rc == 0 and not output.timed_out:
            return
        why = "no answer in {} s".format(TIMEOUT_S) if output.timed_out else _last_line(output.stdout)
        if re.search(r"authentication required|Access denied|Permission denied", output.stdout):
            remedy = "run the task with become: true"
        raise ActionError(what, why, remedy, rc=output.rc, stdout=output.stdout)


class _Unit(object):
    """How a unit stands."""

    def __init__(self, systemctl, name):
        shown = systemctl.ask(["show", name])
        self.status = dict(re.findall(r"(?m)^(\w+)=(.*)$", shown.stdout))
        load = self.status.get("LoadState")
        enabled = systemctl.ask(["is-enabled", name])
        word = enabled.stdout.split()[0] if enabled.stdout.split() else ""
        self.masked = load == "masked" or word in ("masked", "masked-runtime")
        self.enabled = enabled.rc == 0
        self.active = self.status.get("ActiveState") or systemctl.word("is-active", name)
        # A systemd that answers `show` says whether it found the unit; `is-enabled` says so where it does not.
        self.known = load != "not-found" and (load is not None or bool(word) or self.active == "active")


def _verb(state, active):
    """What systemctl must be told, or None where the unit already stands so."""
    running = active in ("active", "activating", "reloading")
    if state == "started":
        return None if running else "start"
    if state == "stopped":
        return "stop" if running or active == "deactivating" else None
    if state == "reloaded":
        return "reload" if running else "start"
    return "restart"


def _expected(state):
    return "inactive" if state == "stopped" else "active"


def _last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""
