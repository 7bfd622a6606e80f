"""Which host keys are trusted: Fleet's own known_hosts file, then the user's, which is only read."""

from __future__ import annotations

import base64
import binascii
import contextlib
import fnmatch
import hashlib
import hmac
import os
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import ChangedHostKeyError, ConfigurationError

USER_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts")


@dataclass(frozen=True)
class HostKey:
    """A public host key: its type (`ssh-ed25519`, ...) and its base64 text."""

    type: str
    base64: str

    @property
    def fingerprint(self) -> str:
        """`SHA256:...` as `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.base64)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def __str__(self) -> str:
        return f"{self.type} {self.fingerprint}"


@dataclass(frozen=True)
class Known:
    """What is known of one name."""

    keys: tuple[HostKey, ...] = ()
    revoked: tuple[HostKey, ...] = ()
    source: str = ""
    """The file that the keys stand in."""


@dataclass(frozen=True)
class Trusted:
    """What `trust` did to the file."""

    added: tuple[HostKey, ...] = ()
    removed: tuple[HostKey, ...] = ()
    unchanged: tuple[HostKey, ...] = ()


@dataclass(frozen=True)
class _Line:
    text: str
    patterns: tuple[str, ...] = ()
    key: HostKey | None = None
    marker: str = field(default="")

    def names(self, name: str) -> bool:
        matched = False
        for pattern in self.patterns:
            if pattern.startswith("!"):
                if fnmatch.fnmatchcase(name, _glob(pattern[1:])):
                    return False
            elif pattern.startswith("|1|"):
                matched = matched or _hash_matches(pattern, name)
            elif fnmatch.fnmatchcase(name, _glob(pattern)):
                matched = True
        return matched


def lookup_name(host: str, port: int, alias: str | None = None) -> str:
    """The name under which a host's keys stand: its alias, `host`, or `[host]:port` off port 22."""
    if alias:
        return alias.lower()
    return host.lower() if port == 22 else f"[{host.lower()}]:{port}"


def _glob(pattern: str) -> str:
    # In known_hosts only * and ? are special; brackets belong to `[host]:port`.
    return pattern.lower().replace("[", "[[]")


def _hash_matches(pattern: str, name: str) -> bool:
    try:
        _, _, salt, digest = pattern.split("|")
        wanted = hmac.new(base64.b64decode(salt), name.encode(), "sha1").digest()
        return hmac.compare_digest(wanted, base64.b64decode(digest))
    except (ValueError, binascii.Error):
        return False


def _parse(text: str) -> _Line:
    fields = text.split()
    marker = ""
    if fields and fields[0].startswith("@"):
        marker = fields.pop(0)
    # A line that cannot be read trusts nobody; it is kept as it is when the file is rewritten.
    if len(fields) < 3 or fields[0].startswith("#"):
        return _Line(text)
    try:
        base64.b64decode(fields[2], validate=True)
    except binascii.Error:
        return _Line(text)
    return _Line(text, tuple(fields[0].split(",")), HostKey(fields[1], fields[2]), marker)


