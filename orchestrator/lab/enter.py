"""Starts one virtual device: its namespaces, its root, its first process, and the SSH server in it.

Three processes, each the child of the one before:

    keeper   on the host's side; has made the namespaces, waits, and tells the daemon how the device ended
    init     process 1 of the device, root in it; boots, obeys `/.lab/control` and the daemon, reaps orphans
    server   the SSH server, already as the login user (id 1000, no capabilities); every session descends from it

The kernel ends everything in a device when its init ends: that is a reboot, and a power cut.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.lab import system
from orchestrator.lab.root import USER_ID, Mount

POWEROFF, REBOOT, CRASHED, UNBORN = 20, 21, 22, 23
"""Exit codes of a keeper: how the device ended. UNBORN: it never booted; the reason was reported."""

_TERM_GRACE_S = 1.0
_SERVE_S = 15.0
_CUT_S = 2.0


@dataclass
class Running:
    """A started device as the daemon sees it."""

    keeper: int
    report: int
    """Pipe to read, JSON lines: `{"init": pid}`, then `{"ready": true}` or `{"error": "..."}`, `{"cut": true}` after
    each `cut`, `{"fault": true}` after each `fault=`; at its end the device is gone."""
    command: int
    """Pipe to write: `reboot`, `poweroff`, `cut` or `fault=NAME:VALUE`, a line each; when it closes the device dies."""
    init: int = 0


@dataclass
class Server:
    """What the device's server process does."""

    run: Callable[[Callable[[], None]], None]
    """Called in the server process with a function to call when it serves; never returns while all is well."""
    cut: Callable[[int], None]
    """Called in init with the server's process id: drop all connections at once. A server without `probe` then
    calls the function that it was given once more."""
    probe: tuple[str, int] | None = None
    """For a server that cannot say so itself: it serves once this address accepts connections."""


def start(root: str, mounts: Sequence[Mount], hostname: str, server: Server, keep: Sequence[int] = ()) -> Running:
    """Start the device in `root` (see root.make_root); returns at once.

    Args:
        keep: descriptors that the server process needs; all others are closed in the device.
    """
    report_read, report = os.pipe()
    command, command_write = os.pipe()
    keeper = os.fork()
    if keeper == 0:
        code = CRASHED
        try:
            for number in (report_read, command_write):
                os.close(number)
            code = _keeper(root, mounts, hostname, server, {report, command, *keep}, report, command)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(report)
    os.close(command)
    return Running(keeper, report_read, command_write)


def _say(report: int, **message: object) -> None:
    os.write(report, json.dumps(message).encode() + b"\n")


def _keeper(
    root: str, mounts: Sequence[Mount], hostname: str, server: Server, keep: set[int], report: int, command: int
) -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    _close_all_but(keep | {0, 1, 2})
    user, group = os.getuid(), os.getgid()
    try:
        if user == 0:
            with contextlib.suppress(PermissionError):  # root of a container may lack this right
                os.setgroups([])
        system.unshare(
            system.CLONE_NEWUSER | system.CLONE_NEWNS | system.CLONE_NEWPID | system.CLONE_NEWUTS | system.CLONE_NEWIPC
        )
        system.map_ids(user, group, 0, 0)
        system.die_with_parent()
    except OSError as problem:
        _say(report, error=str(problem), namespaces=True)
        return UNBORN
    init = os.fork()
    if init == 0:
        code = CRASHED
        try:
            system.die_with_parent()
            code = _init(root, mounts, hostname, server, keep, report, command)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    _say(report, init=init)
    _close_all_but({report})
    _, status = os.waitpid(init, 0)
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else POWEROFF


def _close_all_but(keep: set[int]) -> None:
    low = 0
    for number in sorted(keep):
        if number > low:  # an empty range would close everything above
            os.closerange(low, number)
        low = number + 1
    os.closerange(low, 65536)


def _init(
    root: str, mounts: Sequence[Mount], hostname: str, server: Server, keep: set[int], report: int, command: int
) -> int:
    try:
        _become_root_folder(root, mounts)
        system.set_hostname(hostname)
        system.ignore_chown()
        os.umask(0o022)
        _boot()
        child, server_report = _start_server(server, keep - {report, command})
    except OSError as problem:
        _say(report, error=str(problem), namespaces=problem.errno in (1, 13))
        return UNBORN
    except subprocess.SubprocessError as problem:
        _say(report, error=str(problem))
        return UNBORN
    for number in keep - {report, command}:
        os.close(number)
    failure = _await_server(server, child, server_report)
    if failure:
        _say(report, error=failure)
        return UNBORN
    _say(report, ready=True)
    return _live(server, child, server_report, report, command)


