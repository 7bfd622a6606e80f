"""Users and groups of the device."""

import os
import time

from .. import accounts
from ..arguments import Flag, Integer, Sequence, Text, accepts
from ..attributes import Path
from ..errors import ActionError
from ..files import device_path
from ..results import Result
from ..sshkeys import generate_key
from ..trees import copy_tree, own_tree

_NAME = r"[A-Za-z0-9_][A-Za-z0-9_.@-]*\$?"
_USER = Text(pattern=_NAME, allowed="a user's name")
_GROUP = Text(pattern=_NAME, allowed="a group's name")
_TEXT = Text(default=None, pattern=r"[^:\n]*", allowed="text without colons and newlines")
_DAY_S = 86400


@accepts(
    name=_GROUP,
    gid=Integer(default=None, minimum=0),
    state=Text(default="present", choices=("present", "absent")),
    system=Flag(default=False),
    non_unique=Flag(default=False),
    force=Flag(default=False),
    gid_min=Integer(default=None, minimum=0),
    gid_max=Integer(default=None, minimum=0),
)
def group(args, context):
    """Keep a group, or its absence. data: name, state, gid (int), system (bool)."""
    current = accounts.groups().get(args.name)
    data = {"name": args.name, "state": args.state}
    if args.state == "absent":
        if current is not None and not context.check:
            accounts.shadow_tool(["groupdel"] + (["-f"] if args.force else []) + [args.name])
        return Result(current is not None, data)
    argv = None
    if current is None:
        argv = ["groupadd"] + (["-r"] if args.system else [])
        for value, key in ((args.gid_min, "GID_MIN"), (args.gid_max, "GID_MAX")):
            argv += ["-K", "{}={}".format(key, value)] if value is not None else []
    elif args.gid is not None and current.gid != args.gid:
        argv = ["groupmod"]
    if argv and args.gid is not None:
        argv += ["-g", args.gid] + (["-o"] if args.non_unique else [])
    if argv and not context.check:
        accounts.shadow_tool(argv + [args.name])
    now = accounts.groups().get(args.name)
    if now is not None:
        data.update(gid=now.gid, system=args.system)
    return Result(argv is not None, data)


@accepts(
    name=_USER,
    state=Text(default="present", choices=("present", "absent")),
    uid=Integer(default=None, minimum=0),
    non_unique=Flag(default=False),
    group=Text(default=None),
    groups=Sequence(Text(), default=None),
    append=Flag(default=False),
    comment=_TEXT,
    home=Path(default=None),
    create_home=Flag(default=True),
    move_home=Flag(default=False),
    skeleton=Path(default=None),
    shell=Path(default=None),
    password=Text(default=None, pattern=r"[^:\n]*", allowed="a hash as /etc/shadow has it"),
    update_password=Text(default="always", choices=("always", "on_create")),
    password_lock=Flag(default=None),
    expires=Integer(default=None),
    umask=Text(default=None, pattern=r"[0-7]{3,4}", allowed="octal digits"),
    system=Flag(default=False),
    force=Flag(default=False),
    remove=Flag(default=False),
    generate_ssh_key=Flag(default=False),
    ssh_key_type=Text(default="rsa", pattern=r"[a-z0-9-]+"),
    ssh_key_bits=Integer(default=0, minimum=0),
    ssh_key_file=Path(default=None),
    ssh_key_comment=Text(default=None),
)
def user(args, context):
    """Keep a user account, or its absence.

    args:
        groups ([str]): supplementary groups; all of them unless `append`; an empty list is none
        password (str): a hash, never the password itself
        expires (int): seconds since the epoch; negative: never
    data:
        name, state, uid, group (gid), comment, home, shell; groups (comma-separated); append, move_home of an account
        that was there, create_home, system of a new one; ssh_key_file, ssh_public_key
    """
    current = accounts.find_user(args.name)
    data = {"name": args.name, "state": args.state}
    if args.state == "absent":
        if current is not None and not context.check:
            flags = (["-f"] if args.force else []) + (["-r"] if args.remove else [])
            accounts.shadow_tool(["userdel"] + flags + [args.name])
        if current is not None:
            data.update(force=args.force, remove=args.remove)
        return Result(current is not None, data)
    _check_groups(args, context)
    if current is None:
        if not context.check:
            _add(args)
        changed = True
        data.update(system=args.system, create_home=args.create_home)
    else:
        changed = _modify(args, current, context)
        data.update(append=args.append, move_home=args.move_home)
    if args.password is not None:
        data["password"] = "NOT_LOGGING_PASSWORD"
    now = accounts.find_user(args.name)
    if now is not None:
        data.update(uid=now.uid, group=now.gid, comment=now.comment, home=now.home, shell=now.shell)
        changed = _keep_home(args, now, context) or changed
        if args.generate_ssh_key:
            changed = _keep_key(args, now, context, data) or changed
    if args.groups is not None:
        data["groups"] = ",".join(args.groups)
    return Result(changed, data)


def _check_groups(args, context):
    for name in ([args.group] if args.group else []) + list(args.groups or ()):
        # In check mode an earlier task of the play may be the one that makes the group.
        if accounts.find_group(name) is None and not context.check:
            raise ActionError("Group {} does not exist".format(name), "", "make it first with the module group")


