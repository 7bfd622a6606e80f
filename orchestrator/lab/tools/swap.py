"""swapon, swapoff, mkswap, fallocate, zramctl: swap that the device's /proc shows and that costs the host nothing."""

from __future__ import annotations

import os
import re
import sys
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import apt_plan
import device

PAGE = 4096
SIGNATURE = b"SWAPSPACE2"
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def main(argv: list[str]) -> int:
    name, args = argv[0], argv[1:]
    tools = {"swapon": swapon, "swapoff": swapoff, "mkswap": mkswap, "fallocate": fallocate, "zramctl": zramctl}
    return tools[name](args)


def areas() -> list[dict[str, Any]]:
    """Swap in use, as rows of /proc/swaps: name, kind, kib, used, priority."""
    rows = []
    for line in device.read("/proc/swaps").splitlines()[1:]:
        fields = line.split()
        if len(fields) == 5:
            rows.append({"name": fields[0], "kind": fields[1], "kib": int(fields[2]), "priority": int(fields[4])})
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """Write /proc/swaps and the sum of it in /proc/meminfo."""
    lines = []
    for row in rows:
        tabs = "\t" if row["kind"] == "partition" else "\t\t"
        lines.append(f"{row['name']:<40}{row['kind']}{tabs}{row['kib']}\t0\t{row['priority']}\n")
    device.write("/proc/swaps", "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n" + "".join(lines))
    total = sum(row["kib"] for row in rows)
    text = device.read("/proc/meminfo")
    text = re.sub(r"(?m)^(Swap(?:Total|Free):) +\d+", lambda m: f"{m[1]:<16}{total:>8}", text)
    device.write("/proc/meminfo", text + "\n")


def zram_rows(profile: dict[str, Any]) -> list[dict[str, Any]]:
    memory = profile["memory"]
    count = memory["zram_devices"]
    kib = memory["zram_mb"] * 1024 // count if count else 0
    return [{"name": f"/dev/zram{n}", "kind": "partition", "kib": kib, "priority": 5} for n in range(count)]


def set_zram(on: bool, profile: dict[str, Any]) -> None:
    """What nvzramconfig does at its start and stop."""
    others = [row for row in areas() if not row["name"].startswith("/dev/zram")]
    show((zram_rows(profile) if on else []) + others)


def from_fstab() -> list[str]:
    """Files that /etc/fstab wants as swap."""
    rows = [line.split() for line in device.read("/etc/fstab").splitlines() if not line.startswith("#")]
    return [row[0] for row in rows if len(row) >= 3 and row[2] == "swap"]