def _become_root_folder(root: str, mounts: Sequence[Mount]) -> None:
    system.mount(None, "/", None, system.MS_REC | system.MS_PRIVATE)
    system.bind(root, root, writable=True)
    for lent in mounts:
        system.bind(lent.source, root + lent.target, writable=lent.writable)
    # Only processes: the host's settings (/proc/sys, /proc/sysrq-trigger) would be writable where the lab runs as root.
    try:
        system.mount("proc", root + "/.lab/proc", "proc", system.MS_NOSUID | system.MS_NODEV, "subset=pid")
    except OSError:
        if _host_user_is_root():
            raise
        system.mount("proc", root + "/.lab/proc", "proc", system.MS_NOSUID | system.MS_NODEV)
    flags = system.MS_NOSUID | system.MS_NOEXEC
    system.mount("devpts", root + "/dev/pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=0620")
    system.pivot(root)


def _host_user_is_root() -> bool:
    with open("/proc/self/uid_map", encoding="ascii") as stream:
        return stream.read().split()[1] == "0"


def _boot() -> None:
    """What is gone after a power cut is gone; then the board's own boot."""
    for folder in ("/tmp", "/run", "/dev/shm"):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)
    for folder, mode in (("/run/lock", 0o777), (f"/run/user/{USER_ID}", 0o700)):
        os.makedirs(folder)
        os.chmod(folder, mode)
    os.environ.clear()
    os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/root", LANG="C.UTF-8")
    argv = ["/.lab/python", "-I", "-S", "-E", "/.lab/tools/boot.py"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise subprocess.SubprocessError(f"boot.py ended with {done.returncode}: {last[0]}")


def _start_server(server: Server, keep: set[int]) -> tuple[int, int]:
    """Fork the server as the login user; returns its pid and a pipe that gets a byte when it serves, or ends."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            _close_all_but(keep | {0, 1, 2, write})
            null = os.open("/dev/null", os.O_RDONLY)
            os.dup2(null, 0)
            os.close(null)
            system.unshare(system.CLONE_NEWUSER)
            system.map_ids(0, 0, USER_ID, USER_ID)
            system.drop_capabilities()
            server.run(lambda: _say_ready(write))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(write)
    return child, read


def _say_ready(pipe: int) -> None:
    os.write(pipe, b".")


def _await_server(server: Server, child: int, ready: int) -> str | None:
    """Wait until the server serves; returns why it does not."""
    try:
        deadline = time.monotonic() + _SERVE_S
        while time.monotonic() < deadline:
            if server.probe:
                with socket.socket() as client:
                    if client.connect_ex(server.probe) == 0:
                        return None
                time.sleep(0.005)
            elif select.select([ready], [], [], 1)[0]:
                return None if os.read(ready, 1) else "the SSH server ended at once (see the lab's server.log)"
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return "the SSH server ended at once (see the lab's server.log)"
        return f"the SSH server does not answer after {_SERVE_S:.0f} s"
    finally:
        if server.probe:
            os.close(ready)


def _live(server: Server, child: int, ready: int, report: int, command: int) -> int:
    """Process 1's life: reap orphans, obey, end when the server ends. Returns the exit code."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Opened for writing as well, so that it never reads as ended.
    control = os.open("/.lab/control", os.O_RDWR | os.O_NONBLOCK)
    while True:
        if _reap(child):
            return CRASHED
        readable, _, _ = select.select([wake_read, control, command], [], [])
        if wake_read in readable:
            os.read(wake_read, 4096)
        for source in (control, command):
            if source not in readable:
                continue
            words = os.read(source, 4096).split()
            if source == command and not words:
                return POWEROFF
            for word in words:
                if word == b"cut" and source == command:
                    server.cut(child)
                    if not server.probe and select.select([ready], [], [], _CUT_S)[0]:
                        os.read(ready, 1)
                    _say(report, cut=True)
                elif word.startswith(b"hostname="):
                    system.set_hostname(word.partition(b"=")[2].decode())
                elif word in (b"read-only", b"read-write"):
                    system.set_writable(word == b"read-write")
                elif word.startswith(b"fault="):
                    ended = _fault(word.partition(b"=")[2].decode())
                    if source == command:
                        _say(report, fault=ended)
                elif word == b"reboot":
                    _terminate_all()
                    return REBOOT
                elif word == b"poweroff":
                    _terminate_all()
                    return POWEROFF


def _fault(words: str) -> bool:
    """Inject or end a fault, as the lab's user asks from outside: `NAME:VALUE`."""
    argv = ["/.lab/python", "-I", "-S", "-E", "/.lab/tools/fault.py", *words.split(":", 1)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    return done.returncode == 0


def _reap(server: int) -> bool:
    """Collect what has ended; true if the server has."""
    while True:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if ended == 0:
            return False
        if ended == server:
            return True


def _terminate_all() -> None:
    """As at an orderly shutdown: ask every process to end and give it a moment."""
    try:
        os.kill(-1, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + _TERM_GRACE_S
    while time.monotonic() < deadline:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)
        except ChildProcessError:
            return
