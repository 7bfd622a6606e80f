"""ldconfig: notes which shared libraries there are in the folders that the loader looks in."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device

FOLDERS = ("/usr/lib/aarch64-linux-gnu", "/usr/local/lib")
CACHE = "/var/cache/ldconfig/libraries"


def main(argv: list[str]) -> int:
    if "-p" in argv or "--print-cache" in argv:
        lines = device.read(CACHE).splitlines() or _libraries()
        print(f"{len(lines)} libs found in cache `/etc/ld.so.cache'")
        for path in lines:
            print(f"\t{os.path.basename(path)} (libc6,AArch64) => {path}")
        return 0
    if not device.is_root():
        text = "/sbin/ldconfig.real: Can't create temporary cache file /etc/ld.so.cache~: Permission denied"
        print(text, file=sys.stderr)
        return 1
    device.write(CACHE, "".join(path + "\n" for path in _libraries()))
    return 0


def _libraries() -> list[str]:
    folders = list(FOLDERS)
    try:
        names = sorted(os.listdir(device.path("/etc/ld.so.conf.d")))
    except OSError:
        names = []
    for name in names:
        folders += [
            line.strip() for line in device.read(f"/etc/ld.so.conf.d/{name}").splitlines() if line.startswith("/")
        ]
    found = []
    for folder in dict.fromkeys(folders):
        if os.path.isdir(device.path(folder)):
            found += [f"{folder}/{n}" for n in sorted(os.listdir(device.path(folder))) if ".so" in n]
    return found


if __name__ == "__main__":
    device.run(main)
