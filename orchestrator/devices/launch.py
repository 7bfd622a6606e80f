"""Starts the agent on a device, and brings it there first where it is missing: one exec channel for both."""

from __future__ import annotations

import errno
import json
import secrets
import shlex
import time
from dataclasses import dataclass, field
from typing import Any

from orchestrator.devices.archive import Archive, bootstrap_token
from orchestrator.devices.link import Link, Process
from orchestrator.errors import ActionError, ConnectError, FleetError, ProtocolError

START_TIMEOUT_S = 60.0  # a Nano under load takes seconds to start Python
PUSH_TIMEOUT_S = 300.0  # unpacking and compiling on a slow SD card
PROTOCOL = 1
SYSTEM_PYTHON = "/usr/bin/python3"  # TensorRT's bindings exist for the system's Python only
NOISE_BYTES = 4096

# One line for any login shell; no single quote, no newline, no `!`. $1 nonce, $2 digest, $3 python, $4 fleet_root,
# $5 bootstrap.py. It costs nothing beyond the shell itself where the agent lies there already.
_START = (
    'p="$3"; case "$p" in "~/"*) p="$HOME/${p#??}";; esac; '
    'if command -v "$p" >/dev/null 2>&1; then :; '
    'else printf "\\n%s {\\"failure\\": \\"no python\\"}\\n" "$1"; exit 127; fi; '
    'a="$HOME/.cache/fleet/agent/$2/device_agent"; '
    'if [ -f "$a/__main__.py" ]; then exec "$p" "$a" serve --nonce "$1" --root "$4"; fi; '
    'exec "$p" -c "import base64,sys,zlib;exec(zlib.decompress(base64.b64decode(sys.argv[1])))" "$5" "$1" "$2" "$4"'
)


@dataclass
class Started:
    """A running agent: its process, its greeting, and what was read beyond the greeting."""

    process: Process
    greeting: dict[str, Any]
    rest: bytes
    pushed: bool
    """Whether the agent had to be brought to the device."""
    complaints: Complaints = field(repr=False)


class Complaints:
    """The last kilobytes of an agent's standard error."""

    def __init__(self) -> None:
        self._tail = b""

    def add(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-NOISE_BYTES:]

    def lines(self) -> list[str]:
        return [line.strip() for line in self._tail.decode("utf-8", "replace").splitlines() if line.strip()]

    def last(self) -> str:
        return self.lines()[-1] if self._tail.strip() else ""


def interpreter(setting: str | None) -> str:
    """The device's Python: the inventory's, unless it leaves the choice to us as Ansible's `auto` does."""
    return SYSTEM_PYTHON if not setting or setting.startswith("auto") else setting


def command_line(nonce: str, digest: str, python: str, root: str) -> str:
    words = ["exec", "sh", "-c", _START, "fleet", nonce, digest, python, root, bootstrap_token()]
    return " ".join(shlex.quote(word) for word in words)


def launch(link: Link, archive: Archive, *, python: str, root: str = "auto") -> Started:
    """Start the agent over `link` and wait for its greeting.

    Args:
        python: path of the device's interpreter; `~/` is the device's home.
        root: fleet_root, or `auto`.

    Raises:
        ConnectError: the link was lost, or nothing answered in time.
        ActionError: no Python, a Python too old, a home that is full or read-only, an agent that does not start.
        ProtocolError: the agent is of another protocol.
    """
    nonce = secrets.token_hex(16)
    process = link.start(command_line(nonce, archive.digest, python, root))
    reader = _Greetings(link, process, nonce)
    pushed = False
    try:
        reader.send(f"{nonce}\n".encode())
        message = reader.next(START_TIMEOUT_S)
        if message.get("need") == archive.digest:
            content = archive.zipped()
            reader.send(b"%d\n" % len(content) + content + f"{nonce}\n".encode())
            pushed = True
            message = reader.next(PUSH_TIMEOUT_S)
        if "failure" in message:
            raise _failure(message, python)
        if message.get("protocol") != PROTOCOL:
            why = f"it speaks protocol {message.get('protocol')}, this Fleet speaks {PROTOCOL}"
            raise ProtocolError("the agent on the device is another one", why)
    except FleetError:
        process.close()
        raise
    except (OSError, EOFError) as problem:
        error = reader.ended(str(problem))
        process.close()
        raise error from None
    return Started(process, message, reader.rest, pushed, reader.complaints)


