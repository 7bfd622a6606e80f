"""Sources on the device: git, and make to build them."""

from __future__ import annotations

from typing import Any

from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, action_module


@action_module(
    "git",
    repo=Argument("str", "URL or path of the repository", required=True, aliases=("name",)),
    dest=Argument("path", "folder of the working copy", required=True),
    version=Argument("str", "branch, tag or commit; HEAD is the repository's own branch", "HEAD"),
    remote=Argument("str", "name of the remote", "origin"),
    clone=Argument("bool", "make the working copy if there is none", True),
    update=Argument("bool", "bring one that is there to the version", True),
    force=Argument("bool", "throw local changes away", False),
    depth=Argument("int", "so many commits of history only"),
    recursive=Argument("bool", "submodules too", True),
    single_branch=Argument("bool", "only the history of this version", False),
    accept_hostkey=Argument("bool", "take any host key of an SSH server", False),
    accept_newhostkey=Argument("bool", "take the host key of an SSH server that was never seen", False),
    key_file=Argument("path", "private key for SSH, on the device"),
    ssh_opts=Argument("str", "more options for ssh"),
    executable=Argument("path", "another git"),
)
def git(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Clone a git repository, or bring its working copy to a version.

    The remote is asked first; where the working copy is at the version nothing is fetched.

    Returns before, after, remote_url_changed, submodules_changed.
    """
    return args


@action_module(
    "make",
    chdir=Argument("path", "folder to run it in", required=True),
    target=Argument("str", "what to make"),
    targets=Argument("list", "instead of target: several", elements="str"),
    params=Argument("dict", "variables for make"),
    file=Argument("path", "another makefile"),
    make=Argument("path", "another make"),
    jobs=Argument("int", "so many jobs at once"),
)
def make(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Build a target with make, unless it is up to date.

    Returns command, target, params, chdir, rc, stdout, stderr, stdout_lines, stderr_lines.
    """
    return args
