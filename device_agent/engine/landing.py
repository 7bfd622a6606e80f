"""How a finished engine gets to its place, so that an engine folder never holds half of one."""

import os
import shutil

from .. import files


def land(job, key, built, passport):
    """Move a built engine into engines/<key>/ and write its log and passport.

    The engine is hashed and made durable before its rename; the passport follows last, so an engine counts as there
    only when a passport names its digest. A verdict or benchmark of an earlier engine of this key is dropped.

    args:
        built (str): the engine in the job's folder (same file system)
        passport (dict): top-level keys to merge; `engine` is added here
    returns:
        dict: path, sha256, size_bytes
    """
    folder = job.root.engine_dir(key)
    files.make_folder(folder)
    target = job.root.engine(key)
    files.sync_file(built)
    engine = {"path": target, "sha256": files.sha256_of(built), "size_bytes": os.path.getsize(built)}
    os.chmod(built, 0o644)
    copy_log(job, folder)
    os.replace(built, target)
    files.sync_folder(folder)
    files.merge_json(
        job.root.passport(key),
        dict(passport, format=1, key=key, engine=engine, verdict=None, benchmark=None, failure=None),
    )
    return engine


def copy_log(job, folder):
    """Put the job's whole output beside the engine as build.log, by rename."""
    source = os.path.join(job.folder, "output.log")
    if not os.path.isfile(source):
        return
    temporary = os.path.join(folder, ".build.log.part")
    shutil.copyfile(source, temporary)
    os.chmod(temporary, 0o644)
    os.replace(temporary, os.path.join(folder, "build.log"))


def borrow_timing_cache(job, bucket):
    """A private copy of a timing cache in the job's folder, so that a killed build cannot spoil the shared one."""
    if not bucket:
        return None
    shared = job.root.timing_cache(bucket)
    private = os.path.join(job.folder, "timing.cache")
    if os.path.isfile(shared):
        shutil.copyfile(shared, private)
    return private


def return_timing_cache(job, bucket):
    """Make what a good build learned the shared timing cache, by rename."""
    private = os.path.join(job.folder, "timing.cache")
    if bucket and os.path.isfile(private) and os.path.getsize(private):
        files.sync_file(private)
        os.replace(private, job.root.timing_cache(bucket))
