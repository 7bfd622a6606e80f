"""What a package brings to the device's file system, put there and taken away again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import device
import launcher
import standins


def place(name: str, profile: dict[str, Any]) -> None:
    """Put the contents of a package on the device; what is there already is replaced."""
    contents = profile.get("contents", {}).get(name)
    if not contents:
        return
    for path, text in contents.get("files", {}).items():
        device.write(path, text)
    for path, tool in contents.get("tools", {}).items():
        device.write(path, launcher.script(tool))
        os.chmod(device.path(path), 0o555)
    for command in contents.get("commands", []):
        link(f"/usr/bin/{command}", f"/.lab/host/usr/bin/{command}")
    for path, target in contents.get("links", {}).items():
        link(path, target)
    for path, source in contents.get("trees", {}).items():
        tree(path, os.path.join(standins.SOURCES, source))
    for distribution, version in contents.get("python", {}).items():
        standins.install(distribution, version, _python_folder(distribution, profile), installer="apt")


def take_away(name: str, profile: dict[str, Any]) -> None:
    """Remove the contents of a package, and the folders that this leaves empty."""
    contents = profile.get("contents", {}).get(name, {})
    paths = [*contents.get("files", {}), *contents.get("tools", {}), *contents.get("links", {})]
    paths += [f"/usr/bin/{command}" for command in contents.get("commands", [])]
    for path in paths:
        if os.path.lexists(device.path(path)):
            _unlocked(os.path.dirname(device.path(path)), os.unlink, device.path(path))
            _drop_empty(os.path.dirname(path))
    for path in contents.get("trees", {}):
        shutil.rmtree(device.path(path), ignore_errors=True)
    for distribution in contents.get("python", {}):
        standins.uninstall(distribution, _python_folder(distribution, profile))


def link(path: str, target: str) -> None:
    """A symbolic link, its folders made, in place of whatever is there."""
    place = device.path(path)
    os.makedirs(os.path.dirname(place), exist_ok=True)
    temporary = f"{place}.{os.getpid()}~"
    os.symlink(target, temporary)
    if os.path.isdir(place) and not os.path.islink(place):
        os.unlink(temporary)  # a folder of the image: what links here would have named is inside it
        return
    os.replace(temporary, place)


def tree(path: str, source: str) -> None:
    """A copy of a folder of the lab, owned by root."""
    for folder, _, names in os.walk(source):
        inner = os.path.relpath(folder, source)
        for name in names:
            with open(os.path.join(folder, name), encoding="utf-8") as stream:
                text = stream.read()
            target = os.path.normpath(os.path.join(path, inner, name))
            device.write(target, text)
            if text.startswith("#!"):
                os.chmod(device.path(target), 0o555)


def _python_folder(distribution: str, profile: dict[str, Any]) -> str:
    if distribution == "tensorrt":
        return f"/usr/lib/python{profile['python']}/dist-packages"
    return "/usr/lib/python3/dist-packages"


def _drop_empty(folder: str) -> None:
    while folder.count("/") > 3:
        try:
            os.rmdir(device.path(folder))
        except OSError:
            return
        folder = os.path.dirname(folder)


def _unlocked(folder: str, work: Callable[[str], None], path: str) -> None:
    """In a prefix the caller is no real root: folders of root's have no write bit there."""
    mode = os.stat(folder).st_mode
    if not os.access(folder, os.W_OK):
        os.chmod(folder, mode | 0o200)
        try:
            work(path)
        finally:
            os.chmod(folder, mode)
    else:
        work(path)
