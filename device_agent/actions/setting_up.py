"""Small things that a new Jetson needs before anything else works: the right time, rights on the GPU, CUDA's paths."""

import os
import re
import time

from .. import accounts
from ..arguments import Flag, Number, Sequence, Text, accepts
from ..errors import ActionError
from ..files import device_path, make_folder, read_text, remove, write_atomic
from ..process import capture, find_tool
from ..provision.toolchain import CUDA
from ..results import Result

PROFILE = "/etc/profile.d/fleet-cuda.sh"
GROUPS = ("video", "render")


@accepts(now=Number(), max_skew_s=Number(default=60), ntp=Flag(default=True))
def clock_sync(args, context):
    """Set the device's clock to the controller's where it is off, and keep it right by NTP.

    A board without battery starts in the past, and then neither apt nor pip trusts any server.

    args:
        now (float): the controller's time, seconds since the epoch
        max_skew_s (float): how far off is near enough
        ntp (bool): turn the system's time synchronisation on where it is off
    data:
        skew_s (float): device minus controller, before; ntp (bool or None): on afterwards, None where there is none
    """
    skew = _device_time() - args.now
    ntp = _ntp() if args.ntp else None
    wrong, silent = abs(skew) > args.max_skew_s, ntp is False
    if not wrong and not silent:
        return Result(data={"skew_s": round(skew, 1), "ntp": ntp})
    before, after = (
        _clock_shown(args.now + skew, ntp),
        _clock_shown(args.now if wrong else args.now + skew, True if silent else ntp),
    )
    if context.check:
        return Result(True, {"skew_s": round(skew, 1), "ntp": True if silent else ntp}, (before, after))
    if context.uid != 0:
        raise ActionError("only root may set the clock", "", "run the task with become: true", kind="refused")
    started = time.monotonic()
    if wrong:
        # date rather than timedatectl, which refuses while NTP is on.
        _run(["date", "-u", "-s", "@{:.0f}".format(args.now)])
        hwclock = find_tool("hwclock")
        if hwclock:
            capture([hwclock, "--systohc"], timeout_s=30)  # a board without the chip says so; nothing depends on it
    if silent:
        _run(["timedatectl", "set-ntp", "true"])
    left = _device_time() - args.now - (time.monotonic() - started)
    if wrong and abs(left) > args.max_skew_s:
        raise ActionError("the clock did not follow", "it is still {:.0f} s off".format(left), "look at timedatectl")
    return Result(True, {"skew_s": round(skew, 1), "ntp": _ntp() if args.ntp else None}, (before, after))


def _device_time():
    output = capture([find_tool("date") or "date", "-u", "+%s"], timeout_s=30)
    try:
        return float(output.stdout)
    except ValueError:
        raise ActionError("the device's clock cannot be read", output.stderr.strip())


def _ntp():
    """Whether time synchronisation is on; None where this system has none to turn on."""
    timedatectl = find_tool("timedatectl")
    if timedatectl is None:
        return None
    # The property of bionic's systemd and that of later ones; an unknown one prints nothing.
    output = capture([timedatectl, "show", "--property=NTP", "--value"], timeout_s=30)
    word = output.stdout.strip()
    if output.rc != 0 or word not in ("yes", "no"):
        status = capture([timedatectl, "status"], timeout_s=30).stdout
        match = re.search(
            r"(?mi)^\s*(?:systemd-timesyncd\.service active|NTP service|Network time on):\s*(\w+)", status
        )
        word = {"yes": "yes", "active": "yes", "no": "no", "inactive": "no"}.get(match.group(1) if match else "", "")
    return {"yes": True, "no": False}.get(word)


def _clock_shown(seconds, ntp):
    stamp = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(max(0, seconds)))
    return "{}{}\n".format(stamp, {True: ", NTP on", False: ", NTP off"}.get(ntp, ""))


def _run(argv):
    tool = find_tool(argv[0])
    output = capture([tool or argv[0]] + argv[1:], timeout_s=60, merge=True)
    if output.rc != 0:
        lines = output.stdout.strip().splitlines()
        raise ActionError("{} failed".format(" ".join(argv)), lines[-1] if lines else output.stderr)


