"""sudo: asks or not as the device's policy says, resets the environment, gives uid 0 in a nested user namespace."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import sudoers

SECURE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin"
KEPT = ("TERM", "COLORS", "DISPLAY", "LS_COLORS", "XAUTHORITY", "COLUMNS", "LINES", "TZ")
TICKET_S = 15 * 60
TRIES = 3
CLONE_NEWUSER = 0x10000000
USAGE = """usage: sudo -h | -K | -k | -V
usage: sudo -v [-AknS] [-p prompt] [-u user]
usage: sudo -l [-AknS] [-p prompt] [-u user] [command]
usage: sudo [-AbEHknPS] [-p prompt] [-u user] [VAR=value] [-i|-s] [<command>]"""


class Options:
    """What the command line asked for."""

    def __init__(self, argv: list[str]) -> None:
        self.flags: set[str] = set()
        self.user = "root"
        self.prompt: str | None = None
        self.variables: dict[str, str] = {}
        args = list(argv)
        while args and args[0].startswith("-") and args[0] != "-":
            arg = args.pop(0)
            if arg == "--":
                break
            self._option(LONG.get(arg, arg), args)
        while args and "=" in args[0] and not args[0].startswith(("=", "/")):
            name, value = args.pop(0).split("=", 1)
            self.variables[name] = value
        self.command = args

    def _option(self, arg: str, rest: list[str]) -> None:
        if arg.startswith("--"):
            name, _, text = arg[2:].partition("=")
            if name == "user" and text:
                self.user = text
            elif name == "prompt":
                self.prompt = text
            else:
                raise ValueError(f"unrecognized option '{arg}'")
            return
        letters = arg[1:]
        for place, letter in enumerate(letters):
            if letter in "uphgCTrt":
                value = letters[place + 1 :] or (rest.pop(0) if rest else "")
                if not value and letter != "p":
                    raise ValueError(f"option requires an argument -- '{letter}'")
                if letter == "u":
                    self.user = value
                elif letter == "p":
                    self.prompt = value
                return
            if letter not in "nSkKvEHisblVAP":
                raise ValueError(f"invalid option -- '{letter}'")
            self.flags.add(letter)


LONG = {
    "--non-interactive": "-n",
    "--stdin": "-S",
    "--reset-timestamp": "-k",
    "--remove-timestamp": "-K",
    "--validate": "-v",
    "--preserve-env": "-E",
    "--set-home": "-H",
    "--login": "-i",
    "--shell": "-s",
    "--list": "-l",
    "--version": "-V",
}


def main(argv: list[str]) -> int:
    try:
        options = Options(argv)
    except ValueError as problem:
        print(f"sudo: {problem}\n{USAGE}", file=sys.stderr)
        return 1
    profile, policy = device.profile(), dict(device.state()["sudo"])
    caller = "root" if device.is_root() else profile["user"]
    groups = sudoers.groups_of(caller) or device.state()["groups"]
    if "V" in options.flags:
        print("Sudo version " + {"bionic": "1.8.21p2", "focal": "1.8.31"}.get(policy["style"], "1.9.9"))
        return 0
    if not device.ROOT and caller != "root":
        # What the setuid bit does on a board: from here on this process is root and may write tickets.
        refusal = _become(0)
        if refusal:
            print(f"sudo: {refusal}", file=sys.stderr)
            return 1
    right = sudoers.right(caller, groups)
    policy["nopasswd"] = policy["nopasswd"] or right == "nopasswd"
    alone = not options.command and not options.flags & {"v", "l", "i", "s"}
    if options.flags & {"k", "K"}:
        with device.changing() as state:
            state["sudo_tickets"] = {}
        if alone:
            return 0
    if alone:
        print(USAGE, file=sys.stderr)
        return 1
    if options.user not in ("root", profile["user"]):
        print(f"sudo: unknown user: {options.user}\nsudo: unable to initialize policy plugin", file=sys.stderr)
        return 1
    if caller != "root" and not policy["nopasswd"] and not _authenticate(options, policy, caller):
        return 1
    if caller != "root" and "sudo" not in groups and not right:
        print(f"{caller} is not in the sudoers file.  This incident will be reported.", file=sys.stderr)
        return 1
    if "v" in options.flags:
        return 0
    if "l" in options.flags:
        right = "NOPASSWD: ALL" if policy["nopasswd"] else "ALL"
        print(f"User {caller} may run the following commands on {profile['hostname']}:\n    (ALL : ALL) {right}")
        return 0
    return _execute(options, profile, caller)


def _authenticate(options: Options, policy: dict[str, Any], caller: str) -> bool:
    tickets = device.state().get("sudo_tickets", {})
    # As with timestamp_type=ppid: a session without a terminal has its ticket by its parent process.
    session = str(os.getppid())
    if time.time() - tickets.get(session, 0) < TICKET_S and "k" not in options.flags:
        return True
    if "n" in options.flags:
        print("sudo: a password is required", file=sys.stderr)
        return False
    if "S" in options.flags:
        source = 0
    else:
        try:
            source = os.open("/dev/tty", os.O_RDWR)
        except OSError:
            if policy["style"] == "bionic":
                print("sudo: no tty present and no askpass program specified", file=sys.stderr)
            else:
                print(
                    "sudo: a terminal is required to read the password; either use the -S option to read from "
                    "standard input or configure an askpass helper\nsudo: a password is required",
                    file=sys.stderr,
                )
            return False
    prompt = (options.prompt if options.prompt is not None else "[sudo] password for %p: ").replace("%p", caller)
    for attempt in range(1, TRIES + 1):
        sys.stderr.write(prompt)
        sys.stderr.flush()
        password = _line(source)
        if password is None:
            print(file=sys.stderr)
            missing = "sudo: no password was provided"
            print(
                missing if attempt == 1 else f"sudo: {attempt - 1} incorrect password attempt" + "s" * (attempt > 2),
                file=sys.stderr,
            )
            if policy["style"] != "bionic" and attempt == 1:
                print("sudo: a password is required", file=sys.stderr)
            return False
        if password == policy["password"]:
            with device.changing() as state:
                state.setdefault("sudo_tickets", {})[session] = time.time()
            return True
        if attempt < TRIES:
            print("Sorry, try again.", file=sys.stderr)
    print(f"sudo: {TRIES} incorrect password attempts", file=sys.stderr)
    return False


def _line(source: int) -> str | None:
    """One line, a byte at a time: what follows the password on stdin is the command's."""
    read = bytearray()
    while True:
        byte = os.read(source, 1)
        if byte == b"\n":
            break
        if not byte:
            if not read:
                return None
            break
        read += byte
    return read.decode("utf-8", "replace")


