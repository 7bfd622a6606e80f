"""Software on the device: apt, apt_repository, pip."""

from __future__ import annotations

from typing import Any

from orchestrator.errors import PlaybookError
from orchestrator.playbook.context import TaskContext
from orchestrator.playbook.modules import Argument, action_module

LONG_S = 3 * 3600.0
"""A package that is compiled on a Nano, behind a package lock that another tool holds."""


@action_module(
    "apt",
    timeout_s=LONG_S,
    name=Argument(
        "list",
        "packages: NAME, NAME=VERSION or NAME>=VERSION; * and ? are wildcards in both",
        aliases=("package", "pkg"),
        elements="str",
    ),
    state=Argument(
        "str",
        "present, latest, absent, or fixed: finish what was cut off and mend broken dependencies",
        "present",
        choices=("present", "latest", "absent", "fixed"),
    ),
    update_cache=Argument("bool", "fetch the package lists first", False, aliases=("update-cache",)),
    cache_valid_time=Argument("int", "seconds for which fetched lists are new enough; implies update_cache", 0),
    update_cache_retries=Argument("int", "how often fetching the lists is tried", 5),
    install_recommends=Argument("bool", "install recommended packages too; default what apt is set to"),
    only_upgrade=Argument("bool", "leave alone what is not installed", False),
    autoremove=Argument("bool", "remove packages that nothing needs any more", False),
    fail_on_autoremove=Argument("bool", "fail rather than remove a package", False),
    autoclean=Argument("bool", "drop package files that no list has any more", False),
    clean=Argument("bool", "drop all package files that were fetched", False),
    purge=Argument("bool", "remove configuration files too", False),
    deb=Argument("path", "a package file on the device, installed with what it needs"),
    default_release=Argument("str", "the release to prefer", aliases=("default-release",)),
    dpkg_options=Argument("str", "options for dpkg, without --", "force-confdef,force-confold"),
    allow_downgrade=Argument("bool", "an older version may replace a newer one", False, aliases=("allow_downgrades",)),
    allow_change_held_packages=Argument("bool", "held packages may change", False),
    allow_unauthenticated=Argument("bool", "take packages whose origin cannot be proved", False),
    lock_timeout=Argument("int", "seconds to wait for another package tool", 60),
    upgrade=Argument("str", "only `no`: upgrading everything is not offered", "no"),
    force=Argument("bool", "only false: forcing hides what is wrong", False),
)
def apt(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Install, upgrade or remove packages of Debian and Ubuntu, by name.

    Where another package tool holds the lock it waits and says who that is. Packages that dpkg left half-configured
    are named; `state: fixed` finishes them. Everything at once is never upgraded: on L4T that runs bootloader and
    kernel installers that can fail or change the board's release.

    Returns stdout, stderr, cache_updated, cache_update_time.
    """
    if str(args["upgrade"]).lower() not in ("no", "false"):
        raise PlaybookError(
            "apt: upgrade is not offered",
            "on L4T an upgrade of everything runs bootloader and kernel installers that can fail or change the release",
            "name the packages, with state: latest where you want them newer",
            location=task.task.location,
        )
    if args["force"]:
        raise PlaybookError(
            "apt: force is not offered",
            "it hides broken dependencies and unproved origins",
            "say what is meant: allow_downgrade, allow_change_held_packages or allow_unauthenticated",
            location=task.task.location,
        )
    return {name: value for name, value in args.items() if name not in ("upgrade", "force")}


@action_module(
    "apt_repository",
    timeout_s=LONG_S,
    repo=Argument("str", "the line: deb [options] URI SUITE COMPONENTS", required=True),
    state=Argument("str", "present or absent", "present", choices=("present", "absent")),
    filename=Argument("str", "the file below sources.list.d, without .list; named after the URI by default"),
    mode=Argument("any", "permissions of the file, default 0644"),
    update_cache=Argument("bool", "fetch the package lists after a change", True, aliases=("update-cache",)),
    update_cache_retries=Argument("int", "how often fetching them is tried", 5),
    lock_timeout=Argument("int", "seconds to wait for another package tool", 60),
)
def apt_repository(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Keep a package repository, or its absence.

    Where the lists cannot be fetched after a change, the change is taken back. A ppa is refused: name its line.

    Returns repo, state, sources_added, sources_removed.
    """
    return args


@action_module(
    "pip",
    timeout_s=LONG_S,
    name=Argument("list", "packages: NAME, or with versions as pip takes them", elements="str"),
    version=Argument("str", "the version of the one package named"),
    requirements=Argument("path", "a requirements file on the device"),
    state=Argument(
        "str",
        "present, latest, absent or forcereinstall",
        "present",
        choices=("present", "latest", "absent", "forcereinstall"),
    ),
    virtualenv=Argument("path", "the virtual environment to install into, made if it is missing"),
    virtualenv_command=Argument("str", "what makes it; python3 -m venv where there is no virtualenv", "virtualenv"),
    virtualenv_python=Argument("str", "the Python of a new one"),
    virtualenv_site_packages=Argument("bool", "a new one sees the system's packages (TensorRT's bindings)", False),
    executable=Argument("path", "another pip than that of the system's Python"),
    extra_args=Argument("str", "further words for pip, such as --user", ""),
    editable=Argument("bool", "install folders in place", False),
    chdir=Argument("path", "where to run it, default /"),
    break_system_packages=Argument("bool", "install into a Python that the distribution manages (PEP 668)", False),
)
def pip(task: TaskContext, args: dict[str, Any]) -> dict[str, Any]:
    """Install, upgrade or remove Python packages.

    Works with every pip from 9 (JetPack 4) on. What is there already in a version that fits is not touched, and
    nothing is asked of the network for it.

    Returns cmd, name, version, state, requirements, virtualenv, stdout, stderr.
    """
    if bool(args["name"]) == bool(args["requirements"]):
        raise PlaybookError("pip needs name or requirements", "one of them, not both", location=task.task.location)
    return {key: value for key, value in args.items() if value not in (None, [])}
