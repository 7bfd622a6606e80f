"""Brings a project's sources to a folder: by git on the device, or from an archive that the controller has pushed."""

import os
import shutil
import tarfile
import zipfile

from ..arguments import SHA256, Record, Text
from ..errors import ActionError
from ..files import make_folder
from ..packages import texts
from ..packages.tool import run_tool
from ..process import capture, find_tool

FETCH_TIMEOUT_S = 1800.0

SOURCE = Record(
    default=None,
    url=Text(default=None),
    branch=Text(default=None, pattern=r"[A-Za-z0-9][A-Za-z0-9._/-]*", allowed="a branch or tag"),
    archive=Text(default=None, pattern=SHA256, allowed="the sha256 of a blob on the device"),
)
"""Where sources come from: `archive`, the blob of a tar or zip file, or `url` and `branch`."""


def work_folder(context, name):
    """An empty folder for building `name`; what an earlier attempt left there is removed."""
    folder = os.path.join(context.root.path, "sources", name)
    shutil.rmtree(folder, ignore_errors=True)
    make_folder(os.path.dirname(folder))
    return folder


def fetch(source, folder, context):
    """Put the sources into `folder`, which must not exist; returns the commit or the archive's digest.

    raises:
        ActionError: no git, no such branch, no connection; not a tar or zip file
    """
    if source["archive"]:
        _unpack(context.root.blob(source["archive"]), folder)
        return source["archive"]
    if not source["url"] or not source["branch"]:
        raise ActionError("no source is given", "either an archive or a url with a branch", kind="refused")
    git = find_tool("/usr/bin/git", "git")
    if git is None:
        raise ActionError("there is no git on this device", "", "apt: {name: git}, or set source: archive")
    argv = [git, "clone", "--quiet", "--depth", "1", "--branch", source["branch"]]
    argv += ["--recurse-submodules", "--shallow-submodules", source["url"], folder]
    context.progress({"line": "fetching {} {}".format(source["url"], source["branch"])})
    env = {"GIT_TERMINAL_PROMPT": "0"}
    output = run_tool(argv, context, env=env, timeout_s=FETCH_TIMEOUT_S)
    if output.rc != 0:
        raise ActionError(
            "{} could not be fetched".format(source["url"]),
            texts.last_error(output.stderr or output.stdout),
            "check the device's network and the branch {}, or set source: archive".format(source["branch"]),
            rc=output.rc,
            stdout=output.stdout,
            stderr=output.stderr,
        )
    return capture([git, "-C", folder, "rev-parse", "HEAD"], timeout_s=60).stdout.strip()


def _unpack(path, folder):
    """Unpack a tar or zip file; a single folder at its top becomes `folder` itself."""
    aside = folder + ".unpacking"
    shutil.rmtree(aside, ignore_errors=True)
    os.makedirs(aside)
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                _refuse_outside(archive.namelist())
                archive.extractall(aside)
                _restore_modes(archive, aside)
        elif tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                members = [
                    member for member in archive.getmembers() if member.isfile() or member.isdir() or member.issym()
                ]
                _refuse_outside([member.name for member in members])
                _refuse_outside([os.path.join(os.path.dirname(m.name), m.linkname) for m in members if m.issym()])
                archive.extractall(aside, members)
        else:
            raise ActionError("the archive is neither a tar nor a zip file", path, kind="refused")
        names = os.listdir(aside)
        top = os.path.join(aside, names[0]) if len(names) == 1 else aside
        os.rename(top if os.path.isdir(top) else aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _refuse_outside(names):
    for name in names:
        if os.path.isabs(name) or os.path.normpath(name).startswith(".."):
            raise ActionError(
                "the archive would write outside its folder", name, "make the archive anew", kind="refused"
            )


def _restore_modes(archive, folder):
    # zipfile drops the x bit that configure scripts need.
    for entry in archive.infolist():
        mode = entry.external_attr >> 16 & 0o777
        path = os.path.join(folder, entry.filename)
        if mode and os.path.isfile(path):
            os.chmod(path, mode)
