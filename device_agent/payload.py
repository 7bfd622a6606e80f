"""Content that a task brings along: inside the request where it is small, else as a blob that was pushed before."""

import base64
import binascii
import hashlib
import os

from .arguments import SHA256, Text
from .errors import ActionError
from .files import CHUNK

_DIGEST = {"pattern": SHA256, "allowed": "a sha256 as 64 lower-case hex digits"}


def payload_arguments():
    """The arguments of an action that takes content.

    content_base64 (str): the bytes themselves, or
    blob (sha256): a blob under fleet_root
    """
    return {"content_base64": Text(None), "blob": Text(None, **_DIGEST)}


class Payload(object):
    """The content of one request.

    Attributes:
        content: bytes, or the path of the blob as str
    """

    def __init__(self, content):
        self.content = content

    @classmethod
    def of(cls, args, context, action):
        """The content of checked arguments, or None where they bring none. raises: ActionError (refused)."""
        if args.content_base64 is not None:
            return cls(decode(args.content_base64, action))
        if args.blob is None:
            return None
        path = context.root.blob(args.blob)
        if not os.path.isfile(path):
            raise ActionError(
                "{}: blob {} is not on the device".format(action, args.blob[:12]), "", "push it again", kind="refused"
            )
        return cls(path)

    def checksum(self, algorithm="sha1"):
        return checksum_of(self.content, algorithm)

    def read(self):
        """The content as bytes; for what is known to be small."""
        if isinstance(self.content, bytes):
            return self.content
        with open(self.content, "rb") as stream:
            return stream.read()


def decode(text, action):
    """The bytes of a base64 argument. raises: ActionError (refused)."""
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, UnicodeError, binascii.Error):
        raise ActionError("{}: argument 'content_base64' is not base64".format(action), kind="refused")


def checksum_of(content, algorithm="sha1"):
    """Hex digest of bytes, or of the file at a path (str). raises: OSError."""
    digest = hashlib.new(algorithm)
    if isinstance(content, bytes):
        digest.update(content)
        return digest.hexdigest()
    with open(content, "rb") as stream:
        while True:
            chunk = stream.read(CHUNK)
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)
