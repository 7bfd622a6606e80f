"""Put content that a task brings along, or a file of the device, where it belongs."""

import os
import shutil
import stat

from ..arguments import SHA1, Flag, Integer, Record, Sequence, Text, accepts
from ..attributes import Attributes, Mode, Path, as_text, attribute_arguments, describe, state_of
from ..errors import ActionError
from ..files import device_path, shown_path
from ..payload import Payload, checksum_of, decode, payload_arguments
from ..placing import DIFF_LIMIT, attribute_diff, back_up, check_validator, content_diff, place, read_for_diff
from ..results import Result

_FILE = Record(
    path=Text(), content_base64=Text(None), blob=Text(None), sha1=Text(pattern=SHA1), mode=Integer(None, minimum=0)
)
_LINK = Record(path=Text(), src=Text())


@accepts(
    dest=Path(),
    src=Text(None),
    name=Text(None),
    remote_src=Flag(False),
    preserve=Flag(False),
    sha1=Text(None, pattern=SHA1),
    checksum=Text(None),
    files=Sequence(_FILE, default=None),
    folders=Sequence(Text(), default=()),
    links=Sequence(_LINK, default=()),
    backup=Flag(False),
    force=Flag(True),
    follow=Flag(False),
    local_follow=Flag(True),
    validate=Text(None),
    directory_mode=Mode(None),
    **dict(attribute_arguments(), **payload_arguments()),
)
def copy(args, context):
    """Make a file (or what is below a folder) have the content that the task brings.

    args:
        dest (str): a file, or a folder (it is one, or the path ends with a slash) where `name` goes
        content_base64 or blob: the content; its sha1 alone is enough in check mode, and where the file has it already
        remote_src (bool): `src` is a file or folder of the device itself; preserve (bool): its mode is wanted
        files ([{path, sha1, mode, content_base64 or blob}]), folders ([str]), links ([{path, src}]): instead of one
            content a whole tree below `dest`
        checksum (str): sha1 that the content must have
        backup, force (false: leave what is there), follow (a link at dest stays one), validate, directory_mode (of
            folders that are made on the way), mode, owner, group
    data:
        dest, src, checksum (sha1), md5sum, backup_file where one was made, and what `describe` tells
    """
    check_validator(args.validate)
    work = _Copy(args, context)
    if args.remote_src:
        result = _remote(work, args)
    elif args.files is not None:
        result = _tree(work, args, context)
    else:
        payload = Payload.of(args, context, "copy")
        content = payload.content if payload else None
        sha1 = payload.checksum() if payload else args.sha1
        if sha1 is None:
            raise ActionError("copy: it has no content", kind="refused", argument="content_base64")
        if args.checksum and sha1 != args.checksum:
            raise _wrong_checksum(sha1, args.checksum)
        result = work.result(work.file(args.dest, content, sha1, args.name, work.attributes), sha1)
    return result


def _wrong_checksum(found, wanted):
    return ActionError(
        "Copied file does not match the expected checksum. Transfer failed.",
        "its sha1 is {}, {} was expected".format(found, wanted),
        checksum=found,
        expected_checksum=wanted,
    )


class _Copy(object):
    """Collects what one call changes."""

    def __init__(self, args, context):
        self.args = args
        self.check = context.check
        self.attributes = Attributes.of(args)
        self.changed = False
        self.diff = None
        self.data = {}

    def file(self, dest, content, sha1, name, attributes):
        """Place one file; the path (of the device) that it went to.

        args:
            content (bytes, a path as str, or None: not here); name: in a folder
        """
        real = device_path(dest)
        if dest.endswith("/") or os.path.isdir(real):
            if dest.endswith("/"):
                self.folder(dest.rstrip("/") or "/")
            if not name:
                raise ActionError("{} is a folder".format(dest), "the content has no name of its own", "name the file")
            dest = os.path.join(dest, name)
            real = device_path(dest)
        if self.args.follow and os.path.islink(real):
            dest = shown_path(os.path.realpath(real))
            real = device_path(dest)
        before = state_of(real)
        if before != "absent" and not self.args.force:
            self.data["msg"] = "file already exists"
            return dest
        if not self.check and not os.path.isdir(os.path.dirname(real) or "."):
            folder = os.path.dirname(dest)
            what = "Destination directory {} does not exist".format(folder)
            raise ActionError(what, "", "make it with file: state=directory, or end dest with a slash")
        if before == "directory":
            raise ActionError("{} is a folder".format(dest))
        same = before in ("file", "hard") and _sha1(real) == sha1
        if same:
            self._attributes(dest, real, attributes)
        else:
            self._write(dest, real, content, sha1, attributes, before)
        return dest

    def _write(self, dest, real, content, sha1, attributes, before):
        self.changed = True
        if content is None and not self.check:
            raise ActionError("copy: the content of {} is missing".format(dest), kind="refused")
        if self.diff is None:
            old = None if before == "absent" else read_for_diff(real)
            new = content if content is None or isinstance(content, bytes) else read_for_diff(content)
            self.diff = content_diff(dest, old, new[: DIFF_LIMIT + 1] if new else new)
        if self.check:
            return
        if self.args.backup and before in ("file", "hard"):
            self.data["backup_file"] = shown_path(back_up(real))
        place(real, content, attributes, self.args.validate)

    def _attributes(self, dest, real, attributes, follow=True):
        found = attributes.apply(real, self.check, follow)
        if found:
            self.changed = True
            if self.diff is None:
                self.diff = attribute_diff(dest, *as_text(found))

    def folder(self, dest):
        """Make a folder and those above it; ones that were there are left as they are."""
        real = device_path(dest)
        missing = []
        while not os.path.isdir(real):
            missing.append(real)
            real = os.path.dirname(real)
        if not missing:
            return
        self.changed = True
        if self.check:
            return
        wanted = Attributes(self.args.directory_mode, self.args.owner, self.args.group)
        wanted.ids()
        for real in reversed(missing):
            os.mkdir(real)
            wanted.apply(real, False)

    def link(self, dest, source):
        real = device_path(dest)
        if os.path.islink(real) and os.readlink(real) == source:
            return
        self.changed = True
        if self.check:
            return
        if os.path.lexists(real):
            os.unlink(real)
        os.symlink(source, real)

    def result(self, dest, sha1):
        data = dict(describe(dest), dest=dest, src=self.args.src, checksum=sha1, **self.data)
        if os.path.isfile(device_path(dest)) and not self.check:
            data["md5sum"] = checksum_of(device_path(dest), "md5")
        return Result(self.changed, data, self.diff)