def activate(path: str, priority: int = -2) -> str | None:
    """Use a swap file; returns the complaint where it cannot be used."""
    place = device.path(path)
    try:
        with open(place, "rb") as stream:
            head = stream.read(PAGE)
        size = os.path.getsize(place)
    except FileNotFoundError:
        return f"swapon: cannot open {path}: No such file or directory"
    except OSError as problem:
        return f"swapon: cannot open {path}: {problem.strerror}"
    if head[PAGE - len(SIGNATURE) :] != SIGNATURE:
        return f"swapon: {path}: read swap header failed"
    rows = areas()
    if any(row["name"] == path for row in rows):
        return f"swapon: {path}: swapon failed: Device or resource busy"
    rows.append({"name": path, "kind": "file", "kib": (size - PAGE) // 1024, "priority": priority})
    show(rows)
    return None


def swapon(args: list[str]) -> int:
    words = [arg for arg in args if not arg.startswith("-")]
    if any(arg.startswith(("--show", "-s", "--summary")) for arg in args) or not args:
        _list(args)
        return 0
    if not device.is_root():
        print(f"swapon: {words[0] if words else 'cannot'}: swapon failed: Operation not permitted", file=sys.stderr)
        return 255
    everything = bool({"-a", "--all"} & set(args))
    active = {row["name"] for row in areas()}
    code = 0
    for path in [p for p in from_fstab() if p not in active] if everything else words:
        place = device.path(path)
        if os.path.exists(place) and os.stat(place).st_mode & 0o077:
            mode = os.stat(place).st_mode & 0o7777
            print(f"swapon: {path}: insecure permissions {mode:04o}, 0600 suggested.", file=sys.stderr)
        problem = activate(path)
        if problem:
            print(problem, file=sys.stderr)
            code = 255
    return code


def _list(args: list[str]) -> None:
    rows = areas()
    bare = bool({"--noheadings"} & set(args))
    if rows and not bare:
        print("NAME       TYPE      SIZE USED PRIO")
    for row in rows:
        size = row["kib"] * 1024
        unit, letter = (1 << 30, "G") if size >= 1 << 30 else (1 << 20, "M")
        shown = str(size) if "--bytes" in args else f"{size / unit:.1f}{letter}"
        if "--show=NAME" in args or "--show=name" in args:
            print(row["name"])
        else:
            print(f"{row['name']} {row['kind']} {shown}   0B {row['priority']:>4}")


def swapoff(args: list[str]) -> int:
    if not device.is_root():
        print("swapoff: Not superuser.", file=sys.stderr)
        return 1
    words = [arg for arg in args if not arg.startswith("-")]
    rows = areas()
    if {"-a", "--all"} & set(args):
        show([])
        return 0
    code = 0
    for path in words:
        if not any(row["name"] == path for row in rows):
            print(f"swapoff: {path}: swapoff failed: Invalid argument", file=sys.stderr)
            code = 4
        rows = [row for row in rows if row["name"] != path]
    show(rows)
    return code


def mkswap(args: list[str]) -> int:
    words = [arg for arg in args if not arg.startswith("-")]
    if not words:
        print("mkswap: error: Nowhere to set up swap on?", file=sys.stderr)
        return 1
    path = words[0]
    try:
        place = device.path(path)
        size = os.path.getsize(place)
        if size < 10 * PAGE:
            print(f"mkswap: error: swap area needs to be at least {10 * PAGE // 1024} KiB", file=sys.stderr)
            return 1
        with open(place, "r+b") as stream:
            stream.write(bytes(1024) + b"\x01\x00\x00\x00")
            stream.seek(PAGE - len(SIGNATURE))
            stream.write(SIGNATURE)
    except OSError as problem:
        print(f"mkswap: cannot open {path}: {problem.strerror}", file=sys.stderr)
        return 1
    print(f"Setting up swapspace version 1, size = {(size - PAGE) / (1 << 20):.0f} MiB ({size - PAGE} bytes)")
    print("no label, UUID=00000000-0000-4000-8000-000000000000")
    return 0


def fallocate(args: list[str]) -> int:
    text, words = "", []
    rest = list(args)
    while rest:
        arg = rest.pop(0)
        if arg in ("-l", "--length"):
            text = rest.pop(0) if rest else ""
        elif arg.startswith("-l"):
            text = arg[2:]
        elif arg.startswith("--length="):
            text = arg.split("=", 1)[1]
        elif not arg.startswith("-"):
            words.append(arg)
    match = re.fullmatch(r"(\d+)([KMGT]?)(?:iB)?", text)
    if not match or not words:
        print(f"fallocate: {'invalid length value' if words else 'no filename'} specified", file=sys.stderr)
        return 1
    size = int(match[1]) * UNITS[match[2]]
    if size / 1e6 > apt_plan.free_mb():
        print("fallocate: fallocate failed: No space left on device", file=sys.stderr)
        return 1
    try:
        # A hole instead of blocks: the host's disk is not the board's to fill.
        with open(device.path(words[0]), "ab") as stream:
            stream.truncate(max(size, stream.tell()))
    except OSError as problem:
        print(f"fallocate: cannot open {words[0]}: {problem.strerror}", file=sys.stderr)
        return 1
    return 0


def zramctl(_args: list[str]) -> int:
    rows = [row for row in areas() if row["name"].startswith("/dev/zram")]
    if rows:
        print("NAME       ALGORITHM DISKSIZE DATA COMPR TOTAL STREAMS MOUNTPOINT")
    for row in rows:
        print(f"{row['name']} lzo          {row['kib'] / 1024:.1f}M   4K   64B    4K       4 [SWAP]")
    return 0


if __name__ == "__main__":
    device.run(main)
