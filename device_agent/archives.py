"""Archives, member by member: whether a folder already holds what is in one, and unpacking it there."""

import os
import re
import stat
import tarfile
import time
import zipfile
from collections import namedtuple

from .attributes import current_umask, group_id, user_id
from .errors import ActionError
from .files import CHUNK

Member = namedtuple("Member", "name kind size mode mtime link uid gid open")
"""kind: file, folder, link (symbolic) or hard; link: what it points at (of hard: a member's name); mode: bits,
or None where the archive has none; uid, gid: -1 for whoever unpacks; open() gives a stream of a file's bytes."""

_TAR_NAMES = {"gz": "TgzArchive", "bz2": "TarBzipArchive", "xz": "TarXzArchive", "": "TarArchive"}
_MAGIC = ((b"\x1f\x8b", "gz"), (b"BZh", "bz2"), (b"\xfd7zXZ\x00", "xz"))


class Archive(object):
    """An open archive.

    args:
        path (str): a tar file (plain, gzip, bzip2 or xz) or a zip file; what it is stands in its first bytes
        strip (int): drop so many folders from the front of each name
        same_owner (bool): members belong to whom the archive says; needs root
    Attributes:
        kind (str): ZipArchive, TgzArchive, TarArchive, TarBzipArchive or TarXzArchive, as Ansible calls its handlers
    raises:
        ActionError: it is neither, or this Python lacks the compression
    """

    def __init__(self, path, strip=0, same_owner=False):
        self.strip = strip
        self.same_owner = same_owner
        with open(path, "rb") as stream:
            head = stream.read(8)
        try:
            if head.startswith(b"PK"):
                self.kind = "ZipArchive"
                self._archive = zipfile.ZipFile(path)
            else:
                compression = next((name for magic, name in _MAGIC if head.startswith(magic)), "")
                self.kind = _TAR_NAMES[compression]
                self._archive = tarfile.open(path, "r:" + compression)
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as problem:
            raise ActionError(
                'Failed to find handler for "{}"'.format(path),
                "it is no archive that can be read here: {}".format(problem),
                "known: tar, tar.gz, tar.bz2, tar.xz, zip",
            )

    def close(self):
        self._archive.close()

    def members(self):
        """Every member with a safe name below the folder. raises: ActionError for one that points outside of it."""
        listed = self._zip_members() if self.kind == "ZipArchive" else self._tar_members()
        for member in listed:
            parts = [part for part in member.name.split("/") if part not in ("", ".")]
            if ".." in parts:
                raise _unsafe(member.name)
            parts = parts[self.strip :]
            if parts:
                yield member._replace(name="/".join(parts))

    def _tar_members(self):
        umask = 0 if os.geteuid() == 0 else current_umask()
        for info in self._archive:
            kind = "file" if info.isreg() else "folder" if info.isdir() else "link" if info.issym() else None
            kind = "hard" if info.islnk() else kind
            if kind is None:
                raise ActionError("{} in the archive is a device or a pipe".format(info.name), "those are not unpacked")
            link = info.linkname if kind in ("link", "hard") else None
            if kind == "hard":
                link = "/".join([part for part in link.split("/") if part not in ("", ".")][self.strip :])
            uid, gid = -1, -1
            if self.same_owner:
                uid = _known(user_id, info.uname, info.uid)
                gid = _known(group_id, info.gname, info.gid)
            mode = info.mode & 0o7777 & ~umask
            yield Member(
                info.name,
                kind,
                info.size,
                mode,
                info.mtime,
                link,
                uid,
                gid,
                lambda i=info: self._archive.extractfile(i),
            )

    def _zip_members(self):
        umask = current_umask()
        for info in self._archive.infolist():
            bits = info.external_attr >> 16
            mode = stat.S_IMODE(bits) & ~umask or None
            mtime = time.mktime(info.date_time + (0, 0, -1))
            kind, link = "file", None
            if info.filename.endswith("/"):
                kind = "folder"
            elif stat.S_ISLNK(bits):
                kind, link = "link", self._archive.read(info).decode("utf-8")
            yield Member(
                info.filename, kind, info.file_size, mode, mtime, link, -1, -1, lambda i=info: self._archive.open(i)
            )


def _known(find, name, number):
    found = find(name) if name else None
    return number if found is None else found


def _unsafe(name):
    return ActionError(
        "{} in the archive points outside of the folder".format(name), "nothing like it is unpacked", "mend the archive"
    )