def _execute(options: Options, profile: dict[str, Any], caller: str) -> int:
    home = "/root" if options.user == "root" else f"/home/{options.user}"
    old = dict(os.environ)
    env = old if "E" in options.flags else {key: old[key] for key in KEPT if key in old}
    keeps_home = profile["sudo"]["style"] == "bionic" and not options.flags & {"H", "i"}
    env.update(
        PATH=SECURE_PATH,
        HOME=old.get("HOME", home) if keeps_home else home,
        USER=options.user,
        LOGNAME=options.user,
        SHELL="/bin/bash",
        MAIL=f"/var/mail/{options.user}",
        SUDO_USER=caller,
        SUDO_UID="0" if caller == "root" else "1000",
        SUDO_GID="0" if caller == "root" else "1000",
    )
    env.update(options.variables)
    if device.ROOT:
        env["FLEET_LAB_ROOT"] = device.ROOT
        env["FLEET_LAB_UID"] = "0" if options.user == "root" else "1000"
    command = options.command
    if options.flags & {"i", "s"}:
        command = [
            "/bin/bash",
            *(["-l"] if "i" in options.flags else []),
            *(["-c", " ".join(command)] if command else []),
        ]
    env["SUDO_COMMAND"] = " ".join(command)
    program = _find(command[0], env["PATH"])
    if program is None:
        print(f"sudo: {command[0]}: command not found", file=sys.stderr)
        return 1
    if not device.ROOT and options.user != "root":
        refusal = _become(1000)
        if refusal:
            print(f"sudo: {refusal}", file=sys.stderr)
            return 1
    try:
        os.execve(program, command, env)
    except OSError as problem:
        print(f"sudo: unable to execute {program}: {problem.strerror}", file=sys.stderr)
    return 1


def _find(name: str, search: str) -> str | None:
    if "/" in name:
        try:
            mode = os.stat(name).st_mode
        except OSError:
            return None
        return name if stat.S_ISREG(mode) and mode & 0o111 else None
    if device.ROOT:
        # Where no root was changed, the device's own folders come first.
        search = ":".join([device.path(folder) for folder in search.split(":")] + [search])
    return shutil.which(name, path=search)


def _become(uid: int) -> str | None:
    """Enter a user namespace in which this process is `uid`; returns a complaint where the kernel refuses."""
    here = os.geteuid()
    if here == uid:
        return None
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    gid = os.getegid()
    if libc.unshare(CLONE_NEWUSER):
        return f"unable to change to root gid: {os.strerror(ctypes.get_errno())}"
    proc = next((p for p in ("/proc/self", "/.lab/proc/self") if os.path.exists(p + "/uid_map")), None)
    if proc is None:
        return "unable to change to root gid: no process file system"
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {here} 1"), ("gid_map", f"{uid} {gid} 1")):
        with open(f"{proc}/{name}", "w", encoding="ascii") as stream:
            stream.write(text)
    return None


if __name__ == "__main__":
    device.run(main)
