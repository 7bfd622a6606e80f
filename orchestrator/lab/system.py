"""The few Linux system calls that Python does not offer: namespaces, mounts, and a filter for chown."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MS_NOATIME, MS_NODIRATIME, MS_RELATIME = 1024, 2048, 1 << 21
MNT_DETACH = 2

_OPTIONS = {
    "ro": MS_RDONLY,
    "nosuid": MS_NOSUID,
    "nodev": MS_NODEV,
    "noexec": MS_NOEXEC,
    "noatime": MS_NOATIME,
    "nodiratime": MS_NODIRATIME,
    "relatime": MS_RELATIME,
}

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP = 1, 22
_SIGKILL = 9

# Per machine: the number of pivot_root, the audit architecture, and the numbers of the chown family.
_MACHINES = {
    "x86_64": (155, 0xC000003E, (92, 93, 94, 260)),
    "aarch64": (41, 0xC00000B7, (54, 55)),
}

_libc = ctypes.CDLL(None, use_errno=True)


def supported_machine() -> bool:
    return platform.system() == "Linux" and platform.machine() in _MACHINES


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move this process into new namespaces. Raises OSError where the system forbids it."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def map_ids(outer_user: int, outer_group: int, user: int, group: int) -> None:
    """In a fresh user namespace: one user and one group, called `user` and `group` in here."""
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {outer_user} 1"),
        ("gid_map", f"{group} {outer_group} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as stream:
            stream.write(text)


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    _check(
        _libc.mount(
            source.encode() if source else None,
            os.fsencode(target),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            data.encode() if data else None,
        ),
        f"mount {target}",
    )


def bind(source: str, target: str, *, writable: bool) -> None:
    """Bind `source` with all that is mounted under it, without set-user-id; read-only throughout unless `writable`."""
    mount(source, target, None, MS_BIND | MS_REC)
    access = MS_NOSUID if writable else MS_NOSUID | MS_RDONLY
    for place, options in _mounts_under(os.path.realpath(target)):
        # Flags of the host's mount are locked in here: a remount has to repeat them.
        mount(None, place, None, MS_REMOUNT | MS_BIND | access | options)


def _mounts_under(folder: str) -> list[tuple[str, int]]:
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            fields = line.split(" ")
            place = _unescape(fields[4])
            if place == folder or place.startswith(folder.rstrip("/") + "/"):
                found.append((place, sum(_OPTIONS.get(option, 0) for option in fields[5].split(","))))
    return found


def _unescape(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text


def pivot(root: str) -> None:
    """Make the mount point `root` this process's `/` and let go of the old one."""
    os.chdir(root)
    number = _MACHINES[platform.machine()][0]
    _check(_libc.syscall(ctypes.c_long(number), b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", ctypes.c_int(MNT_DETACH)), "umount of the host's root")
    os.chdir("/")


def set_writable(writable: bool) -> None:
    """Make the device's whole root folder read-only, as a kernel does after errors of a disk, or writable again."""
    mount(None, "/", None, MS_REMOUNT | MS_BIND | MS_NOSUID | (0 if writable else MS_RDONLY))


def set_hostname(name: str) -> None:
    encoded = name.encode()
    _check(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))), "sethostname")


def drop_capabilities() -> None:
    """Give up what a new user namespace gave; without this a process that does not exec would still pass as root."""
    header = struct.pack("Ii", 0x20080522, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _check(_libc.prctl(ctypes.c_int(_PR_SET_PDEATHSIG), ctypes.c_ulong(_SIGKILL), 0, 0, 0), "prctl")


def ignore_chown() -> None:
    """Let chown succeed and do nothing, for this process and all that it starts.

    A device knows one user of the host under two names, so a file cannot change hands: root's and the login user's
    are the same to the kernel. A board's `sudo chown nvidia FILE` must not fail for that.
    """
    _, architecture, numbers = _MACHINES[platform.machine()]
    load, equal, leave = 0x20, 0x15, 0x06
    allow, pretend = 0x7FFF0000, 0x00050000

    def step(code: int, yes: int, no: int, value: int) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    program = step(load, 0, 0, 4) + step(equal, 0, len(numbers) + 1, architecture) + step(load, 0, 0, 0)
    for index, number in enumerate(numbers):
        program += step(equal, len(numbers) - index, 0, number)
    program += step(leave, 0, 0, allow) + step(leave, 0, 0, pretend)
    buffer = ctypes.create_string_buffer(program, len(program))

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]

    wanted = Filter(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    filter_mode = ctypes.c_ulong(2)
    _check(_libc.prctl(ctypes.c_int(_PR_SET_SECCOMP), filter_mode, ctypes.byref(wanted), 0, 0), "seccomp")
