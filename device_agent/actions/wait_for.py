"""Wait until a port answers or a file is there, or no longer."""

import os
import re
import socket
import time

from ..arguments import Integer, Number, Sequence, Text, accepts
from ..attributes import Path, describe
from ..errors import ActionError
from ..files import device_path, read_text
from ..results import Result

_STATES = ("started", "present", "stopped", "drained", "absent")
_CONNECTIONS = {
    "ESTABLISHED": "01",
    "SYN_SENT": "02",
    "SYN_RECV": "03",
    "FIN_WAIT1": "04",
    "FIN_WAIT2": "05",
    "TIME_WAIT": "06",
}
_TELL_EVERY_S = 5.0
_READ_LIMIT = 64 << 20


@accepts(
    host=Text(default="127.0.0.1"),
    port=Integer(default=None, minimum=1, maximum=65535),
    path=Path(default=None),
    search_regex=Text(default=None),
    state=Text(default="started", choices=_STATES),
    timeout=Integer(default=300, minimum=0),
    delay=Integer(default=0, minimum=0),
    sleep=Number(default=1),
    connect_timeout=Number(default=5),
    msg=Text(default=None),
    active_connection_states=Sequence(Text(choices=tuple(sorted(_CONNECTIONS))), default=tuple(sorted(_CONNECTIONS))),
    exclude_hosts=Sequence(Text(), default=()),
)
def wait_for(args, context):
    """Look every `sleep` seconds until what is waited for is so; without port and path just wait `timeout` seconds.

    args:
        state (str): started or present: the port answers, the path is there (and `search_regex` is found);
            stopped or absent: it is not; drained: nobody is connected to the port
        timeout, delay, sleep, connect_timeout (seconds)
    data:
        port, path, search_regex, elapsed (int, seconds), match_groups ([str]), match_groupdict ({name: str})
        state: as asked; of a path that is there: file, directory, ..., with mode, owner, group, uid, gid, size
    raises:
        ActionError: it was not so in time; data.elapsed
    """
    pattern = _checked(args)
    started = time.monotonic()
    if context.check:
        return Result(False, {"skipped": True, "msg": "nothing is waited for in check mode"})
    if args.delay:
        time.sleep(args.delay)
    if args.port is None and args.path is None and args.state != "drained":
        time.sleep(args.timeout)
        return Result(False, _data(args, started, None))
    told = started
    while True:
        met, match = _look(args, pattern)
        now = time.monotonic()
        if met:
            return Result(False, _data(args, started, match))
        if now - started >= args.timeout:
            raise ActionError(
                args.msg or "Timeout when waiting for {}".format(_what(args)),
                "it was not so after {:.0f} s".format(now - started),
                "raise timeout, or find out why it is not {}".format(args.state),
                elapsed=int(now - started),
            )
        if now - told >= _TELL_EVERY_S:
            told = now
            context.progress({"line": "waiting for {}, {:.0f} s".format(_what(args), now - started)})
        time.sleep(min(args.sleep, max(0.05, args.timeout - (now - started))))


def _checked(args):
    """The compiled search_regex, or None. raises: ActionError for arguments that contradict each other."""
    problem = None
    if args.port is not None and args.path is not None:
        problem = ("path", "port and path cannot both be waited for")
    elif args.state in ("stopped", "drained") and args.path is not None:
        problem = ("state", "state {} is for ports".format(args.state))
    elif args.state == "drained" and args.port is None:
        problem = ("port", "state drained needs a port")
    elif args.exclude_hosts and args.state != "drained":
        problem = ("exclude_hosts", "exclude_hosts goes with state drained")
    if problem:
        raise ActionError("wait_for: " + problem[1], kind="refused", argument=problem[0])
    if args.search_regex is None:
        return None
    try:
        return re.compile(args.search_regex.encode("utf-8"), re.MULTILINE)
    except re.error as error:
        what = "wait_for: search_regex is no regular expression"
        raise ActionError(what, str(error), kind="refused", argument="search_regex")


