"""Users and groups as the device's files have them, and the shadow tools that change them."""

from collections import namedtuple

from .errors import ActionError
from .files import read_text
from .process import capture, find_tool

User = namedtuple("User", "name uid gid comment home shell")
Group = namedtuple("Group", "name gid members")
Shadow = namedtuple("Shadow", "password last_change minimum maximum warning inactive expires")
"""password (str); the others are days (int) or None."""


def users():
    """{name: User} of /etc/passwd."""
    found = {}
    for fields in _rows("/etc/passwd", 7):
        try:
            found[fields[0]] = User(fields[0], int(fields[2]), int(fields[3]), fields[4], fields[5], fields[6])
        except ValueError:
            continue
    return found


def groups():
    """{name: Group} of /etc/group."""
    found = {}
    for fields in _rows("/etc/group", 4):
        try:
            found[fields[0]] = Group(fields[0], int(fields[2]), [name for name in fields[3].split(",") if name])
        except ValueError:
            continue
    return found


def shadow(name):
    """The Shadow of a user, or None where it cannot be read (only root may)."""
    for fields in _rows("/etc/shadow", 8):
        if fields[0] == name:
            days = [int(field) if field.lstrip("-").isdigit() else None for field in fields[2:8]]
            return Shadow(fields[1], *days)
    return None


def find_user(name):
    """A user of /etc/passwd, or one that the name service knows, or None."""
    found = users().get(name)
    if found is None:
        import pwd

        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            return None
        from .files import device_path

        if device_path("/") != "/":
            return None  # the users of the machine are not those of a device in a folder
        found = User(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_gecos, entry.pw_dir, entry.pw_shell)
    return found


def find_group(name):
    """A group by its name or number, or None."""
    known = groups()
    if name in known:
        return known[name]
    return next((group for group in known.values() if str(group.gid) == name), None)


def memberships(name):
    """Names of the groups that list the user as a member, sorted."""
    return sorted(group.name for group in groups().values() if name in group.members)


def shadow_tool(argv, stdin=None):
    """Run one of useradd, usermod, groupadd, ... and return its Output. raises: ActionError with what it said."""
    tool = find_tool("/usr/sbin/" + argv[0], argv[0])
    if tool is None:
        raise ActionError("there is no {} on this device".format(argv[0]), "", "apt: {name: passwd}")
    output = capture([tool] + [str(word) for word in argv[1:]], timeout_s=120, stdin=stdin)
    if output.rc != 0:
        said = [line for line in (output.stderr or output.stdout).splitlines() if line.strip()]
        denied = "Permission denied" in output.stderr or "annot lock" in output.stderr
        raise ActionError(
            "{} failed".format(argv[0]),
            said[-1].strip() if said else "it exited with {}".format(output.rc),
            "run the task with become: true" if denied else "",
            rc=output.rc,
            stdout=output.stdout,
            stderr=output.stderr,
        )
    return output


def _rows(path, least):
    text = read_text(path, 16 << 20) or ""
    rows = (line.split(":") for line in text.splitlines() if line and line[0] not in "#+-")
    return [fields for fields in rows if len(fields) >= least]
