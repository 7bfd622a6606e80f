"""Where pip runs: for which Python of the device, as whom, and where that puts packages."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

import apt_plan
import device
import standins

LEAST_MB = 40
"""Room without which an installation fails."""


@dataclass(frozen=True)
class Installed:
    name: str
    version: str
    folder: str
    canonical: str


@dataclass
class Place:
    python: str
    """Major and minor version, like `3.6`."""
    home: str
    """Folder on the device that holds this pip; empty where none is installed."""
    pip_version: str
    machine: str

    @property
    def pip(self) -> tuple[int, ...]:
        return tuple(int(n) for n in re.findall(r"\d+", self.pip_version)[:3])

    def shown_home(self) -> str:
        return self.home + ("" if self.pip < (10,) else "/pip")

    def folders(self) -> list[str]:
        """Where packages can be, in the order of sys.path."""
        own = [self.user_folder()] if not device.is_root() or os.environ.get("HOME") != "/root" else []
        return [
            *own,
            self.system_folder(),
            "/usr/lib/python3/dist-packages",
            f"/usr/lib/python{self.python}/dist-packages",
        ]

    def user_folder(self) -> str:
        home = os.environ.get("HOME", "/root") if not device.ROOT else f"/home/{device.profile()['user']}"
        return f"{home}/.local/lib/python{self.python}/site-packages"

    def system_folder(self) -> str:
        return f"/usr/local/lib/python{self.python}/dist-packages"

    def installed(self) -> dict[str, Installed]:
        """By canonical name, the first of each that Python would import."""
        found: dict[str, Installed] = {}
        for folder in self.folders():
            for name, version, about in standins.installed(folder):
                text = device.read(f"{folder}/{about}/METADATA") or device.read(f"{folder}/{about}/PKG-INFO")
                spelled = re.search(r"(?m)^Name: (.+)$", text)
                found.setdefault(name, Installed(spelled[1] if spelled else name, version, folder, name))
        return found

    def target(self, options: object) -> str:
        """Where an installation goes: without --user root's goes to the system, anybody else's to the user."""
        value = options.value("--target", "-t")  # type: ignore[attr-defined]
        if value:
            return os.path.abspath(value)
        if options.on("--user") or not device.is_root():  # type: ignore[attr-defined]
            if not options.on("--user") and self.pip >= (20,):  # type: ignore[attr-defined]
                print("Defaulting to user installation because normal site-packages is not writeable")
            return self.user_folder()
        return self.system_folder()

    def scripts(self, target: str) -> str:
        if target == self.user_folder():
            return os.path.normpath(target + "/../../../bin")
        return "/usr/local/bin" if target == self.system_folder() else target + "/bin"

    def cache_folder(self) -> str:
        home = os.environ.get("HOME", "/root") if not device.ROOT else f"/home/{device.profile()['user']}"
        return f"{home}/.cache/pip/wheels"

    def managed(self) -> bool:
        """PEP 668: Debian's marker, from Python 3.11 on."""
        return os.path.exists(device.path(f"/usr/lib/python{self.python}/EXTERNALLY-MANAGED"))


def find() -> Place:
    """The place of the pip that was called; FLEET_LAB_PIP names its folder (`python3 -m pip` sets it)."""
    profile = device.profile()
    python = str(profile["python"])
    used = re.search(r"python(\d+\.\d+)", os.path.realpath(device.path("/usr/bin/python3")))
    if used and not device.ROOT:
        python = used[1]
    machine = "x86_64" if profile.get("tensorrt", {}).get("platform") == "x86_64" else "aarch64"
    place = Place(python, "", "9.0.1", machine)
    asked = os.environ.get("FLEET_LAB_PIP", "")
    for folder in [asked, *place.folders()] if asked else place.folders():
        for name, version, _ in standins.installed(folder):
            if name == "pip":
                return Place(python, folder, version, machine)
    return place


def full() -> bool:
    return apt_plan.free_mb() < LEAST_MB
