"""Reads .deb files: an ar archive with a control file and the package's own files."""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device


class NotADeb(Exception):
    """The file is something else."""


class Deb:
    """One package file; `control` has its fields."""

    def __init__(self, control: dict[str, str], data: bytes) -> None:
        self.control = control
        self.data = data

    def archive(self) -> dict[str, str]:
        """Packages that a local repository brings, by the Packages files in it."""
        found = {}
        with tarfile.open(fileobj=io.BytesIO(self.data)) as tar:
            for member in tar:
                if member.isfile() and os.path.basename(member.name) == "Packages":
                    stream = tar.extractfile(member)
                    text = stream.read().decode() if stream else ""
                    for block in text.split("\n\n"):
                        fields = control_fields(block)
                        if {"Package", "Version"} <= set(fields):
                            found[fields["Package"]] = fields["Version"]
        return found

    def unpack(self) -> None:
        """Put the package's files on the device; only plain files and links."""
        with tarfile.open(fileobj=io.BytesIO(self.data)) as tar:
            for member in tar:
                path = os.path.normpath("/" + member.name)
                if member.issym():
                    place = device.path(path)
                    os.makedirs(os.path.dirname(place), exist_ok=True)
                    if os.path.lexists(place):
                        os.unlink(place)
                    os.symlink(member.linkname, place)
                elif member.isfile():
                    stream = tar.extractfile(member)
                    device.write(path, stream.read().decode("utf-8", "replace") if stream else "")


def read(path: str) -> Deb:
    """Raises: OSError, NotADeb."""
    with open(path, "rb") as stream:
        raw = stream.read()
    parts = {}
    if not raw.startswith(b"!<arch>\n"):
        raise NotADeb("dpkg-deb --control subprocess returned error exit status 2")
    place = 8
    while place + 60 <= len(raw):
        header = raw[place : place + 60]
        size = int(header[48:58])
        parts[header[:16].decode().strip().rstrip("/")] = raw[place + 60 : place + 60 + size]
        place += 60 + size + size % 2
    control = next((data for name, data in parts.items() if name.startswith("control.tar")), None)
    data = next((data for name, data in parts.items() if name.startswith("data.tar")), None)
    if control is None or data is None:
        raise NotADeb("dpkg-deb --control subprocess returned error exit status 2")
    with tarfile.open(fileobj=io.BytesIO(control)) as tar:
        member = next(m for m in tar if os.path.basename(m.name) == "control")
        content = tar.extractfile(member)
        text = content.read().decode() if content else ""
    return Deb(control_fields(text), data)


def control_fields(text: str) -> dict[str, str]:
    return dict(re.findall(r"(?m)^([A-Za-z-]+): *(.*)$", text))


def main(argv: list[str]) -> int:
    """dpkg-deb: --field and --info."""
    if len(argv) < 2 or argv[0] not in ("-f", "--field", "-I", "--info"):
        print("dpkg-deb: error: need an action option", file=sys.stderr)
        return 2
    try:
        fields = read(argv[1]).control
    except OSError:
        print(f"dpkg-deb: error: failed to read archive '{argv[1]}': No such file or directory", file=sys.stderr)
        return 2
    except NotADeb:
        print(f"dpkg-deb: error: '{argv[1]}' is not a Debian format archive", file=sys.stderr)
        return 2
    wanted = [name for name in argv[2:] if name in fields]
    if len(argv) == 3 and argv[0] in ("-f", "--field"):
        print("".join(fields[name] for name in wanted))
        return 0
    for name in wanted or fields:
        print(f"{name}: {fields[name]}")
    return 0


if __name__ == "__main__":
    device.run(main)