class _Greetings:
    """Reads the lines that carry the nonce and drops all others: banners, `.bashrc` echoes, prompts."""

    def __init__(self, link: Link, process: Process, nonce: str) -> None:
        self._link = link
        self._process = process
        self._mark = f"{nonce} ".encode()
        self.rest = b""
        self._noise = Complaints()
        self.complaints = Complaints()

    def send(self, data: bytes) -> None:
        try:
            self._process.write(data)
        except (OSError, EOFError):
            # It ended already; what it said before, and its exit status, tell more than this.
            pass

    def next(self, timeout_s: float) -> dict[str, Any]:
        """The next message. Raises as `launch`."""
        deadline = time.monotonic() + timeout_s
        while True:
            line, newline, rest = self.rest.partition(b"\n")
            if newline:
                self.rest = rest
                if line.startswith(self._mark):
                    return self._decoded(line[len(self._mark) :])
                self._noise.add(line + b"\n")
                continue
            # An unfinished line may be endless noise; a greeting is short.
            if len(line) > 1 << 20:
                self.rest = b""
            try:
                data = self._process.read()
            except TimeoutError:
                if why := self._link.lost():
                    raise ConnectError(f"lost the connection to {self._link.address}", why) from None
                if time.monotonic() > deadline:
                    raise self._silent(timeout_s) from None
                continue
            if not data:
                raise self.ended("")
            self.rest += data
            if time.monotonic() > deadline:
                raise self._silent(timeout_s)

    def _decoded(self, text: bytes) -> dict[str, Any]:
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise ProtocolError("the agent's greeting is garbage", text[:200].decode("utf-8", "replace"))
        return message

    def _silent(self, timeout_s: float) -> FleetError:
        why = f"the login works, but nothing came for {timeout_s:.0f} s"
        if said := self._noise.last():
            why += f"; last it said: {said}"
        return ConnectError("the agent does not start", why, "look for a .bashrc that waits, or an overloaded device")

    def ended(self, why: str) -> FleetError:
        """The error for a stream that ended before the greeting."""
        if lost := self._link.lost():
            if said := self._noise.last():
                lost += f"; last it said: {said}"
            return ConnectError(f"lost the connection to {self._link.address}", lost)
        self._collect_complaints()
        said = self.complaints.last() or self._noise.last()
        status = self._process.exit_status()
        if "SyntaxError" in said:
            return _too_old(said)
        why = said or why or "its output ended at once"
        if status is not None:
            why += f" (exit status {status})"
        remedy = "check that the login user has a usual shell and that `ssh HOST true` works"
        return ActionError("the agent does not start", why, remedy)

    def _collect_complaints(self) -> None:
        deadline = time.monotonic() + 1
        try:
            while time.monotonic() < deadline and (data := self._process.read_error()):
                self.complaints.add(data)
        except (OSError, ValueError):
            pass


def _too_old(why: str) -> ActionError:
    remedy = "set ansible_python_interpreter to a Python 3.6 or newer"
    return ActionError("the device's Python is too old for the agent", why, remedy)


def _failure(message: dict[str, Any], python: str) -> FleetError:
    """The error for what the start line or bootstrap.py said."""
    kind, why = message["failure"], str(message.get("why", ""))
    if kind == "no python":
        why = f"there is no {python}"
        return ActionError("no Python on the device", why, "install python3, or set ansible_python_interpreter")
    if kind == "python":
        return _too_old(why)
    if kind == "write":
        remedies = {
            errno.ENOSPC: "free some space in the login user's home",
            errno.EDQUOT: "free some space in the login user's home",
            errno.EROFS: "the file system was mounted or remounted read-only; look into the kernel log",
            errno.EACCES: "let the login user own its home and ~/.cache",
        }
        remedy = remedies.get(message.get("errno", 0), "check the login user's home on the device")
        return ActionError("cannot put the agent into ~/.cache/fleet", why, remedy)
    return ActionError("cannot unpack the agent on the device", why, "try again; if it stays, check the device's disk")
