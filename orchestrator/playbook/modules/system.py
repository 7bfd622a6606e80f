"""The system of the device: users, groups, keys, units, kernel parameters, names, facts."""

from __future__ import annotations

from typing import Any

from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, action_module

_PRESENT = Argument("str", "present or absent", "present", choices=("present", "absent"))
_STATE = Argument(
    "str",
    "started, stopped, restarted or reloaded",
    choices=("started", "stopped", "restarted", "reloaded"),
)
_ENABLED = Argument("bool", "whether it starts at boot")


@action_module(
    "group",
    name=Argument("str", "the group", required=True),
    state=_PRESENT,
    gid=Argument("int", "its number"),
    gid_min=Argument("int", "the lowest number to choose"),
    gid_max=Argument("int", "the highest number to choose"),
    system=Argument("bool", "a new one is a system group", False),
    non_unique=Argument("bool", "the number may be taken already", False),
    force=Argument("bool", "remove it although it is a user's own group", False),
)
def group(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Keep a group of users, or its absence.

    Returns name, state, gid, system.
    """
    return args


@action_module(
    "user",
    name=Argument("str", "the user", required=True, aliases=("user",)),
    state=_PRESENT,
    uid=Argument("int", "the user's number"),
    non_unique=Argument("bool", "the number may be taken already", False),
    comment=Argument("str", "the user's full name"),
    group=Argument("str", "the user's own group"),
    groups=Argument("list", "further groups; all of them, unless append; an empty list for none", elements="str"),
    append=Argument("bool", "add to the groups that the user is in", False),
    shell=Argument("path", "the login shell"),
    home=Argument("path", "the home folder"),
    create_home=Argument("bool", "make the home folder if it is missing", True, aliases=("createhome",)),
    move_home=Argument("bool", "move the home folder where home changes", False),
    skeleton=Argument("path", "what a new home folder is copied from"),
    password=Argument("str", "a hash as /etc/shadow has it, never the password itself", secret=True),
    update_password=Argument("str", "always, or on_create", "always", choices=("always", "on_create")),
    password_lock=Argument("bool", "whether logging in by password is locked"),
    expires=Argument("float", "when the account ends, in seconds since 1970; negative: never"),
    umask=Argument("str", "of a new home folder"),
    system=Argument("bool", "a new one is a system user", False),
    force=Argument("bool", "remove a user who is logged in", False),
    remove=Argument("bool", "remove the home folder with the user", False),
    generate_ssh_key=Argument("bool", "make a key pair, without passphrase, if there is none", False),
    ssh_key_type=Argument("str", "its kind", "rsa"),
    ssh_key_bits=Argument("int", "its length; 0 for the kind's own", 0),
    ssh_key_file=Argument("path", "where it lies, from the home folder on"),
    ssh_key_comment=Argument("str", "its comment"),
)
def user(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Keep a user account, or its absence.

    Returns name, state, uid, group, groups, comment, home, shell, and what was asked for of append, move_home,
    create_home, system; ssh_key_file and ssh_public_key where a key was asked for.
    """
    if args["expires"] is not None:
        args = {**args, "expires": int(args["expires"])}
    return args


@action_module(
    "authorized_key",
    user=Argument("str", "whose", required=True),
    key=Argument("str", "public keys, one a line", required=True),
    state=_PRESENT,
    exclusive=Argument("bool", "nothing else may stand in the file", False),
    manage_dir=Argument("bool", "make the folder, and set its mode and owner", True),
    path=Argument("path", "another file than ~/.ssh/authorized_keys"),
    key_options=Argument("str", "options that replace those of the keys"),
    comment=Argument("str", "a comment that replaces those of the keys"),
)
def authorized_key(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Keep public keys that may log in as a user, or their absence.

    Returns user, key, state, keyfile and the other arguments.
    """
    return args


_UNIT: Any = {
    "name": Argument("str", "the unit; .service where it has no suffix", aliases=("service", "unit")),
    "state": _STATE,
    "enabled": _ENABLED,
    "masked": Argument("bool", "whether it cannot be started at all"),
    "daemon_reload": Argument("bool", "read unit files anew first", False, aliases=("daemon-reload",)),
    "daemon_reexec": Argument("bool", "restart systemd itself first", False, aliases=("daemon-reexec",)),
    "scope": Argument("str", "system, user or global", "system", choices=("system", "user", "global")),
    "no_block": Argument("bool", "do not wait until it is done", False),
    "force": Argument("bool", "replace links that are in the way", False),
}


def systemd(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Keep a unit of systemd running, enabled or masked, or not.

    In check mode a unit that is not there yet counts as changed: an earlier task may be the one that brings it.

    Returns name, state, enabled, active, and status: what `systemctl show` says.
    """
    return args


for _name in ("systemd", "systemd_service"):
    action_module(_name, action="systemd", **_UNIT)(systemd)


@action_module(
    "service",
    name=Argument("str", "the service", required=True),
    state=_STATE,
    enabled=_ENABLED,
    use=Argument("str", "not needed: devices run systemd"),
)
def service(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Keep a service running or enabled, or not.

    Returns name, state, enabled, active, status.
    """
    return {key: value for key, value in args.items() if key != "use"}


@action_module(
    "sysctl",
    name=Argument("str", "the parameter, as net.core.rmem_max", required=True, aliases=("key",)),
    value=Argument("str", "its value", aliases=("val",)),
    state=_PRESENT,
    reload=Argument("bool", "read the file after a change", True),
    sysctl_file=Argument("path", "where it is kept for the next boot", "/etc/sysctl.conf"),
    sysctl_set=Argument("bool", "compare with what is in force, and set it", False),
    ignoreerrors=Argument("bool", "a parameter that cannot be set is no failure", False),
)
def sysctl(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Keep a kernel parameter for the next boot, and in force.

    Returns name, value, state, live.
    """
    if isinstance(args["value"], str) and args["value"] in ("True", "False"):
        args = {**args, "value": "1" if args["value"] == "True" else "0"}
    return args


@action_module(
    "hostname",
    gives_facts=True,
    name=Argument("str", "the new name", required=True),
    use=Argument("str", "not needed: what the device has is used"),
)
def hostname(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Set the device's host name, now and for the next boot.

    Returns name, and the facts that follow from it.
    """
    return args


@action_module(
    "timezone",
    name=Argument("str", "the zone, as Europe/Berlin"),
    hwclock=Argument("str", "what the hardware clock shows: UTC or local", choices=("UTC", "local"), aliases=("rtc",)),
)
def timezone(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Set the device's time zone.

    Returns name, hwclock.
    """
    return args


@action_module(
    "setup",
    gives_facts=True,
    gather_subset=Argument("list", "all, min, hardware, network, or topics; ! leaves one out", ["all"], elements="str"),
    filter=Argument("list", "patterns of the facts to return", [], elements="str"),
    gather_timeout=Argument("int", "accepted, and not needed", 10),
    fact_path=Argument("path", "where the owner's own *.fact files lie", "/etc/ansible/facts.d"),
)
def setup(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Read the device's facts under Ansible's names; `jetpack_facts` reads those of a Jetson.

    Returns ansible_facts.
    """
    return args
