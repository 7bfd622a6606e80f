"""Small tools in a device's folder for the provisioning actions: each changes files as the real one does."""

import sys
from pathlib import Path


def give(device, *names):
    """Put tools into the device; each is this file, run by the Python of the tests."""
    for name in names:
        path = device.path(f"/usr/bin/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -S {__file__} {name} {device.folder} "$@"\n')
        path.chmod(0o755)


def calls(device):
    """Every command line that a tool of the device was given."""
    path = device.path("/fake/calls")
    return path.read_text().splitlines() if path.exists() else []


def main(name, root, args):
    def at(path):
        return root / path.lstrip("/")

    def read(path):
        return at(path).read_text() if at(path).exists() else ""

    def put(path, text):
        at(path).parent.mkdir(parents=True, exist_ok=True)
        at(path).write_text(text)

    put("/fake/calls", read("/fake/calls") + " ".join([name, *args]) + "\n")
    if name == "fallocate":
        with open(args[2], "wb") as stream:
            stream.truncate(int(args[1]))
    elif name == "swapon":
        size = at(args[0]).stat().st_size // 1024 if at(args[0]).exists() else 1024
        put(
            "/proc/swaps",
            (read("/proc/swaps") or "Filename Type Size Used Priority\n") + f"{args[0]} file {size} 0 -2\n",
        )
    elif name == "swapoff":
        put("/proc/swaps", "".join(f"{row}\n" for row in read("/proc/swaps").splitlines() if row.split()[0] != args[0]))
    elif name == "mkswap":
        return 0 if Path(args[0]).stat().st_mode & 0o777 == 0o600 else 1
    elif name == "usermod":
        for group in args[2].split(","):
            _member(read, put, group, args[3], True)
    elif name == "gpasswd":
        _member(read, put, args[2], args[1], False)
    elif name == "date":
        if "-s" in args:
            put("/fake/clock", args[-1].lstrip("@"))
        print(read("/fake/clock"))
    elif name == "timedatectl":
        if "set-ntp" in args:
            put("/fake/ntp", "yes" if args[-1] == "true" else "no")
        print(read("/fake/ntp"))
    elif name == "systemctl":
        return _systemctl(read, put, args)
    return 0


def _member(read, put, group, user, present):
    rows = []
    for row in read("/etc/group").splitlines():
        fields = row.split(":")
        names = [name for name in fields[3].split(",") if name and name != user]
        if fields[0] == group:
            fields[3] = ",".join([*names, user] if present else names)
        rows.append(":".join(fields))
    put("/etc/group", "\n".join(rows) + "\n")


def _systemctl(read, put, args):
    verb, unit = args[0], args[-1]
    if verb == "show":
        print("LoadState=" + ("not-found" if read("/fake/no_unit") else "loaded"))
    elif verb == "is-enabled":
        print(read("/fake/enabled") or "enabled")
    elif verb in ("enable", "disable"):
        put("/fake/enabled", verb + "d")
    elif verb == "restart":
        put("/proc/swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 1000 0 5\n")
    elif verb == "get-default":
        print(read("/fake/default") or "graphical.target")
    elif verb == "set-default":
        put("/fake/default", unit)
    elif verb == "is-active":
        print("inactive" if read("/fake/isolated") == "multi-user.target" else "active")
    elif verb == "isolate":
        put("/fake/isolated", unit)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
