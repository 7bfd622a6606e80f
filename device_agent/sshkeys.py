"""Keys of users: made with ssh-keygen, listed in authorized_keys."""

import os
import re

from .errors import ActionError
from .files import device_path
from .process import capture, find_tool

_TYPE = r"ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp(?:256|384|521)|sk-[a-z0-9@.-]+|ssh-[a-z0-9@.-]+-cert[a-z0-9@.-]*"
_KEY = re.compile(
    r"(?:(?P<options>.*?)\s+)?(?P<type>" + _TYPE + r")\s+(?P<body>[A-Za-z0-9+/=]+)(?:\s+(?P<comment>.*))?\Z"
)


class Key(object):
    """One line of authorized_keys. raises: ValueError for what is no key."""

    def __init__(self, line):
        match = _KEY.match(line.strip())
        if not match:
            raise ValueError("no public key: {}".format(line.strip()[:60]))
        self.type = match.group("type")
        self.body = match.group("body")
        self.options = (match.group("options") or "").strip()
        self.comment = (match.group("comment") or "").strip()

    @property
    def identity(self):
        return self.type, self.body

    def line(self):
        return " ".join(part for part in (self.options, self.type, self.body, self.comment) if part)


def generate_key(path, kind, bits, comment, owner, check):
    """Make a key pair without passphrase where there is none; whether one was (or would be) made.

    args:
        path (str): the private key's; its folder is made with mode 0700
        bits (int): 0 for the kind's default
        owner ((uid, gid)): of the pair and of a folder that had to be made
    raises: ActionError with what ssh-keygen said
    """
    target = device_path(path)
    if os.path.exists(target):
        return False
    if check:
        return True
    tool = find_tool("/usr/bin/ssh-keygen", "ssh-keygen")
    if tool is None:
        raise ActionError("there is no ssh-keygen on this device", "", "apt: {name: openssh-client}")
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        os.makedirs(folder, 0o700)
        os.chown(folder, *owner)
    argv = [tool, "-q", "-t", kind, "-N", "", "-C", comment, "-f", target] + (["-b", str(bits)] if bits else [])
    output = capture(argv, timeout_s=600)
    if output.rc != 0:
        raise ActionError("the key could not be made", (output.stderr or output.stdout).strip(), "", rc=output.rc)
    os.chown(target, *owner)
    os.chown(target + ".pub", *owner)
    return True