def _add(args):
    argv = ["useradd"]
    if args.uid is not None:
        argv += ["-u", args.uid] + (["-o"] if args.non_unique else [])
    if args.group:
        argv += ["-g", args.group]
    elif accounts.find_group(args.name) is not None:
        # useradd refuses to make the user's own group where one of that name is there already.
        argv.append("-N")
    if args.groups:
        argv += ["-G", ",".join(args.groups)]
    for flag, value in (("-c", args.comment), ("-d", args.home), ("-s", args.shell)):
        argv += [flag, value] if value is not None else []
    if args.expires is not None:
        argv += ["-e", _date(args.expires)]
    if args.create_home:
        argv.append("-m")
        argv += ["-k", args.skeleton] if args.skeleton else []
        argv += ["-K", "UMASK=" + args.umask] if args.umask else []
        if args.home:
            os.makedirs(os.path.dirname(device_path(args.home.rstrip("/"))) or "/", exist_ok=True)
    else:
        argv.append("-M")
    argv += ["-r"] if args.system else []
    accounts.shadow_tool(argv + [args.name])
    if args.password is not None:
        _set_password(args.name, ("!" if args.password_lock else "") + args.password)
    elif args.password_lock is not None:
        shadow = accounts.shadow(args.name)
        if args.password_lock and shadow is not None and not shadow.password.startswith("!"):
            accounts.shadow_tool(["usermod", "-L", args.name])


def _modify(args, current, context):
    """Change what differs of an account that is there; whether anything did."""
    argv = []
    if args.uid is not None and current.uid != args.uid:
        argv += ["-u", args.uid] + (["-o"] if args.non_unique else [])
    if args.group is not None:
        wanted = accounts.find_group(args.group)
        if wanted is None or wanted.gid != current.gid:
            argv += ["-g", args.group]
    argv += _group_words(args, current)
    if args.comment is not None and current.comment != args.comment:
        argv += ["-c", args.comment]
    if args.home is not None and current.home != args.home:
        argv += ["-d", args.home] + (["-m"] if args.move_home else [])
    if args.shell is not None and current.shell != args.shell:
        argv += ["-s", args.shell]
    shadow = accounts.shadow(args.name)
    argv += _expiry_words(args, shadow)
    password = None
    now = shadow.password if shadow else ""
    if args.password is not None and args.update_password == "always" and shadow is not None:
        if now.lstrip("!") != args.password.lstrip("!"):
            password = ("!" if args.password_lock else "") + args.password
    if password is None and args.password_lock is not None and shadow is not None:
        if args.password_lock != now.startswith("!"):
            argv.append("-L" if args.password_lock else "-U")
    if not argv and password is None:
        return False
    if not context.check:
        if argv:
            accounts.shadow_tool(["usermod"] + argv + [args.name])
        if password is not None:
            _set_password(args.name, password)
    return True


def _group_words(args, current):
    if args.groups is None:
        return []
    names = []
    for name in args.groups:
        found = accounts.find_group(name)
        names.append(found.name if found else name)
    primary = accounts.find_group(str(current.gid))
    has = set(accounts.memberships(args.name)) - {primary.name if primary else ""}
    wants = set(names) - {primary.name if primary else ""}
    if args.append:
        missing = sorted(wants - has)
        return ["-a", "-G", ",".join(missing)] if missing else []
    return ["-G", ",".join(sorted(wants))] if has != wants else []


def _expiry_words(args, shadow):
    if args.expires is None or shadow is None:
        return []
    now = shadow.expires
    if args.expires < 0:
        return ["-e", ""] if now is not None and now >= 0 else []
    return ["-e", _date(args.expires)] if now != args.expires // _DAY_S else []


def _date(seconds):
    return "" if seconds < 0 else time.strftime("%Y-%m-%d", time.gmtime(seconds))


def _set_password(name, hashed):
    # By standard input: even a hash has no business in the list of processes.
    accounts.shadow_tool(["chpasswd", "-e"], stdin="{}:{}\n".format(name, hashed).encode("utf-8"))


def _keep_home(args, now, context):
    """Make the home folder of an account that has none."""
    home = device_path(args.home or now.home)
    if not args.create_home or os.path.exists(home):
        return False
    if not context.check:
        copy_tree(device_path(args.skeleton or "/etc/skel"), home)
        os.chmod(home, 0o777 & ~int(args.umask or "022", 8))
        own_tree(home, now.uid, now.gid)
    return True


def _keep_key(args, now, context, data):
    path = args.ssh_key_file or ".ssh/id_" + args.ssh_key_type
    path = path if path.startswith("/") else os.path.join(now.home, path)
    changed = generate_key(
        path,
        args.ssh_key_type,
        args.ssh_key_bits,
        args.ssh_key_comment or "fleet-generated on {}".format(os.uname().nodename),
        (now.uid, now.gid),
        context.check,
    )
    data["ssh_key_file"] = path
    try:
        with open(device_path(path) + ".pub", encoding="utf-8") as stream:
            data["ssh_public_key"] = stream.read().strip()
    except OSError:
        pass
    return changed