def is_there(member, folder, ignore_mode=False, ignore_owner=False, ignore_group=False, keep_newer=False):
    """Whether the folder already holds a member as unpacking would leave it."""
    path = os.path.join(folder, member.name)
    try:
        status = os.lstat(path)
    except OSError:
        return False
    if member.kind == "link":
        return stat.S_ISLNK(status.st_mode) and os.readlink(path) == member.link
    if member.kind == "hard":
        other = os.path.join(folder, member.link)
        return os.path.exists(other) and os.path.samefile(path, other)
    if stat.S_ISDIR(status.st_mode) != (member.kind == "folder") or stat.S_ISLNK(status.st_mode):
        return False
    if not ignore_mode and member.mode is not None and stat.S_IMODE(status.st_mode) != member.mode:
        return False
    if not ignore_owner and member.uid not in (-1, status.st_uid):
        return False
    if not ignore_group and member.gid not in (-1, status.st_gid):
        return False
    if member.kind == "folder":
        return True
    if keep_newer and status.st_mtime > member.mtime:
        return True
    # A zip's times have a resolution of two seconds.
    return status.st_size == member.size and abs(status.st_mtime - member.mtime) < 2 and _same_bytes(member, path)


def _same_bytes(member, path):
    with member.open() as one, open(path, "rb") as other:
        while True:
            left = one.read(CHUNK)
            if left != other.read(CHUNK):
                return False
            if not left:
                return True


def unpack(member, folder):
    """Unpack one member; a folder's mode and time are for `finish_folder`, once everything is in it.

    raises: ActionError for a member whose place is reached through a link out of the folder. OSError.
    """
    path = os.path.join(folder, member.name)
    parent = os.path.dirname(path)
    top = os.path.realpath(folder)
    if not (os.path.realpath(parent) + "/").startswith(top.rstrip("/") + "/"):
        raise _unsafe(member.name)
    os.makedirs(parent, exist_ok=True)
    if member.kind == "folder":
        if os.path.islink(path) or (os.path.lexists(path) and not os.path.isdir(path)):
            os.unlink(path)
        os.makedirs(path, exist_ok=True)
        return
    temporary = os.path.join(parent, ".fleet-{}-{}.tmp".format(os.getpid(), os.urandom(4).hex()))
    try:
        if member.kind == "link":
            os.symlink(member.link, temporary)
        elif member.kind == "hard":
            source = os.path.join(folder, member.link)
            if not (os.path.realpath(source)).startswith(top.rstrip("/") + "/"):
                raise _unsafe(member.name)
            os.link(source, temporary)
        else:
            _write(member, temporary)
        os.rename(temporary, path)
    finally:
        # rename leaves both names where they were one file already.
        if os.path.lexists(temporary):
            os.unlink(temporary)
    if member.kind == "link":
        _own(member, path)


def _write(member, path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as target:
        with member.open() as source:
            while True:
                chunk = source.read(CHUNK)
                if not chunk:
                    break
                target.write(chunk)
    _own(member, path)
    os.chmod(path, 0o666 & ~current_umask() if member.mode is None else member.mode)
    os.utime(path, (member.mtime, member.mtime))


def finish_folder(member, folder):
    """Give an unpacked folder its owner, mode and time."""
    path = os.path.join(folder, member.name)
    _own(member, path)
    if member.mode is not None:
        os.chmod(path, member.mode)
    os.utime(path, (member.mtime, member.mtime))


def _own(member, path):
    if member.uid == -1 and member.gid == -1:
        return
    try:
        os.chown(path, member.uid, member.gid, follow_symlinks=False)
    except OSError:
        pass  # an owner who cannot exist here (a container's root, say): the file stays with whoever unpacks


def read_options(options):
    """{strip, same_owner (None: not said)} of tar's options. raises: ActionError (refused) for an unknown one."""
    known = {"strip": 0, "same_owner": None}
    words = []
    for option in options:
        words += option.split(None, 1) if option.startswith("--strip-components ") else [option]
    while words:
        word = words.pop(0)
        if word == "--strip-components" and words:
            word = "--strip-components=" + words.pop(0)
        match = re.match(r"--strip-components=(\d+)\Z", word)
        if match:
            known["strip"] = int(match.group(1))
        elif word in ("--same-owner", "--no-same-owner"):
            known["same_owner"] = word == "--same-owner"
        elif word not in ("--overwrite", "--no-overwrite-dir"):
            raise ActionError(
                "unarchive: extra option '{}' is not supported".format(word),
                "known: --strip-components=N, --same-owner, --no-same-owner, --overwrite",
                "unpack with the command module instead",
                kind="refused",
                argument="extra_opts",
            )
    return known
