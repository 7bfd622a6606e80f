"""Packages of Debian and Ubuntu, by name, never all at once."""

import os
import re
import time

from ..arguments import Flag, Integer, Sequence, Text, accepts
from ..errors import ActionError
from ..files import device_path
from ..packages import apt_get as aptget
from ..packages.dpkg import Database, changes, compare
from ..process import capture, find_tool
from ..results import Result

_NAME = Text(
    pattern=r"[A-Za-z0-9*?\[][A-Za-z0-9+.:*?\[\]_-]*\s*(?:(?:=|>=)\s*[A-Za-z0-9+.:~*?_-]+)?",
    allowed="a package's name, NAME=VERSION or NAME>=VERSION; both may have wildcards",
)
_NO_UPGRADE = (
    "'upgrade' is not offered",
    "on L4T an upgrade of everything runs bootloader and kernel installers that can fail or change the board's release",
    "name the packages, with state: latest where you want them newer",
)


@accepts(
    name=Sequence(_NAME, default=()),
    state=Text(default="present", choices=("present", "latest", "absent", "fixed")),
    update_cache=Flag(default=False),
    cache_valid_time=Integer(default=0, minimum=0),
    update_cache_retries=Integer(default=5, minimum=1),
    install_recommends=Flag(default=None),
    only_upgrade=Flag(default=False),
    autoremove=Flag(default=False),
    fail_on_autoremove=Flag(default=False),
    autoclean=Flag(default=False),
    clean=Flag(default=False),
    purge=Flag(default=False),
    deb=Text(default=None),
    default_release=Text(default=None),
    dpkg_options=Text(default="force-confdef,force-confold"),
    allow_downgrade=Flag(default=False),
    allow_change_held_packages=Flag(default=False),
    allow_unauthenticated=Flag(default=False),
    lock_timeout=Integer(default=60, minimum=0),
    upgrade=Text(default="no"),
)
def apt(args, context):
    """Install, upgrade or remove packages by name.

    args:
        name ([str]): NAME, NAME=VERSION, NAME>=VERSION; `*` and `?` are wildcards in both
        state (str): present, latest, absent, or fixed: finish what was cut off and mend broken dependencies
        update_cache (bool), cache_valid_time (seconds): fetch the package lists if they are older
        lock_timeout (seconds): how long to wait for another package tool
        deb (str): path of a package file on the device
    data:
        stdout, stderr (str), where apt-get had something to do; cache_updated (bool), cache_update_time (int)
    raises:
        ActionError: busy where the lock is held for longer; failed with the cause, rc, stdout, stderr
    """
    if args.upgrade.lower() not in ("no", "false"):
        raise ActionError(*_NO_UPGRADE, kind="refused", argument="upgrade")
    if args.deb and (args.name or args.state != "present"):
        raise ActionError(
            "'deb' stands alone", "it installs one package file", "use two tasks", kind="refused", argument="deb"
        )
    if args.deb and "://" in args.deb:
        remedy = "fetch it with get_url first"
        raise ActionError("'deb' takes a path on the device", args.deb, remedy, kind="refused", argument="deb")
    apt_get = aptget.AptGet(context, args.lock_timeout)
    data = {"cache_updated": False, "cache_update_time": aptget.cache_time()}
    _update(args, context, apt_get, data)
    work = args.name or args.deb or args.state == "fixed"
    if not work and not (args.autoremove or args.clean or args.autoclean):
        return Result(data["cache_updated"], data)
    before = Database()
    words = _words(args, context, before)
    if not words:
        return Result(False, data)
    if context.check:
        return _predict(args, apt_get, words, before, data)
    told = []
    if args.state == "fixed":
        told.append(apt_get.configure())
    told.extend(_explained(apt_get, _options(args) + one, before) for one in words)
    data["stdout"] = "".join(output.stdout for output in told)
    data["stderr"] = "".join(output.stderr for output in told)
    now = Database()
    diff = changes(before.installed(), now.installed())
    repaired = len(now.unfinished()) < len(before.unfinished())
    return Result(bool(diff) or repaired or (args.purge and _purged(args.name, before, now)), data, diff)


def _update(args, context, apt_get, data):
    """Fetch the lists where they are asked for and too old; sets cache_updated and cache_update_time."""
    if not (args.update_cache or args.cache_valid_time):
        return
    if time.time() <= data["cache_update_time"] + args.cache_valid_time:
        return
    if not context.check:
        aptget.update(apt_get, args.update_cache_retries)
        # Where no hook of the distribution touches a stamp, lists that did not change keep their times.
        folder = device_path(aptget.LISTS)
        if os.path.isdir(folder) and aptget.cache_time() == data["cache_update_time"]:
            os.utime(folder, None)
        data["cache_update_time"] = aptget.cache_time()
    data["cache_updated"] = True


def _words(args, context, database):
    """The command lines that apt-get must be given, none where everything is as asked."""
    if args.clean:
        return [["clean"]]
    lines = []
    if args.deb:
        path = _needed_deb(args, database)
        lines = [["install", path]] if path else []
    elif args.state == "fixed":
        broken = database.unfinished() or _check(context)
        lines = [["--fix-broken", "install"]] if broken else []
    elif args.state == "absent":
        gone = _to_remove(args, database)
        lines = [(["--purge"] if args.purge else []) + ["remove"] + gone] if gone else []
    elif args.name:
        wanted = _to_install(args, database)
        lines = [["install"] + wanted] if wanted else []
    if args.autoremove:
        lines = [["--auto-remove"] + line for line in lines] or [["autoremove"]]
    if args.autoclean:
        lines.append(["autoclean"])
    return lines


