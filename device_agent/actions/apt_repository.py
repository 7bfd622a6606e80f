"""Package repositories: lines of sources.list and of the files beside it."""

import os
import re
import stat

from ..arguments import Flag, Integer, Text, accepts
from ..attributes import Mode, resolve_mode
from ..errors import ActionError
from ..files import device_path, list_folder, make_folder, read_text, remove, write_atomic
from ..packages import apt_get as aptget
from ..results import Result

_MAIN = "/etc/apt/sources.list"
_FOLDER = "/etc/apt/sources.list.d"
_LINE = re.compile(r"(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+[^#\s]+)*)\s*(?:#.*)?\Z")


@accepts(
    repo=Text(),
    state=Text(default="present", choices=("present", "absent")),
    mode=Mode(default=None),
    filename=Text(default=None, pattern=r"[A-Za-z0-9._~+-]+(\.list)?", allowed="a file's name without its folder"),
    update_cache=Flag(default=True),
    update_cache_retries=Integer(default=5, minimum=1),
    lock_timeout=Integer(default=60, minimum=0),
)
def apt_repository(args, context):
    """Keep a repository line, or its absence.

    args:
        repo (str): `deb [options] URI SUITE COMPONENTS`; a ppa: is refused
        filename (str): the file below sources.list.d, without .list; named after the URI by default
        update_cache (bool): fetch the package lists after a change; where that fails the change is taken back
    data:
        repo, state (str); sources_added, sources_removed ([paths])
    """
    wanted = _parsed(args.repo)
    files = {path: read_text(path) for path in _source_files()}
    before = {path: text.splitlines() for path, text in files.items() if text is not None}
    after = _with(before, wanted, args) if args.state == "present" else _without(before, wanted)
    added = sorted(set(after) - set(before))
    removed = sorted(set(before) - set(after))
    data = {"repo": args.repo, "state": args.state, "sources_added": added, "sources_removed": removed}
    touched = sorted(path for path in set(before) | set(after) if before.get(path) != after.get(path))
    modes = [] if args.mode is None else _wrong_modes(after, wanted, args.mode)
    if not touched and not modes:
        return Result(False, data)
    diff = _diff(touched, before, after)
    if context.check:
        return Result(True, data, diff)
    old = {path: _snapshot(path) for path in touched}
    _write(touched, after, args.mode)
    for path, mode in modes:
        os.chmod(device_path(path), mode)
    if args.update_cache and touched:
        try:
            aptget.update(aptget.AptGet(context, args.lock_timeout), args.update_cache_retries)
        except ActionError:
            _restore(old)
            raise
    return Result(True, data, diff)


def _parsed(line):
    """(type, options, uri, suite, components) of a repository line. raises: ActionError."""
    if line.strip().startswith("ppa:"):
        raise ActionError(
            "apt_repository: a ppa is not supported",
            "its address and key would have to be asked of Launchpad",
            "name its line: deb [signed-by=KEYRING] https://ppa.launchpadcontent.net/OWNER/NAME/ubuntu SUITE main",
            kind="refused",
            argument="repo",
        )
    found = _source(line)
    if found is None:
        raise ActionError(
            "apt_repository: argument 'repo' is '{}'".format(line),
            "allowed: deb [options] URI SUITE COMPONENTS",
            kind="refused",
            argument="repo",
        )
    return found


def _source(line):
    match = _LINE.match(line.strip())
    if not match:
        return None
    kind, options, uri, suite, components = match.groups()
    return kind, " ".join((options or "").split()), uri, suite, " ".join(components.split())


def _text(source):
    kind, options, uri, suite, components = source
    return " ".join(part for part in (kind, options and "[{}]".format(options), uri, suite, components) if part)


def _source_files():
    return [_MAIN] + [_FOLDER + "/" + name for name in list_folder(_FOLDER) if name.endswith(".list")]


def _with(before, wanted, args):
    after = {path: list(lines) for path, lines in before.items()}
    if any(_source(line) == wanted for lines in before.values() for line in lines):
        return after
    for path in sorted(after):
        for number, line in enumerate(after[path]):
            # A line that somebody commented out is what was meant: enable it where it stands.
            if _source(line.lstrip("# ")) == wanted and line.lstrip().startswith("#"):
                after[path][number] = _text(wanted)
                return after
    after.setdefault(_file_for(wanted, args.filename), []).append(_text(wanted))
    return after


def _without(before, wanted):
    after = {}
    for path, lines in before.items():
        kept = [line for line in lines if _source(line) != wanted]
        if kept or not lines or path == _MAIN:
            after[path] = kept
    return after


def _file_for(source, filename):
    if filename is None:
        address = re.sub(r"^\w+://", "", source[2]).rpartition("@")[2]
        filename = "_".join(re.sub(r"[^A-Za-z0-9]", " ", address).split())
    return "{}/{}.list".format(_FOLDER, filename[: -len(".list")] if filename.endswith(".list") else filename)


def _wrong_modes(after, wanted, mode):
    """[(path, mode)] of existing files that hold the repository with another mode."""
    wrong = []
    for path in after:
        try:
            now = stat.S_IMODE(os.stat(device_path(path)).st_mode)
        except OSError:
            continue
        if any(_source(line) == wanted for line in after[path]) and resolve_mode(mode, now, False) != now:
            wrong.append((path, resolve_mode(mode, now, False)))
    return wrong


def _diff(touched, before, after):
    if not touched:
        return None
    sides = [
        "".join("{}: {}\n".format(path, line) for path in touched for line in side.get(path, []))
        for side in (before, after)
    ]
    return {
        "before": sides[0],
        "after": sides[1],
        "before_header": ", ".join(touched),
        "after_header": ", ".join(touched),
    }


def _snapshot(path):
    try:
        with open(device_path(path), "rb") as stream:
            return stream.read(), stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
    except OSError:
        return None


def _write(touched, after, mode):
    make_folder(device_path(_FOLDER))
    for path in touched:
        if path not in after:
            remove(device_path(path))
            continue
        old = _snapshot(path)
        bits = old[1] if old else 0o644
        bits = bits if mode is None else resolve_mode(mode, bits, False)
        write_atomic(device_path(path), "".join(line + "\n" for line in after[path]), bits)


def _restore(old):
    for path, snapshot in old.items():
        if snapshot is None:
            remove(device_path(path))
        else:
            write_atomic(device_path(path), snapshot[0], snapshot[1])