class KnownHosts:
    """The trusted keys of all hosts; safe to use from many threads, and by several processes.

    Where Fleet's own file knows a name, it alone decides: so that `fleet trust --replace` holds although
    the user's own file still has the old key.

    Args:
        path: Fleet's file; made when the first key is added.
        read_only: files consulted for names that `path` does not have.
    """

    def __init__(self, path: str | Path | None = None, read_only: Sequence[str | Path] = USER_FILES) -> None:
        self.path = Path(path) if path else Path(os.environ.get("FLEET_HOME") or ".fleet") / "known_hosts"
        self._read_only = [Path(file).expanduser() for file in read_only]
        self._lock = threading.Lock()

    def lookup(self, name: str) -> Known:
        """The keys trusted for `name` (see `lookup_name`), and those revoked for it."""
        revoked: list[HostKey] = []
        found: Known | None = None
        for file in (self.path, *self._read_only):
            keys = []
            for line in self._lines(file):
                if line.key is None or not line.names(name.lower()):
                    continue
                if line.marker == "@revoked":
                    revoked.append(line.key)
                elif not line.marker:
                    keys.append(line.key)
            if keys and found is None:
                found = Known(tuple(keys), source=str(file))
        found = found or Known()
        return Known(tuple(key for key in found.keys if key not in revoked), tuple(revoked), found.source)

    def add(self, name: str, key: HostKey) -> None:
        """Append one key; nothing happens if it stands there already."""
        self.trust(name, [key], add_types=True)

    def trust(self, name: str, keys: Iterable[HostKey], replace: bool = False, *, add_types: bool = False) -> Trusted:
        """Trust `keys` for `name` from now on.

        Args:
            name: as `lookup_name` gives it.
            keys: what the device offers, one per type.
            replace: drop the keys that Fleet's file has for `name` and are not among `keys`.
            add_types: take keys of a type not seen before although others are known.

        Raises:
            ChangedHostKeyError: other keys are known and `replace` is not set; nothing was written.
            ConfigurationError: the file cannot be written.
        """
        offered = tuple(keys)
        with self._lock, self._file_lock():
            known = self.lookup(name).keys
            new = tuple(key for key in offered if key not in known)
            same = tuple(key for key in offered if key in known)
            types = {key.type for key in known}
            clash = (known and not same and not add_types) or any(key.type in types for key in new)
            if clash and not replace:
                raise changed(name, new[0], known, self.lookup(name).source)
            gone = tuple(key for key in known if key not in offered) if replace else ()
            if gone:
                # All keys are written anew: old ones in the user's file are overridden by a full entry in ours only.
                self._rewrite(name, offered)
                return Trusted(new, gone, same)
            if new:
                self._append(name, new)
            return Trusted(new, (), same)

    def _lines(self, file: Path) -> list[_Line]:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return [_parse(line) for line in text.splitlines()]

    @contextlib.contextmanager
    def _file_lock(self) -> Iterator[None]:
        import fcntl

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with (self.path.parent / "known_hosts.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as problem:
            why = problem.strerror or str(problem)
            raise ConfigurationError(f"cannot write {self.path}", why, "set FLEET_HOME to a folder of yours") from None

    def _append(self, name: str, keys: Iterable[HostKey]) -> None:
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        start = "\n" if text and not text.endswith("\n") else ""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(start + "".join(f"{name} {key.type} {key.base64}\n" for key in keys))

    def _rewrite(self, name: str, keys: Iterable[HostKey]) -> None:
        kept = []
        for line in self._lines(self.path):
            if line.key is None or line.marker or not line.names(name):
                kept.append(line.text)
                continue
            # A line may name several hosts; the others keep their key.
            others = [pattern for pattern in line.patterns if pattern.lower() != name and not pattern.startswith("|1|")]
            if others and _Line("", tuple(others)).names(name):
                others.insert(0, f"!{name}")
            if others:
                kept.append(f"{','.join(others)} {line.key.type} {line.key.base64}")
        kept += [f"{name} {key.type} {key.base64}" for key in keys]
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix="known_hosts.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write("\n".join(kept) + "\n")
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(self.path)


class PinnedKey(KnownHosts):
    """One key that is known beforehand, for a device that was made here; nothing is read or written."""

    def __init__(self, line: str, source: str) -> None:
        """`line` is `type base64`; `source` says in messages where the key comes from."""
        super().__init__(source, ())
        kind, text = line.split()[:2]
        self._known = Known((HostKey(kind, text),), source=source)

    def lookup(self, name: str) -> Known:
        return self._known

    def trust(self, name: str, keys: Iterable[HostKey], replace: bool = False, *, add_types: bool = False) -> Trusted:
        return Trusted(unchanged=self._known.keys)


def changed(
    name: str, offered: HostKey, known: Sequence[HostKey], source: str, device: str = "", remedy: str = ""
) -> ChangedHostKeyError:
    """The error for a device whose key is not the one we trusted."""
    expected = ", ".join(map(str, known))
    return ChangedHostKeyError(
        f"the host key of {name} has changed",
        f"it offers {offered}, trusted is {expected} ({source}): it was flashed anew, or someone sits in between",
        remedy or f"fleet trust --replace {device or name}",
        device=device or None,
    )
