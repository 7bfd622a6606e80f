"""The last step of `setup.py install`: copies packages of the working folder to where Python finds them."""

from __future__ import annotations

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import pip_options
import pip_place
import standins


def main(argv: list[str]) -> int:
    options = pip_options.Options(flags={arg for arg in argv if arg == "--user"})
    name, version, *packages = (arg for arg in argv if not arg.startswith("-"))
    place = pip_place.find()
    target = place.system_folder()
    if options.on("--user"):
        target = place.user_folder()
    elif not device.is_root():
        print(
            f"error: can't create or remove files in install directory\n\n[Errno 13] Permission denied: '{target}/'",
            file=sys.stderr,
        )
        return 1
    files = {}
    for package in packages:
        folder = package.replace(".", "/")
        for file in sorted(os.listdir(folder)):
            if file.endswith(".py"):
                with open(f"{folder}/{file}", encoding="utf-8") as stream:
                    files[f"{folder}/{file}"] = stream.read()
    standins.install(name, version, target, installer="setup.py", texts=files)
    print(f"Installed {target}/{name}-{version}-py{place.python}.egg")
    return 0


if __name__ == "__main__":
    device.run(main)