def _tree(work, args, context):
    """Everything of a folder that the controller walked."""
    for folder in args.folders:
        work.folder(os.path.join(args.dest, folder))
    last = None
    for entry in args.files:
        content = None
        if entry["content_base64"] is not None:
            content = decode(entry["content_base64"], "copy")
        elif entry["blob"] is not None:
            content = context.root.blob(entry["blob"])
        name = os.path.join(args.dest, entry["path"])
        work.folder(os.path.dirname(name))
        mode = entry["mode"] if entry["mode"] is not None else args.mode
        last = work.file(name, content, entry["sha1"], None, Attributes(mode, args.owner, args.group))
    for entry in args.links:
        work.folder(os.path.dirname(os.path.join(args.dest, entry["path"])))
        work.link(os.path.join(args.dest, entry["path"]), entry["src"])
    if len(args.files) == 1 and last:
        return work.result(last, args.files[0]["sha1"])
    return Result(work.changed, {"dest": args.dest, "src": args.src}, work.diff)


def _remote(work, args):
    """A file or folder of the device itself."""
    if not args.src:
        raise ActionError("copy: argument 'src' is missing", kind="refused", argument="src")
    source = device_path(os.path.expanduser(args.src))
    if not os.path.exists(source):
        raise ActionError("Source {} not found".format(args.src))
    if not os.access(source, os.R_OK):
        raise ActionError("Source {} not readable".format(args.src), "", "run the task with become: true")
    if os.path.isdir(source):
        return _remote_folder(work, args, source)
    if not os.path.isfile(source):
        raise ActionError("Cannot copy invalid source '{}': not a file".format(args.src))
    sha1 = checksum_of(source)
    if args.checksum and sha1 != args.checksum:
        raise _wrong_checksum(sha1, args.checksum)
    attributes = work.attributes
    bits = stat.S_IMODE(os.stat(source).st_mode)
    name = os.path.basename(args.src)
    target = device_path(os.path.join(args.dest, name) if os.path.isdir(device_path(args.dest)) else args.dest)
    if args.preserve or (attributes.mode is None and not (os.path.isfile(target) and _sha1(target) == sha1)):
        # A copy on the device carries its mode along; one that was there already keeps what it has.
        attributes = Attributes(bits, args.owner, args.group)
    return work.result(work.file(args.dest, source, sha1, name, attributes), sha1)


def _remote_folder(work, args, source):
    """`src` with a slash at its end stands for what is in it, without for the folder itself."""
    dest = args.dest if args.src.endswith("/") else os.path.join(args.dest, os.path.basename(args.src))
    dest = dest.rstrip("/") or "/"
    _copy_below(work, source, dest, args)
    return Result(work.changed, dict(describe(dest), dest=args.dest, src=args.src), work.diff)


def _copy_below(work, source, dest, args):
    ownership = Attributes(None, args.owner, args.group)
    is_new = not os.path.isdir(device_path(dest))
    work.folder(dest)
    if is_new and not work.check and args.directory_mode is None:
        shutil.copymode(source, device_path(dest))
    if os.path.isdir(device_path(dest)):
        work._attributes(dest, device_path(dest), ownership)
    for name in sorted(os.listdir(source)):
        here, there = os.path.join(source, name), os.path.join(dest, name)
        if os.path.islink(here) and not args.local_follow:
            work.link(there, os.readlink(here))
        elif os.path.isdir(here):
            _copy_below(work, here, there, args)
        elif os.path.isfile(here):
            bits = stat.S_IMODE(os.stat(here).st_mode)
            sha1 = checksum_of(here)
            same = os.path.isfile(device_path(there)) and _sha1(device_path(there)) == sha1
            mode = args.mode if args.mode is not None else None if same else bits
            if same or not work.check or os.path.isdir(device_path(dest)):
                work.file(there, here, sha1, None, Attributes(mode, args.owner, args.group))
            else:
                work.changed = True


def _sha1(real):
    try:
        return checksum_of(real)
    except OSError:
        return None