@accepts(
    users=Sequence(Text(pattern=r"[A-Za-z_][A-Za-z0-9_.@-]*\$?", allowed="a user's name"), default=()),
    state=Text(default="present", choices=("present", "absent")),
)
def gpu_access(args, context):
    """Let users use the GPU: groups video, and render where the release has it. It counts from their next login on.

    args:
        users ([str]): default the login user
    data:
        groups ({user: [group]}): of the two, afterwards; added ([user])
    raises:
        ActionError: no such user, not root
    """
    users = args.users or [os.environ.get("SUDO_USER") or _own_name()]
    known = accounts.groups()
    wanted = [name for name in GROUPS if name in known]
    if not wanted:
        raise ActionError("this system has no group video", "it does not look like a Jetson or a PC with a GPU")
    before = {user: _memberships(user) for user in users}
    present = args.state == "present"
    todo = {user: [group for group in wanted if (group in before[user]) != present] for user in users}
    todo = {user: groups for user, groups in todo.items() if groups}
    after = {
        user: [g for g in wanted if present or (g in before[user] and g not in todo.get(user, ()))] for user in users
    }
    diff = (_groups_shown(before), _groups_shown(after)) if todo else None
    if not todo or context.check:
        return Result(bool(todo), {"groups": after if todo else before, "added": sorted(todo) if present else []}, diff)
    if context.uid != 0:
        raise ActionError("only root may change groups", "", "run the task with become: true", kind="refused")
    for user, groups in sorted(todo.items()):
        if present:
            accounts.shadow_tool(["usermod", "-a", "-G", ",".join(groups), user])
        else:
            for group in groups:
                accounts.shadow_tool(["gpasswd", "-d", user, group])
    return Result(
        True, {"groups": {user: _memberships(user) for user in users}, "added": sorted(todo) if present else []}, diff
    )


def _own_name():
    uid = os.getuid()
    return next((user.name for user in accounts.users().values() if user.uid == uid), "root")


def _memberships(user):
    account = accounts.find_user(user)
    if account is None:
        raise ActionError("there is no user {}".format(user), kind="refused", argument="users")
    known = accounts.groups()
    primary = [name for name, group in known.items() if group.gid == account.gid]
    member = set(accounts.memberships(user)) | set(primary)
    return [name for name in GROUPS if name in member]


def _groups_shown(groups):
    return "".join("{}: {}\n".format(user, " ".join(names) or "-") for user, names in sorted(groups.items()))


@accepts(
    cuda=Text(default=CUDA, pattern=r"/[^\s\"'$`\\]+", allowed="an absolute path"),
    more=Sequence(Text(pattern=r"/[^\s\"'$`\\]+", allowed="an absolute path"), default=()),
    openblas_armv8=Flag(default=False),
    state=Text(default="present", choices=("present", "absent")),
)
def cuda_paths(args, context):
    """Put CUDA's tools and libraries (and TensorRT's tools) on the path of every login shell, by profile.d.

    args:
        cuda (str): CUDA's folder
        more ([str]): further folders for PATH
        openblas_armv8 (bool): also tell OpenBLAS the CPU, which it mistakes on Nano and TX2
    data:
        path (str): the file; present (bool)
    """
    text = _profile(args) if args.state == "present" else None
    before = _read(PROFILE)
    data = {"path": PROFILE, "present": text is not None}
    if before == text:
        return Result(data=data)
    diff = {"before": before or "", "after": text or "", "before_header": PROFILE, "after_header": PROFILE}
    if context.check:
        return Result(True, data, diff)
    if context.uid != 0:
        raise ActionError(
            "only root may write {}".format(PROFILE), "", "run the task with become: true", kind="refused"
        )
    if text is None:
        remove(device_path(PROFILE))
    else:
        make_folder(os.path.dirname(device_path(PROFILE)))
        write_atomic(device_path(PROFILE), text)
    return Result(True, data, diff)


def _profile(args):
    folders = [args.cuda + "/bin"] + list(args.more)
    lines = ["# CUDA and TensorRT for login shells; written by fleet (cuda_paths)."]
    lines += ['case ":$PATH:" in *":{0}:"*) ;; *) PATH="{0}:$PATH" ;; esac'.format(folder) for folder in folders]
    library = args.cuda + "/lib64"
    lines.append(
        'case ":$LD_LIBRARY_PATH:" in *":{0}:"*) ;; *) '
        'LD_LIBRARY_PATH="{0}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" ;; esac'.format(library)
    )
    names = "PATH LD_LIBRARY_PATH"
    if args.openblas_armv8:
        lines.append("OPENBLAS_CORETYPE=ARMV8")
        names += " OPENBLAS_CORETYPE"
    return "\n".join(lines + ["export " + names, ""])


def _read(path):
    text = read_text(path)
    return None if text is None else text + "\n"