def _look(args, pattern):
    """(whether it is so now, the match of search_regex or None)."""
    if args.state == "drained":
        return not _connections(args), None
    if args.path is not None:
        return _look_at_path(args, pattern)
    return _look_at_port(args, pattern)


def _look_at_path(args, pattern):
    path = device_path(args.path)
    there = os.path.exists(path)
    if args.state == "absent":
        if pattern is None or not there:
            return not there, None
        return _search_file(path, pattern) is None, None
    if not there or pattern is None:
        return there, None
    match = _search_file(path, pattern)
    return match is not None, match


def _search_file(path, pattern):
    try:
        with open(path, "rb") as stream:
            return pattern.search(stream.read(_READ_LIMIT))
    except OSError:
        return None


def _look_at_port(args, pattern):
    wanted = args.state in ("started", "present")
    try:
        connection = socket.create_connection((args.host, args.port), args.connect_timeout)
    except OSError:
        return not wanted, None
    try:
        if not wanted:
            return False, None
        if pattern is None:
            return True, None
        match = _search_stream(connection, pattern, args.connect_timeout)
        return match is not None, match
    finally:
        connection.close()


def _search_stream(connection, pattern, timeout_s):
    """What a server says first, searched as it comes, for `timeout_s` seconds at most."""
    said = b""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end and len(said) < _READ_LIMIT:
        connection.settimeout(max(0.05, end - time.monotonic()))
        try:
            chunk = connection.recv(4096)
        except OSError:
            return None
        if not chunk:
            return None
        said += chunk
        match = pattern.search(said)
        if match:
            return match
    return None


def _connections(args):
    """Whether somebody is connected to the port, by the kernel's tables."""
    states = {_CONNECTIONS[state] for state in args.active_connection_states}
    excluded = {_address(address) for host in args.exclude_hosts for address in _addresses(host)}
    mine = {_address(address) for address in _addresses(args.host)} if args.host not in ("0.0.0.0", "::") else None
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (read_text(table, 16 << 20) or "").splitlines()[1:]:
            fields = line.split()
            local, _, port = fields[1].rpartition(":")
            remote = fields[2].rpartition(":")[0]
            if int(port, 16) != args.port or fields[3] not in states or remote in excluded:
                continue
            if mine is None or local in mine or set(local) == {"0"}:
                return True
    return False


def _addresses(host):
    try:
        return {(entry[0], entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return set()


def _address(address):
    """An address as /proc/net/tcp has it: 32-bit words in the machine's byte order."""
    family, text = address
    raw = socket.inet_pton(family, text.partition("%")[0])
    import sys

    words = [raw[i : i + 4] for i in range(0, len(raw), 4)]
    if sys.byteorder == "little":
        words = [word[::-1] for word in words]
    return b"".join(words).hex().upper()


def _what(args):
    if args.path is not None:
        what = "{}{}".format(args.path, " to be absent" if args.state == "absent" else "")
    else:
        ending = {"stopped": " to stop", "absent": " to stop", "drained": " to drain"}.get(args.state, "")
        what = "{}:{}{}".format(args.host, args.port, ending)
    return "'{}' in {}".format(args.search_regex, what) if args.search_regex else what


def _data(args, started, match):
    def text(value):
        return value.decode("utf-8", "replace") if value is not None else None

    data = {
        "state": args.state,
        "port": args.port,
        "path": args.path,
        "search_regex": args.search_regex,
        "elapsed": int(time.monotonic() - started),
        "match_groups": [text(group) for group in match.groups()] if match else [],
        "match_groupdict": {name: text(group) for name, group in match.groupdict().items()} if match else {},
    }
    if args.path is not None and os.path.lexists(device_path(args.path)):
        # As of every result that names a path: `state` is then what lies there.
        data.update(describe(args.path))
    return data
