"""Activate proved engines for an application, and go back to earlier ones."""

import os
import time

from .. import releases
from ..arguments import NAME, Integer, Record, Sequence, Text, accepts
from ..errors import ActionError
from ..files import make_folder, read_json, sha256_of
from ..results import Result
from .engines import engine_digest

_NAME = Text(pattern=NAME, allowed="a name of letters, digits and . _ + @ = -, at most 200")


@accepts(models=Sequence(_NAME, default=None))
def release_status(args, context):
    """What is in force.

    data:
        models ({name: {"current": release or None, "releases": [release, oldest first], "engines": those of current}});
            each engine has key, file, sha256, and present: whether its file is still in the release
    """
    root = context.root
    status = {}
    for model in releases.models(root) if args.models is None else args.models:
        now = releases.current(root, model)
        document = releases.describe(root, model, now) if now else None
        engines = []
        for entry in document.get("engines", []) if document else []:
            present = os.path.isfile(os.path.join(root.releases(model), now, entry["file"]))
            engines.append(dict(entry, present=present))
        status[model] = {"current": now, "releases": releases.all_releases(root, model), "engines": engines}
    return Result(data={"models": status})


@accepts(
    model=_NAME,
    engines=Sequence(Record(key=_NAME, file=_NAME), minimum=1),
    release=_NAME,
    keep=Integer(default=3, minimum=1),
)
def release_activate(args, context):
    """Make engines the current release of a model, in one atomic step.

    args:
        engines ([{"key", "file"}]): engine keys, and the file name that each gets in the release
        release (str): the new release's name
        keep (int): how many releases stay; the current one always does
    data:
        release (str): in force afterwards; an older one where it holds these very engines already
        previous (str or None), path (str): of `current`, removed ([str])
    raises:
        ActionError: an engine is missing, has no passing verdict, or other bytes than its passport says
    """
    root = context.root
    names = [entry["file"] for entry in args.engines]
    if len(set(names)) != len(names) or "release.json" in names:
        raise ActionError("release_activate: argument 'engines' names a file twice", kind="refused", argument="engines")
    proved = [(entry, _proved(root, args.model, entry)) for entry in args.engines]
    wanted = [
        {"key": entry["key"], "file": entry["file"], "sha256": passport["engine"]["sha256"]}
        for entry, passport in proved
    ]
    if context.check:
        previous = releases.current(root, args.model)
        changed = previous is None or not _holds(root, args.model, previous, wanted)
        return Result(changed, _data(root, args.model, args.release if changed else previous, previous, []))
    make_folder(root.releases(args.model))
    with releases.locked(root, args.model):
        previous = releases.current(root, args.model)
        if previous is not None and _holds(root, args.model, previous, wanted):
            return Result(False, _data(root, args.model, previous, previous, []))
        if releases.describe(root, args.model, args.release) is None:
            document = {"release": args.release, "model": args.model, "created": time.time(), "engines": wanted}
            sources = [(root.engine(entry["key"]), entry["file"], passport) for entry, passport in proved]
            releases.create(root, args.model, document, sources)
        elif not _holds(root, args.model, args.release, wanted):
            raise ActionError(
                "release {} of {} exists with other engines".format(args.release, args.model),
                remedy="choose another release name",
                kind="refused",
            )
        releases.switch(root, args.model, args.release)
        removed = releases.clean(root, args.model, args.keep)
    diff = (previous or "none", args.release)
    return Result(True, _data(root, args.model, args.release, previous, removed), diff)


@accepts(model=_NAME, to=Text(default=None, pattern=NAME))
def release_rollback(args, context):
    """Go back to an earlier release.

    args:
        to (str): which; by default the newest that is older than the current one
    data:
        release, previous, path: as for release_activate
    """
    root = context.root
    previous = releases.current(root, args.model)
    names = releases.all_releases(root, args.model)
    target = args.to
    if target is None:
        older = names[: names.index(previous)] if previous in names else names
        if not older:
            raise ActionError(
                "{} has no earlier release".format(args.model),
                "releases: {}".format(", ".join(names) or "none"),
                "deploy it again",
            )
        target = older[-1]
    if target not in names:
        raise ActionError(
            "{} has no release {}".format(args.model, target),
            "releases: {}".format(", ".join(names) or "none"),
            kind="refused",
            argument="to",
        )
    if target == previous:
        return Result(False, _data(root, args.model, target, previous, []))
    for entry in releases.describe(root, args.model, target)["engines"]:
        _check_bytes(os.path.join(root.releases(args.model), target, entry["file"]), entry["sha256"], entry["file"])
    if not context.check:
        with releases.locked(root, args.model):
            releases.switch(root, args.model, target)
    return Result(True, _data(root, args.model, target, previous, []), (previous or "none", target))


def _data(root, model, release, previous, removed):
    return {"release": release, "previous": previous, "path": root.current(model), "removed": removed}


def _holds(root, model, release, wanted):
    """Whether a release is made of just these engines and still has their bytes."""
    document = releases.describe(root, model, release)
    folder = os.path.join(root.releases(model), release)
    return (
        document is not None
        and document.get("engines") == wanted
        and all(_same_bytes(root, os.path.join(folder, entry["file"]), entry) for entry in wanted)
    )


def _same_bytes(root, path, entry):
    """Whether a file of a release is the engine it was made of; the engine itself was hashed a moment ago."""
    if not os.path.isfile(path):
        return False
    return os.path.samefile(path, root.engine(entry["key"])) or sha256_of(path) == entry["sha256"]


def _proved(root, model, entry):
    """The passport of an engine that may be activated. raises: ActionError."""
    key = entry["key"]
    passport = read_json(root.passport(key))
    if not isinstance(passport, dict) or passport.get("key", key) != key:
        raise ActionError(
            "engine {} of {} has no passport".format(key[:12], model),
            "",
            "deploy the model again",
            kind="refused",
            key=key,
        )
    verdict = passport.get("verdict")
    if not isinstance(verdict, dict) or verdict.get("passed") is not True:
        raise ActionError(
            "engine {} of {} has no passing verdict".format(key[:12], model),
            "it was never compared with the reference" if not verdict else "its outputs are wrong",
            "nothing was activated; see the verdict's metrics",
            kind="refused",
            key=key,
        )
    _check_bytes(root.engine(key), engine_digest(passport), "engine {}".format(key[:12]))
    return passport


def _check_bytes(path, digest, title):
    if not os.path.isfile(path):
        raise ActionError("{} is missing".format(title), path, "deploy the model again", kind="refused")
    actual = sha256_of(path)
    if actual != digest:
        raise ActionError(
            "{} is not the file that was proved".format(title),
            "sha256 is {}, the passport says {}".format(actual, digest),
            "deploy the model again with --force; if it happens again, suspect the device's storage",
            kind="refused",
            sha256=actual,
        )
