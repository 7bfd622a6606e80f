"""Engines on the device and their passports."""

import os

from ..arguments import NAME, Mapping, Sequence, Text, accepts
from ..errors import ActionError
from ..files import make_folder, merge_json, read_json, sha256_of, write_json
from ..results import Result

_KEY = Text(pattern=NAME, allowed="an engine key")


@accepts(keys=Sequence(_KEY, default=None))
def engines(args, context):
    """What engines there are, and whether their bytes are still those of their passports.

    args:
        keys ([str]): these only; all by default
    data:
        engines ({key: {"passport": dict or None, "present": bool, "intact": bool}}): present tells of the engine file;
            a rung that failed has a passport alone
    """
    root = context.root
    keys = args.keys
    if keys is None:
        keys = sorted(name for name in _names(root.engines) if not name.startswith("."))
    memory = _Verified(root)
    found = {}
    for key in keys:
        passport = read_json(root.passport(key))
        present = os.path.isfile(root.engine(key))
        wanted = engine_digest(passport)
        intact = bool(present and wanted and memory.digest(root.engine(key)) == wanted)
        found[key] = {
            "passport": passport if isinstance(passport, dict) else None,
            "present": present,
            "intact": intact,
        }
    memory.save()
    return Result(data={"engines": found})


@accepts(key=_KEY, passport=Mapping())
def passport_write(args, context):
    """Merge top-level keys into an engine's passport, by rename.

    data:
        passport (dict): all of it afterwards
    """
    path = context.root.passport(args.key)
    if args.passport.get("key", args.key) != args.key:
        raise ActionError("the passport is of another engine", str(args.passport["key"]), kind="refused")
    before = read_json(path, {})
    before = before if isinstance(before, dict) else {}
    after = dict(before, **args.passport)
    if not context.check and after != before:
        make_folder(os.path.dirname(path))
        _, after = merge_json(path, args.passport)
    return Result(after != before, {"passport": after})


def engine_digest(passport):
    """The sha256 that a passport gives its engine, or None."""
    engine = passport.get("engine") if isinstance(passport, dict) else None
    digest = engine.get("sha256") if isinstance(engine, dict) else None
    return digest if isinstance(digest, str) else None


def _names(folder):
    try:
        return os.listdir(folder)
    except OSError:
        return []


class _Verified(object):
    """Digests of files that have not changed since they were hashed; hashing a large engine takes seconds on a Nano.

    A file is taken for unchanged where inode, size, mtime and ctime are. Activation does not rely on it.
    """

    def __init__(self, root):
        self._path = os.path.join(root.cache, "engines.json")
        known = read_json(self._path)
        self._known = known if isinstance(known, dict) else {}
        self._seen = {}

    def digest(self, path):
        status = os.stat(path)
        stamp = [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
        entry = self._known.get(path)
        if not isinstance(entry, dict) or entry.get("stamp") != stamp:
            entry = {"stamp": stamp, "sha256": sha256_of(path)}
        self._seen[path] = entry
        return entry["sha256"]

    def save(self):
        if all(self._known.get(path) == entry for path, entry in self._seen.items()):
            return
        kept = {path: entry for path, entry in self._known.items() if os.path.exists(path)}
        try:
            make_folder(os.path.dirname(self._path))
            write_json(self._path, dict(kept, **self._seen))
        except OSError:
            pass  # only a memory
