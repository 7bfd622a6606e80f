"""Releases of a model: folders of engines, and `current`, the symlink that an application opens.

    models/<name>/releases/<release>/<file>.engine          hard link into engines/<key>/
    models/<name>/releases/<release>/<file>.passport.json
    models/<name>/releases/<release>/release.json           {"release", "created", "engines": [{key, file, sha256}]}
    models/<name>/current -> releases/<release>

A release is made aside and shown by one rename; the switch is one rename of a symlink. Whenever the power goes,
`current` is the old release or the new one, whole.
"""

import fcntl
import os
import shutil
from contextlib import contextmanager

from .files import make_folder, read_json, sync_folder, write_json


@contextmanager
def locked(root, model):
    """One change of a model's releases at a time, of all sessions."""
    make_folder(root.releases(model))
    fd = os.open(os.path.join(root.model(model), ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def current(root, model):
    """The release in force, or None; also where `current` points to nothing."""
    try:
        release = os.path.basename(os.readlink(root.current(model)))
    except OSError:
        return None
    return release if os.path.isdir(os.path.join(root.releases(model), release)) else None


def describe(root, model, release):
    """release.json as a dict, or None."""
    document = read_json(os.path.join(root.releases(model), release, "release.json"))
    return document if isinstance(document, dict) else None


def all_releases(root, model):
    """Names of all whole releases, oldest first."""
    try:
        names = os.listdir(root.releases(model))
    except OSError:
        return []
    dated = []
    for name in names:
        document = None if name.startswith(".") else describe(root, model, name)
        if document is not None:
            dated.append((document.get("created") or 0, name))
    return [name for _, name in sorted(dated)]


def models(root):
    """Names of all models that have releases."""
    try:
        return sorted(name for name in os.listdir(root.models) if os.path.isdir(root.releases(name)))
    except OSError:
        return []


def create(root, model, document, engines):
    """Make a release.

    args:
        document (dict): its release.json
        engines ([(source path, file name, passport)])
    """
    releases = root.releases(model)
    aside = os.path.join(releases, ".new-" + document["release"])
    shutil.rmtree(aside, ignore_errors=True)
    os.mkdir(aside)
    os.chmod(aside, 0o755)
    for source, name, passport in engines:
        link_file(source, os.path.join(aside, name), os.path.join(releases, document["release"]))
        stem = name[: -len(".engine")] if name.endswith(".engine") else name
        write_json(os.path.join(aside, stem + ".passport.json"), passport)
    write_json(os.path.join(aside, "release.json"), document)
    sync_folder(aside)
    os.rename(aside, os.path.join(releases, document["release"]))
    sync_folder(releases)


def link_file(source, target, final_folder):
    """Hard-link `source`; where the file system cannot, a symlink that is right once the folder has its final name."""
    try:
        os.link(source, target)
    except OSError:
        os.symlink(os.path.relpath(source, final_folder), target)


def switch(root, model, release):
    """Make `release` current."""
    path = root.current(model)
    temporary = os.path.join(root.model(model), ".current-new")
    try:
        os.unlink(temporary)
    except FileNotFoundError:
        pass
    os.symlink(os.path.join("releases", release), temporary)
    os.replace(temporary, path)
    sync_folder(root.model(model))


def clean(root, model, keep):
    """Remove all but the newest `keep` releases, never the current one, and what a crash left; returns the removed."""
    releases = root.releases(model)
    names = all_releases(root, model)
    now = current(root, model)
    kept = set(names[-keep:] + [now])
    removed = [name for name in names if name not in kept]
    for name in removed:
        os.rename(os.path.join(releases, name), os.path.join(releases, ".removed-" + name))
    for name in os.listdir(releases):
        if name.startswith((".new-", ".removed-")):
            shutil.rmtree(os.path.join(releases, name), ignore_errors=True)
    return removed
