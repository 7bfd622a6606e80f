"""Content-addressed blobs: what is missing, uploads verified on arrival; and files read back."""

import base64
import hashlib
import os

from ..arguments import SHA256, Integer, Sequence, Text, accepts
from ..errors import ActionError
from ..files import free_bytes, make_folder, remove, sha256_of, sync_file, sync_folder, write_atomic
from ..results import Result

INLINE_LIMIT = 100 * 1024
READ_LIMIT = 1024 * 1024
RESERVE_BYTES = 64 * 1024 * 1024
"""Left free on the device's disk, for logs and states."""

_DIGEST = Text(pattern=SHA256, allowed="a sha256 as 64 lower-case hex digits")


@accepts(digests=Sequence(_DIGEST))
def blob_missing(args, context):
    """Which of these blobs the device lacks; those in `blobs/` were verified when they came.

    data:
        missing ([str])
    """
    missing = [digest for digest in args.digests if not os.path.isfile(context.root.blob(digest))]
    return Result(data={"missing": missing})


@accepts(digest=_DIGEST, size_bytes=Integer(minimum=0))
def blob_prepare(args, context):
    """Where to upload a blob to.

    data:
        path (str): any half upload that lay there is gone
    raises:
        ActionError: not enough free space (data: needed, free, in bytes)
    """
    path = context.root.blob_upload(args.digest)
    free = free_bytes(context.root.blobs)
    needed = args.size_bytes + RESERVE_BYTES
    if free is not None and free < needed:
        raise ActionError(
            "the disk lacks room for {} MiB".format(args.size_bytes >> 20),
            "{} MiB are free below {}".format(free >> 20, context.root.path),
            "remove old engines or releases, or set fleet_root to a larger disk",
            needed=needed,
            free=free,
        )
    if not context.check:
        make_folder(context.root.blobs)
        remove(path)
    return Result(data={"path": path})


@accepts(digest=_DIGEST)
def blob_commit(args, context):
    """Verify an upload and make it a blob.

    data:
        path (str), size_bytes (int)
    raises:
        ActionError: nothing was uploaded, or other bytes arrived (the upload is removed; data: sha256, size_bytes)
    """
    path = context.root.blob(args.digest)
    upload = context.root.blob_upload(args.digest)
    if not os.path.isfile(upload):
        if os.path.isfile(path):
            return Result(False, {"path": path, "size_bytes": os.path.getsize(path)})
        raise ActionError("blob {} was not uploaded".format(args.digest[:12]), remedy="push it again")
    digest = sha256_of(upload)
    size_bytes = os.path.getsize(upload)
    if digest != args.digest:
        remove(upload)
        raise ActionError(
            "blob {} arrived damaged".format(args.digest[:12]),
            "{} bytes arrived, their sha256 is {}".format(size_bytes, digest),
            "push it again; if it happens again, suspect the device's storage",
            kind="refused",
            sha256=digest,
            size_bytes=size_bytes,
        )
    if context.check:
        return Result(True, {"path": path, "size_bytes": size_bytes})
    sync_file(upload)
    os.chmod(upload, 0o644)
    os.replace(upload, path)
    sync_folder(context.root.blobs)
    return Result(True, {"path": path, "size_bytes": size_bytes})


@accepts(digest=_DIGEST, content=Text())
def blob_write(args, context):
    """Write a small blob that rides in the call.

    args:
        content (str): base64, at most 100 KiB decoded
    data:
        path (str), size_bytes (int)
    """
    try:
        content = base64.b64decode(args.content.encode("ascii"), validate=True)
    except (ValueError, UnicodeError):
        raise ActionError("blob_write: argument 'content' is not base64", kind="refused", argument="content")
    if len(content) > INLINE_LIMIT:
        raise ActionError(
            "blob_write: argument 'content' is too large",
            "allowed: {} bytes; it has {}".format(INLINE_LIMIT, len(content)),
            "upload it (blob_prepare, blob_commit)",
            kind="refused",
            argument="content",
        )
    digest = hashlib.sha256(content).hexdigest()
    if digest != args.digest:
        raise ActionError(
            "blob {} arrived damaged".format(args.digest[:12]),
            "its sha256 is {}".format(digest),
            "push it again",
            kind="refused",
            sha256=digest,
            size_bytes=len(content),
        )
    path = context.root.blob(digest)
    changed = not os.path.isfile(path)
    if changed and not context.check:
        make_folder(context.root.blobs)
        write_atomic(path, content)
    return Result(changed, {"path": path, "size_bytes": len(content)})


@accepts(path=Text(), offset=Integer(default=0, minimum=0), limit=Integer(default=READ_LIMIT, minimum=1))
def file_read(args, context):
    """A piece of a file under fleet_root; what is large travels over SFTP.

    args:
        path (str): absolute, or relative to fleet_root
        offset, limit (int): bytes; at most 1 MiB at a time
    data:
        content (str): base64
        size_bytes (int): of the whole file
        sha256 (str): of the whole file
    """
    root = os.path.realpath(context.root.path)
    path = os.path.realpath(os.path.join(root, args.path))
    if path != root and not path.startswith(root + os.sep):
        raise ActionError(
            "{} is outside of fleet_root".format(args.path), "allowed: files below {}".format(root), kind="refused"
        )
    if not os.path.isfile(path):
        raise ActionError("there is no file {}".format(args.path))
    with open(path, "rb") as stream:
        stream.seek(args.offset)
        content = stream.read(min(args.limit, READ_LIMIT))
    data = {"content": base64.b64encode(content).decode("ascii")}
    return Result(data=dict(data, size_bytes=os.path.getsize(path), sha256=sha256_of(path)))
