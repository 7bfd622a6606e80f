"""Unpack an archive into a folder that does not hold it yet."""

import fnmatch
import glob
import os

from ..archives import Archive, finish_folder, is_there, read_options, unpack
from ..arguments import Flag, Sequence, Text, accepts
from ..attributes import Attributes, Path, as_text, attribute_arguments, describe
from ..errors import ActionError
from ..files import device_path, remove
from ..payload import Payload, payload_arguments
from ..placing import attribute_diff
from ..results import Result

DIFF_NAMES = 100


@accepts(
    src=Text(),
    dest=Path(),
    remote_src=Flag(False),
    creates=Path(None),
    list_files=Flag(False),
    keep_newer=Flag(False),
    include=Sequence(Text(), default=()),
    exclude=Sequence(Text(), default=()),
    extra_opts=Sequence(Text(), default=()),
    validate_certs=Flag(True),
    unsent=Flag(False),
    **dict(attribute_arguments(), **payload_arguments()),
)
def unarchive(args, context):
    """Unpack a tar (plain, gz, bz2, xz) or zip archive.

    Names, types, sizes, times, modes, owners (as root) and bytes are compared first; nothing is written where all of it
    is there already. Names that lead out of the folder are refused.

    args:
        content_base64 or blob: the archive; or src (str, with remote_src): its path or URL; or, in check mode, unsent:
            it is too large to travel for a prediction
        dest (str): a folder that exists
        creates (str): a glob; where it matches nothing is done
        include, exclude ([str]): shell patterns of names; keep_newer (bool): leave files that are newer
        extra_opts ([str]): tar's --strip-components=N, --same-owner, --no-same-owner
        list_files (bool), mode, owner, group (of all that is unpacked)
    data:
        dest, src, handler (str), files ([str], with list_files), and what `describe` tells of dest
    """
    options = read_options(args.extra_opts)
    if args.include and args.exclude:
        raise ActionError("unarchive: give one of 'include' and 'exclude'", kind="refused", argument="include")
    if args.creates and glob.glob(device_path(args.creates)):
        return Result(False, {"skipped": True, "msg": "skipped, since {} exists".format(args.creates)})
    folder = device_path(args.dest)
    if not os.path.isdir(folder):
        raise ActionError(
            "Destination '{}' is not a directory".format(args.dest), "", "make it with file: state=directory"
        )
    if context.check and (args.unsent or "://" in args.src):
        message = "it would be unpacked if it is not there yet; check mode does not fetch the archive to compare"
        return Result(True, dict(describe(args.dest), dest=args.dest, src=args.src, msg=message))
    temporary, source = _source(args, context)
    try:
        same_owner = os.geteuid() == 0 if options["same_owner"] is None else options["same_owner"]
        archive = Archive(source, options["strip"], same_owner)
        try:
            return _unarchive(archive, folder, args, context)
        finally:
            archive.close()
    finally:
        if temporary:
            remove(temporary)


def _source(args, context):
    """(a temporary file to remove or None, the archive's path)"""
    payload = Payload.of(args, context, "unarchive")
    if payload is not None and not isinstance(payload.content, bytes):
        return None, payload.content
    if payload is None and "://" not in args.src:
        if not args.remote_src:
            raise ActionError("unarchive: it has no content", kind="refused", argument="content_base64")
        source = device_path(os.path.expanduser(args.src))
        if not os.path.isfile(source):
            raise ActionError("Source '{}' does not exist".format(args.src))
        if os.path.getsize(source) == 0:
            raise ActionError("Invalid archive '{}', the file is 0 bytes".format(args.src))
        return None, source
    import tempfile

    fd, path = tempfile.mkstemp(prefix="fleet-archive-")
    try:
        with os.fdopen(fd, "wb") as stream:
            if payload is not None:
                stream.write(payload.content)
            else:
                from ..web import Request

                Request(args.src, validate_certs=args.validate_certs).download(stream)
    except BaseException:
        remove(path)
        raise
    return path, path


def _unarchive(archive, folder, args, context):
    try:
        members = [member for member in archive.members() if _chosen(member.name, args)]
        missing = [
            member
            for member in members
            if not is_there(
                member,
                folder,
                ignore_mode=args.mode is not None,
                ignore_owner=args.owner is not None,
                ignore_group=args.group is not None,
                keep_newer=args.keep_newer,
            )
        ]
        if missing and not context.check:
            for member in missing:
                unpack(member, folder)
            # From the innermost: a folder's time changes as long as something is put into it.
            for member in reversed(missing):
                if member.kind == "folder":
                    finish_folder(member, folder)
    except (EOFError, ValueError) as problem:
        raise ActionError("the archive is damaged", str(problem), "fetch it again")
    found = _set_attributes(members, folder, args, context.check)
    data = dict(describe(args.dest), dest=args.dest, src=args.src, handler=archive.kind)
    if args.list_files:
        data["files"] = [member.name + ("/" if member.kind == "folder" else "") for member in members]
    return Result(bool(missing or found), data, _diff(args.dest, missing, found))


def _chosen(name, args):
    if args.include:
        return any(fnmatch.fnmatch(name, pattern) for pattern in args.include)
    # What lies under an excluded folder is excluded with it, as tar has it.
    parts = name.split("/")
    names = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    return not any(fnmatch.fnmatch(each, pattern) for each in names for pattern in args.exclude)


def _set_attributes(members, folder, args, check):
    wanted = Attributes.of(args)
    if (wanted.mode, wanted.owner, wanted.group) == (None, None, None):
        return []
    names = [member.name for member in members]
    # Folders that stand only in the names of their files, too.
    tops = sorted({name.split("/")[0] for name in names if "/" in name} - set(names))
    found = []
    for name in names + tops:
        path = os.path.join(folder, name)
        if os.path.lexists(path):
            found += wanted.apply(path, check, follow=False)
    return found


def _diff(dest, missing, found):
    if not missing and not found:
        return None
    names = [member.name for member in missing[:DIFF_NAMES]]
    if len(missing) > DIFF_NAMES:
        names.append("... {} more".format(len(missing) - DIFF_NAMES))
    before, after = as_text(found[:DIFF_NAMES])
    return attribute_diff(dest, before, "".join(name + "\n" for name in names) + after)
