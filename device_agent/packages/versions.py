"""Python's versions and requirements, as far as what is installed is compared with what is asked for (PEP 440, 508)."""

import re
from collections import namedtuple

Requirement = namedtuple("Requirement", "name specifiers")
"""name is normalised; specifiers: [(operator, version)]."""

_VERSION = re.compile(
    r"v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d*))?"
    r"(?:-(\d+)|[-_.]?(?:post|rev|r)[-_.]?(\d*))?(?:[-_.]?dev[-_.]?(\d*))?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?\Z",
    re.IGNORECASE,
)
_REQUIREMENT = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*\(?([^;()]*)\)?\s*\Z")
_FINAL = (9, 0)
_SPECIFIER = re.compile(r"(===|==|!=|>=|<=|~=|>|<)\s*([^\s,]+)\Z")


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_requirement(text):
    """The Requirement of `name`, `name==1.2`, `name[extra]>=1,<2`; None for what only pip can judge (a URL, a path,
    a marker, an option)."""
    match = _REQUIREMENT.match(text.strip())
    if not match:
        return None
    specifiers = []
    for part in match.group(2).split(","):
        if not part.strip():
            continue
        specifier = _SPECIFIER.match(part.strip())
        if not specifier:
            return None
        operator, version = specifier.groups()
        bare = version[:-2] if version.endswith(".*") and operator in ("==", "!=") else version
        if operator != "===" and parse_version(bare) is None:
            return None
        specifiers.append((operator, version))
    return Requirement(normalised(match.group(1)), specifiers)


def parse_version(text):
    """A key that sorts as versions do, or None for what is no version."""
    match = _VERSION.match(text.strip())
    if not match:
        return None
    epoch, release, phase, phase_number, post_dash, post_number, dev, local = match.groups()
    numbers = [int(part) for part in release.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    has_post = post_dash is not None or post_number is not None
    post = int(post_dash or post_number or 0) if has_post else -1
    if phase:
        letter = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}.get(phase.lower(), phase.lower())
        stage = ("abr".index(letter[0]), int(phase_number or 0))
    elif dev is not None and not has_post:
        stage = (-1, 0)
    else:
        stage = _FINAL
    dev_key = int(dev or 0) if dev is not None else float("inf")
    local_key = [(1, int(p), "") if p.isdigit() else (0, 0, p.lower()) for p in re.split(r"[-_.]", local or "") if p]
    return (int(epoch or 0), numbers, stage, post, dev_key, local_key)


def satisfies(version, specifiers):
    """Whether an installed version is one of those asked for; None where it cannot be told."""
    installed = parse_version(version)
    for operator, wanted in specifiers:
        if operator == "===":
            if version != wanted:
                return False
            continue
        if installed is None:
            return None
        if not _holds(installed, operator, wanted):
            return False
    return True


def _holds(installed, operator, wanted):
    if wanted.endswith(".*"):
        prefix = _release(wanted[:-2])
        same = _release_of(installed, len(prefix)) == prefix
        return same if operator == "==" else not same
    if operator == "~=":
        prefix = _release(wanted)[:-1]
        return installed >= parse_version(wanted) and _release_of(installed, len(prefix)) == prefix
    key = parse_version(wanted)
    # A local version (+cu102) counts only where the one asked for has one too.
    if not key[5]:
        installed = installed[:5] + ([],)
    same_release = installed[:2] == key[:2]
    if operator == ">" and same_release and installed[3] >= 0 and key[3] < 0:
        return False  # 1.0.post1 is not meant by >1.0
    if operator == "<" and same_release and installed[3] == key[3] and _is_pre(installed) and not _is_pre(key):
        return False  # nor 1.0rc1 by <1.0
    return {
        "==": installed == key,
        "!=": installed != key,
        ">=": installed >= key,
        "<=": installed <= key,
        ">": installed > key,
        "<": installed < key,
    }[operator]


def _is_pre(key):
    return key[2] != _FINAL or key[4] != float("inf")


def _release(text):
    release = re.match(r"v?(?:\d+!)?(\d+(?:\.\d+)*)", text).group(1)
    return [int(part) for part in release.split(".")]


def _release_of(key, length):
    return (key[1] + [0] * length)[:length]
