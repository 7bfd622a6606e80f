"""One trtexec binary of the device: where it is, its version and its flags."""

import os
import re

from .. import files, process
from ..errors import JobError
from . import flags

# `command -v` order of a board: JetPack 4.4 to 6 have it under /usr/src/tensorrt, JetPack 7 in /usr/bin.
PLACES = ("trtexec", "/usr/src/tensorrt/bin/trtexec", "/usr/bin/trtexec", "/usr/local/bin/trtexec")
HELP_TIMEOUT_S = 60

_BANNER = re.compile(r"&&&& \w+ TensorRT\.trtexec(?: \[TensorRT v(\d+)\])?")
_HELP_FLAGS = re.compile(r"^\s*(-[-\w]+(?:[ \t]*,[ \t]*-[-\w]+)*)")
_FLAG = re.compile(r"--?[A-Za-z]\w*")


class Tool(object):
    """A trtexec that can be run.

    attributes:
        path (str): as found on this machine
        version (tuple or None): (major, minor, patch), None before 8.0 (its banner names no version) and where unread
        flags (frozenset): what it takes
        all_flags (bool): `flags` is everything it takes; false where they come from our table of the flags that we use
    """

    def __init__(self, path, version, has, all_flags=True):
        self.path = path
        self.version = version
        self.flags = has
        self.all_flags = all_flags

    @property
    def int64_bindings(self):
        """Whether an int64 input of the ONNX file stays int64 in the engine (10.0 on); before, it becomes int32."""
        return "--allowWeightStreaming" in self.flags

    @property
    def name(self):
        return "trtexec {}".format(".".join(str(n) for n in self.version)) if self.version else "trtexec"


def find(root, fact=None, known_flags=None, version=None):
    """The device's trtexec.

    args:
        root (Root): remembers what a binary's help said, which takes a second to print on a small board
        fact (str, dict or None): the path that the facts gave, or that fact itself (path, version); else usual places
        known_flags (list or None): its flags, if the caller knows them; `--help` is read otherwise
        version (str or None): "8.2.1", used where neither flags nor help are to be had
    raises:
        JobError (tool): there is none, or nothing is known of its flags
    """
    if isinstance(fact, dict):
        version = version or fact.get("version")
        fact = fact.get("path")
    found = _located(fact)
    number = parse_version(version)
    has = frozenset(known_flags or ())
    tail = []
    if "--loadEngine" not in has:
        has, said, tail = _help(root, found)
        number = number or said
    listed = "--loadEngine" in has
    if not listed and number:
        has = flags.of_release(number)
    if "--loadEngine" not in has:
        raise JobError(
            "tool",
            "trtexec does not say what it can do",
            "`{} --help` lists no flags and its version is unknown".format(found),
            "run it by hand on the device: a missing library is the usual cause",
            tail=tail,
        )
    return Tool(found, number, has, listed)


def _located(path):
    # A path from the facts is already as this process reaches it; one that a person gave may be the device's own.
    if path and os.path.isfile(path) and os.access(path, os.X_OK):
        return path
    found = process.find_tool(*([path] if path else PLACES))
    if not found:
        raise JobError(
            "tool",
            "trtexec not found",
            "looked at {}".format(path or ", ".join(PLACES)),
            "install libnvinfer-bin, or build /usr/src/tensorrt/samples/trtexec on JetPack 4.3 and older",
        )
    return found


def _help(root, path):
    """(flags, version, last lines) from `--help`, remembered for as long as the binary does not change."""
    memory = os.path.join(root.cache, "trtexec-flags.json")
    status = os.stat(path)
    stamp = [path, status.st_size, status.st_mtime_ns]
    known = files.read_json(memory)
    if isinstance(known, dict) and known.get("stamp") == stamp:
        return frozenset(known["flags"]), parse_version(known["version"]), []
    text = process.capture([path, "--help"], timeout_s=HELP_TIMEOUT_S, merge=True).stdout
    has, version = read_help(text), banner_version(text)
    if "--loadEngine" in has:
        try:
            files.make_folder(root.cache)
            said = ".".join(str(n) for n in version) if version else None
            files.write_json(memory, {"stamp": stamp, "flags": sorted(has), "version": said})
        except OSError:
            pass  # only a memory
    return has, version, text.splitlines()[-20:]


def read_help(text):
    """The flags that a help text defines: those that begin a line, not those that a description mentions."""
    has = set()
    for line in text.splitlines():
        match = _HELP_FLAGS.match(line)
        if match:
            has.update(_FLAG.findall(match.group(1)))
    return frozenset(has)


def parse_version(text):
    """ "8.2.1.9" as (8, 2, 1), or None."""
    numbers = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text or "")
    return tuple(int(n or 0) for n in numbers.groups()) if numbers else None


def banner_version(text):
    """(8, 2, 1) from `[TensorRT v8201]`, (10, 3, 0) from `[TensorRT v100300]`, None where there is none (7.x)."""
    match = _BANNER.search(text)
    if not match or not match.group(1):
        return None
    number = int(match.group(1))
    # Four digits up to 8.x (major * 1000), six from 10 (major * 10000): 8.6.1 is v8601 and 10.3.0 is v100300.
    thousand = 10000 if number >= 100000 else 1000
    return number // thousand, number % thousand // 100, number % 100
