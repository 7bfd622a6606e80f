"""The dpkg database: what is installed, in which state, and which of two versions is the newer."""

import fnmatch
import re
from collections import namedtuple

from ..errors import ActionError
from ..process import capture, find_tool

Package = namedtuple("Package", "name architecture version status provides")
"""status: dpkg's letters, `ii` for installed, `iF` half-configured, `rc` removed, `hi` held; provides: [name]."""

_FORMAT = "${Package}\t${Architecture}\t${Version}\t${db:Status-Abbrev}\t${Provides}\n"
_STATES = {
    "U": "unpacked but not configured",
    "F": "half-configured",
    "H": "half-installed",
    "W": "waiting for triggers",
    "t": "triggers pending",
}


class Database(object):
    """A snapshot of all packages that dpkg knows. raises: ActionError where there is no dpkg."""

    def __init__(self):
        tool = find_tool("/usr/bin/dpkg-query", "dpkg-query")
        if tool is None:
            raise ActionError("there is no dpkg-query on this device", "apt is for Debian and Ubuntu", kind="refused")
        output = capture([tool, "-W", "-f", _FORMAT], timeout_s=120)
        if output.rc not in (0, 1):
            raise ActionError("the package database cannot be read", output.stderr.strip(), "run 'dpkg --audit'")
        self.packages = [_parse(line) for line in output.stdout.splitlines() if line.count("\t") >= 3]
        self._native = next((p.architecture for p in self.packages if p.name in ("dpkg", "nvidia-l4t-core")), None)

    def installed(self):
        """{name or name:arch of a foreign architecture: version} of what is installed."""
        return {self._key(p): p.version for p in self.packages if _is_installed(p)}

    def version(self, name):
        """The installed version of `name` or `name:arch`, or None."""
        name, _, architecture = name.partition(":")
        for package in self.packages:
            if package.name == name and _is_installed(package) and architecture in ("", "any", package.architecture):
                return package.version
        return None

    def has_configuration(self, name):
        """Removed, and its configuration files are still there."""
        return any(p.name == name.partition(":")[0] and p.status[1:2] == "c" for p in self.packages)

    def providers(self, name):
        """Installed packages that provide the virtual package `name`."""
        return [p.name for p in self.packages if _is_installed(p) and name in p.provides]

    def matching(self, pattern):
        """Names of installed packages that match a wildcard."""
        return sorted({p.name for p in self.packages if _is_installed(p) and fnmatch.fnmatchcase(p.name, pattern)})

    def unfinished(self):
        """[(name, what is wrong with it)] of packages that dpkg has not finished with."""
        return [(p.name, _STATES[p.status[1]]) for p in self.packages if p.status[1:2] in _STATES]

    def _key(self, package):
        native = package.architecture in ("all", self._native) or self._native is None
        return package.name if native else "{}:{}".format(package.name, package.architecture)


def _parse(line):
    name, architecture, version, status, provides = (line.split("\t") + [""])[:5]
    names = [re.split(r"[ (:]", part.strip())[0] for part in provides.split(",") if part.strip()]
    return Package(name, architecture, version, status, names)


def _is_installed(package):
    # Half-configured and waiting packages are there with their files; apt counts them as installed too.
    return package.status[1:2] in ("i", "F", "W", "t", "U")


def changes(before, after):
    """A diff of two `installed()`: only what differs, one `name version` a line."""
    names = sorted(name for name in set(before) | set(after) if before.get(name) != after.get(name))
    if not names:
        return None
    return tuple("".join("{} {}\n".format(n, side[n]) for n in names if n in side) for side in (before, after))


def compare(left, right):
    """Debian's order of two versions: negative, zero or positive."""
    one, two = _split(left), _split(right)
    if one[0] != two[0]:
        return one[0] - two[0]
    return _compare_part(one[1], two[1]) or _compare_part(one[2], two[2])


def _split(version):
    epoch, _, rest = version.rpartition(":")
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return int(epoch) if epoch.isdigit() else 0, upstream, revision


def _compare_part(left, right):
    while left or right:
        one, two = re.match(r"\D*", left).group(), re.match(r"\D*", right).group()
        weights = [[_weight(character) for character in text] + [0] for text in (one, two)]
        if weights[0] != weights[1]:
            return -1 if weights[0] < weights[1] else 1
        left, right = left[len(one) :], right[len(two) :]
        one, two = re.match(r"\d*", left).group(), re.match(r"\d*", right).group()
        if int(one or 0) != int(two or 0):
            return int(one or 0) - int(two or 0)
        left, right = left[len(one) :], right[len(two) :]
    return 0


def _weight(character):
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