def _check(context):
    """Whether apt sees broken dependencies."""
    return aptget.AptGet(context, 0).run(["check"], allow_failure=True).rc != 0


def _to_install(args, database):
    wanted = []
    for spec in args.name:
        name, operator, version = _parse(spec)
        if re.search(r"[*?\[]", name):
            names = _expand(name)
            wanted += [n for n in names if args.state == "latest" or database.version(n) is None]
            continue
        if args.only_upgrade and database.version(name) is None:
            continue
        installed = database.version(name)
        if operator == "=" and installed is not None and _matches(installed, version):
            continue
        if operator == ">=" and installed is not None and compare(installed, version) >= 0:
            continue
        if operator == ">=":
            wanted.append(name)
        elif operator:
            wanted.append("{}={}".format(name, version))
        elif installed is None and not database.providers(name):
            wanted.append(name)
        elif args.state == "latest":
            wanted.append(name)
    return wanted


def _to_remove(args, database):
    gone = []
    for spec in args.name:
        name, _, version = _parse(spec)
        names = database.matching(name) if re.search(r"[*?\[]", name) else [name]
        for one in names:
            installed = database.version(one)
            if installed is not None and (version is None or _matches(installed, version)):
                gone.append(one)
            elif installed is None and args.purge and database.has_configuration(one):
                gone.append(one)
    return gone


def _parse(spec):
    """(name, operator, version) of NAME, NAME=VERSION or NAME>=VERSION."""
    match = re.match(r"([^=>\s]+)\s*(?:(>=|=)\s*(.+))?\Z", spec)
    return match.group(1), match.group(2), match.group(3)


def _matches(installed, version):
    import fnmatch

    return installed == version or fnmatch.fnmatchcase(installed, version)


def _expand(pattern):
    """Names in the package lists that match a wildcard. raises: ActionError where none does."""
    import fnmatch

    tool = find_tool("/usr/bin/apt-cache", "apt-cache")
    known = capture([tool, "pkgnames"], timeout_s=120).stdout.split() if tool else []
    names = sorted(name for name in known if fnmatch.fnmatchcase(name, pattern))
    if not names:
        what = "no package matches '{}'".format(pattern)
        raise ActionError(what, "the package lists have none", "run the task with update_cache: true")
    return names


def _needed_deb(args, database):
    """The path of a package file that is not installed yet, or None."""
    path = os.path.expanduser(args.deb)
    tool = find_tool("/usr/bin/dpkg-deb", "dpkg-deb")
    if not os.path.isfile(path) or tool is None:
        raise ActionError("there is no package file {}".format(path), kind="refused", argument="deb")
    output = capture([tool, "--field", path, "Package", "Version", "Architecture"], timeout_s=120)
    fields = dict(re.findall(r"(?m)^(\w+): (.*)$", output.stdout))
    if output.rc != 0 or "Package" not in fields or "Version" not in fields:
        raise ActionError("{} is no package file".format(path), output.stderr.strip(), "fetch it again")
    installed = database.version(fields["Package"])
    order = 1 if installed is None else compare(fields["Version"], installed)
    if order == 0:
        return None
    if order < 0 and not args.allow_downgrade:
        raise ActionError(
            "{} {} is older than the installed {}".format(fields["Package"], fields["Version"], installed),
            "a package file is not installed over a newer package",
            "set allow_downgrade: true if that is what you want",
        )
    return os.path.abspath(path)


def _options(args):
    options = []
    for option in args.dpkg_options.split(","):
        if option.strip():
            options += ["-o", "Dpkg::Options::=--" + option.strip()]
    if args.install_recommends is not None:
        options += ["-o", "APT::Install-Recommends=" + ("yes" if args.install_recommends else "no")]
    if args.default_release:
        options += ["-t", args.default_release]
    flags = (
        (args.only_upgrade, "--only-upgrade"),
        (args.fail_on_autoremove, "--no-remove"),
        (args.allow_downgrade, "--allow-downgrades"),
        (args.allow_change_held_packages, "--allow-change-held-packages"),
        (args.allow_unauthenticated, "--allow-unauthenticated"),
    )
    return options + [flag for wanted, flag in flags if wanted]


def _explained(apt_get, words, before):
    """Run apt-get; where it fails over packages that stood half-configured before, say so."""
    try:
        return apt_get.run(words)
    except ActionError as error:
        unfinished = before.unfinished()
        if unfinished and error.kind == "failed":
            name, how = unfinished[0]
            error.why = "{} was {} before; {}".format(name, how, error.why)
            error.remedy = error.remedy or "run the task apt: {state: fixed} first"
        raise


def _predict(args, apt_get, words, before, data):
    """What apt-get says it would do; it needs neither rights nor the lock for that."""
    old = before.installed()
    new = dict(old)
    told = []
    for line in words:
        if line[0] in ("clean", "autoclean"):
            told.append("")
            continue
        output = apt_get.run(["--simulate"] + _options(args) + line)
        told.append(output.stdout)
        new.update(re.findall(r"(?m)^Inst (\S+) (?:\[[^\]]*\] )?\((\S+)", output.stdout))
        for name in re.findall(r"(?m)^(?:Remv|Purg) (\S+)", output.stdout):
            new.pop(name, None)
    diff = changes(old, new)
    configures = any(re.search(r"(?m)^(?:Conf|Purg) ", text) for text in told)
    return Result(bool(diff) or configures or bool(before.unfinished()), dict(data, stdout="".join(told)), diff)


def _purged(names, before, now):
    return any(before.has_configuration(_parse(n)[0]) and not now.has_configuration(_parse(n)[0]) for n in names)
