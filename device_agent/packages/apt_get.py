"""apt-get, behind its lock: waits for whoever holds it, says who that is, and explains what goes wrong."""

import os
import re
import time

from ..errors import ActionError
from ..files import device_path, read_text
from ..process import find_tool
from . import texts
from .tool import run_tool

_LOCKED = re.compile(
    r"Could not get lock (\S+?)\.?(?: - open \(11\b|\s+It is held by process (\d+)(?: \(([^)]*)\))?)"
    r"|Unable to acquire the dpkg frontend lock \((\S+)\), is another process"
    r"|dpkg frontend(?: lock)? (?:was|is) locked by another process(?: with pid (\d+))?"
)
_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "DEBIAN_PRIORITY": "critical", "APT_LISTCHANGES_FRONTEND": "none"}
_TRY_EVERY_S = 1.0
TIMEOUT_S = 3000.0

LISTS = "/var/lib/apt/lists"
UPDATE_STAMP = "/var/lib/apt/periodic/update-success-stamp"


class AptGet(object):
    """apt-get for one call of an action.

    args:
        context: of the action
        lock_timeout_s (float): how long to wait for another package tool
    """

    def __init__(self, context, lock_timeout_s):
        self.context = context
        self.lock_timeout_s = lock_timeout_s
        self.tool = find_tool("/usr/bin/apt-get", "apt-get")
        if self.tool is None:
            raise ActionError("there is no apt-get on this device", "apt is for Debian and Ubuntu", kind="refused")

    def run(self, words, allow_failure=False):
        """Run `apt-get words...`. raises: ActionError in the words of what went wrong; data has rc, stdout, stderr."""
        return self._run([self.tool, "-y"] + words, "apt-get " + _verb(words), allow_failure)

    def configure(self):
        """`dpkg --configure -a`: finish what was cut off."""
        dpkg = find_tool("/usr/bin/dpkg", "dpkg")
        argv = [dpkg, "--force-confdef", "--force-confold", "--configure", "-a"]
        return self._run(argv, "dpkg --configure -a", False)

    def _run(self, argv, title, allow_failure):
        # Trying is the only way that every release of apt has: -o DPkg::Lock::Timeout came with apt 1.9.11.
        started = time.monotonic()
        while True:
            output = run_tool(argv, self.context, env=_ENVIRONMENT, timeout_s=TIMEOUT_S)
            text = output.stderr + output.stdout
            locked = _LOCKED.search(text) if output.rc not in (0, None) else None
            waited_s = time.monotonic() - started
            if not locked:
                break
            lock, pid, name, frontend, other = locked.groups()
            lock, pid = lock or frontend or "/var/lib/dpkg/lock-frontend", pid or other
            if pid is None:
                pid, name = holder_of(lock)
            holder = "process {} ({})".format(pid, name or "?") if pid else "another package tool"
            if waited_s >= self.lock_timeout_s:
                raise ActionError(
                    "the package lock is held by {}".format(holder),
                    "{} was not free after {:.0f} s".format(lock, waited_s),
                    "wait until it is done, or raise lock_timeout; do not remove the lock file",
                    kind="busy",
                    lock=lock,
                    holder={"pid": int(pid) if pid else None, "name": name},
                    rc=output.rc,
                    stdout=output.stdout,
                    stderr=output.stderr,
                )
            line = "waiting for the package lock, held by {}, {:.0f} s".format(holder, waited_s)
            self.context.progress({"line": line, "waiting_for": "lock", "holder": holder})
            time.sleep(_TRY_EVERY_S)
        if output.rc != 0 and not allow_failure:
            raise failure(title, output)
        return output


def failure(title, output):
    """The ActionError of a package tool that failed."""
    data = {"rc": output.rc, "stdout": output.stdout, "stderr": output.stderr}
    if output.rc is None:
        return ActionError("{} could not be started".format(title), output.stderr, **data)
    if output.timed_out:
        return ActionError("{} was not finished after {:.0f} s".format(title, TIMEOUT_S), "it was stopped", **data)
    # The cause of a package that cannot be set up stands on stdout, before dpkg's own words on stderr.
    found = texts.explain(texts.APT, output.stdout + "\n" + output.stderr)
    what, why, remedy = found or ("{} failed".format(title), texts.last_error(output.stderr or output.stdout), "")
    return ActionError(what, why, remedy, **data)


def update(apt_get, retries):
    """Fetch the package lists; a list that cannot be fetched is an error although apt-get exits with 0."""
    for left in range(retries - 1, -1, -1):
        output = apt_get.run(["update"], allow_failure=True)
        if output.rc == 0 and not re.search(r"(?m)^(E: |W: Failed to fetch|W: Some index files failed)", output.stderr):
            return output
        error = failure("apt-get update", output)
        clock = "clock" in error.what or "root" in error.what
        if not left or clock:
            raise error
        apt_get.context.progress({"line": "{}; trying again".format(error.what)})
        time.sleep(min(2 ** (retries - left), 12))
    return None


def cache_time():
    """Seconds since the epoch when the package lists were last fetched, 0 where never."""
    for path in (UPDATE_STAMP, LISTS):
        try:
            return int(os.stat(device_path(path)).st_mtime)
        except OSError:
            continue
    return 0


def holder_of(lock):
    """(pid, name) of the process that has locked a file, by the kernel's list; (None, None) where it cannot be told."""
    try:
        status = os.stat(device_path(lock))
    except OSError:
        return None, None
    wanted = "{:02x}:{:02x}:{}".format(os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
    for line in (read_text("/proc/locks") or "").splitlines():
        fields = line.split()
        if len(fields) > 5 and fields[5] == wanted:
            return fields[4], read_text("/proc/{}/comm".format(fields[4]))
    return None, None


def _verb(words):
    return next((word for word in words if not word.startswith("-") and "=" not in word), "")
