"""The parts of a job's spec that become paths on the device, checked before they do."""

import os
import re

from ..arguments import NAME, SHA256
from ..errors import JobError


def require(spec, *fields):
    """Refuse a spec that lacks one of these fields. raises: JobError (spec)."""
    for field in fields:
        if spec.get(field) is None:
            raise JobError("spec", "the job's spec lacks '{}'".format(field), "needed: {}".format(", ".join(fields)))


def engine_key(spec):
    """The engine's key, which names its folder. raises: JobError (spec)."""
    require(spec, "key")
    return _name(spec["key"], "an engine key")


def timing_bucket(spec):
    """The name of the timing cache, or None. raises: JobError (spec)."""
    bucket = spec.get("timing_cache")
    return _name(bucket, "the name of a timing cache") if bucket else None


def blob(job, digest, title):
    """The path of a blob that is on the device. raises: JobError (spec)."""
    if not isinstance(digest, str) or not re.match(SHA256 + r"\Z", digest):
        raise JobError("spec", "{} is no digest".format(title), "{!r} is not 64 hexadecimal digits".format(digest))
    path = job.root.blob(digest)
    if not os.path.isfile(path):
        raise JobError("spec", "{} is not on the device".format(title), "blob {}".format(digest), "push it first")
    return path


def _name(text, noun):
    if not isinstance(text, str) or not re.match(NAME + r"\Z", text):
        raise JobError("spec", "{!r} is not {}".format(text, noun), "allowed: letters, digits and . _ + @ = -")
    return text
