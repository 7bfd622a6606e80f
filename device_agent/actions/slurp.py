"""A file's content for the controller."""

import base64
import os

from ..arguments import Integer, accepts
from ..attributes import Path
from ..errors import ActionError
from ..files import device_path
from ..payload import checksum_of
from ..results import Result

SIZE_LIMIT = 32 * 1024 * 1024
"""Bytes of one answer; a larger file is fetched."""


@accepts(src=Path(), offset=Integer(None, minimum=0), limit=Integer(None, minimum=1))
def slurp(args, context):
    """Read a file.

    args:
        src (str)
        offset, limit (int): bytes; a piece of it, for fetch
    data:
        content (str), encoding ("base64"), source (str)
        size_bytes (int), sha1 (str): of the whole file, beside its first piece
    """
    real = device_path(args.src)
    if not os.path.exists(real):
        raise ActionError("File not found: {}".format(args.src), reason="missing")
    if os.path.isdir(real):
        raise ActionError("Source is a directory and must be a file: {}".format(args.src), reason="folder")
    if not os.access(real, os.R_OK):
        raise ActionError("File is not readable: {}".format(args.src), "", "run the task with become: true")
    size = os.path.getsize(real)
    if args.limit is None and size > SIZE_LIMIT:
        why = "it has {} bytes, slurp takes {}".format(size, SIZE_LIMIT)
        raise ActionError("{} is too large for slurp".format(args.src), why, "use fetch")
    with open(real, "rb") as stream:
        stream.seek(args.offset or 0)
        content = stream.read(args.limit if args.limit is not None else SIZE_LIMIT)
    data = {"content": base64.b64encode(content).decode("ascii"), "encoding": "base64", "source": args.src}
    if args.offset == 0:
        data.update(size_bytes=size, sha1=checksum_of(real))
    return Result(data=data)
