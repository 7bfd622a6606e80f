"""What a path is."""

import os
import stat as modes

from ..arguments import Flag, Text, accepts
from ..attributes import Path, group_name, user_name
from ..files import device_path, shown_path
from ..payload import checksum_of
from ..process import capture, find_tool
from ..results import Result

ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_ATTRIBUTE_NAMES = {
    "A": "noatime",
    "a": "append",
    "c": "compressed",
    "C": "nocow",
    "d": "nodump",
    "D": "dirsync",
    "e": "extents",
    "E": "encrypted",
    "i": "immutable",
    "I": "indexed",
    "j": "journalled",
    "N": "inline",
    "s": "secure-delete",
    "S": "synchronous",
    "t": "notail",
    "T": "topdir",
    "u": "undelete",
}


@accepts(
    path=Path(),
    follow=Flag(False),
    get_checksum=Flag(True),
    get_mime=Flag(True),
    get_attributes=Flag(True),
    checksum_algorithm=Text("sha1", choices=ALGORITHMS),
)
def stat(args, context):
    """Look at a path.

    args:
        path (str), follow (bool): of a link look at what it points at
        get_checksum, get_mime, get_attributes (bool), checksum_algorithm (str)
    data:
        stat: {"exists": false}, or what `facts_of` tells with path, readable, writeable, executable; lnk_source and
            lnk_target of a link; pw_name and gr_name where they have names; checksum of a file that can be read;
            mimetype and charset as `file` tells them; version, attributes and attr_flags as `lsattr` does
    """
    real = device_path(args.path)
    try:
        status = os.stat(real) if args.follow else os.lstat(real)
    except (FileNotFoundError, NotADirectoryError):
        return Result(data={"stat": {"exists": False}})
    told = dict(facts_of(status), exists=True, path=args.path)
    for name, key in (("st_blocks", "blocks"), ("st_blksize", "block_size"), ("st_rdev", "device_type")):
        told[key] = getattr(status, name)
    for key, right in (("readable", os.R_OK), ("writeable", os.W_OK), ("executable", os.X_OK)):
        told[key] = os.access(real, right)
    if told["islnk"]:
        told["lnk_source"] = shown_path(os.path.realpath(real))
        told["lnk_target"] = os.readlink(real)
    names = {"pw_name": user_name(status.st_uid), "gr_name": group_name(status.st_gid)}
    told.update({key: name for key, name in names.items() if name is not None})
    if args.get_checksum and told["isreg"] and told["readable"]:
        told["checksum"] = checksum_of(real, args.checksum_algorithm)
    if args.get_mime:
        told.update(_mime(real))
    if args.get_attributes:
        told.update(_attributes(real))
    return Result(data={"stat": told})


def facts_of(status):
    """What an `os.stat_result` says, under Ansible's names; mode as four octal digits."""
    mode = status.st_mode
    told = {
        "mode": "{:04o}".format(modes.S_IMODE(mode)),
        "isdir": modes.S_ISDIR(mode),
        "ischr": modes.S_ISCHR(mode),
        "isblk": modes.S_ISBLK(mode),
        "isreg": modes.S_ISREG(mode),
        "isfifo": modes.S_ISFIFO(mode),
        "islnk": modes.S_ISLNK(mode),
        "issock": modes.S_ISSOCK(mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
        "size": status.st_size,
        "inode": status.st_ino,
        "dev": status.st_dev,
        "nlink": status.st_nlink,
        "atime": status.st_atime,
        "mtime": status.st_mtime,
        "ctime": status.st_ctime,
        "isuid": bool(mode & modes.S_ISUID),
        "isgid": bool(mode & modes.S_ISGID),
    }
    for who, shift in (("usr", 6), ("grp", 3), ("oth", 0)):
        for letter, bit in (("r", 4), ("w", 2), ("x", 1)):
            told[letter + who] = bool(mode >> shift & bit)
    return told


def _mime(real):
    told = {"mimetype": "unknown", "charset": "unknown"}
    tool = find_tool("file")
    if tool:
        output = capture([tool, "--mime-type", "--mime-encoding", real])
        kind, separator, charset = output.stdout.rpartition(":")[2].partition(";")
        if output.rc == 0 and separator and "=" in charset:
            told = {"mimetype": kind.strip(), "charset": charset.partition("=")[2].strip()}
    return told


def _attributes(real):
    told = {"version": None, "attributes": [], "attr_flags": ""}
    tool = find_tool("lsattr")
    if tool:
        output = capture([tool, "-vd", real])
        words = output.stdout.split()
        if output.rc == 0 and len(words) >= 2:
            flags = words[1].replace("-", "")
            told = {
                "version": words[0],
                "attr_flags": flags,
                "attributes": [_ATTRIBUTE_NAMES[flag] for flag in flags if flag in _ATTRIBUTE_NAMES],
            }
    return told
