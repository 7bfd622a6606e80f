"""Download a file."""

import os
import re
import tempfile
import time
from email.message import Message
from urllib.parse import urlsplit, urlunsplit

from ..arguments import Flag, Mapping, Number, Sequence, Text, accepts
from ..attributes import Attributes, Path, as_text, attribute_arguments, describe
from ..errors import ActionError
from ..files import device_path, remove, shown_path
from ..payload import checksum_of
from ..placing import attribute_diff, back_up, content_diff, place, read_for_diff
from ..results import Result
from ..web import Request, elapsed_s

_ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


@accepts(
    url=Text(),
    dest=Path(),
    checksum=Text(None),
    force=Flag(False),
    backup=Flag(False),
    timeout=Number(10),
    headers=Mapping(default={}),
    tmp_dest=Path(None),
    url_username=Text(None),
    url_password=Text(None),
    force_basic_auth=Flag(False),
    validate_certs=Flag(True),
    use_proxy=Flag(True),
    unredirected_headers=Sequence(Text(), default=()),
    **attribute_arguments(),
)
def get_url(args, context):
    """Download a file unless it is there.

    args:
        url (str), dest (str): a file, or a folder, where its name comes from the server or the URL
        checksum (str): ALGORITHM:HEX, or ALGORITHM:URL of a list; a file that has it is not fetched again
        force (bool): fetch although the server says that it did not change
        backup (bool), timeout (s), headers, tmp_dest (folder), url_username, url_password, force_basic_auth,
        validate_certs, use_proxy, mode, owner, group
    data:
        url, dest, src (empty), checksum_src, checksum_dest (sha1), md5sum, status_code, elapsed (s), msg, backup_file
        where one was made, and what `describe` tells
    """
    started = time.monotonic()
    data = {"url": _masked(args.url), "dest": args.dest, "checksum_src": None, "checksum_dest": None, "elapsed": 0}
    algorithm, wanted = _checksum(args)
    real = device_path(args.dest)
    is_folder = os.path.isdir(real)
    force, modified = args.force, None
    if not is_folder and os.path.exists(real):
        if wanted and not force:
            if checksum_of(real, algorithm) == wanted:
                return _there(args, context, data, "file already exists")
            force = True
        modified = None if force else os.path.getmtime(real)
    folder = device_path(args.tmp_dest) if args.tmp_dest else None
    if folder is not None and not os.path.isdir(folder):
        raise ActionError("{} directory does not exist.".format(args.tmp_dest), kind="refused", argument="tmp_dest")
    request = _request(args, args.url, "HEAD" if context.check else "GET", modified)
    fd, temporary = tempfile.mkstemp(dir=folder, prefix="fleet-download-")
    try:
        with os.fdopen(fd, "wb") as stream:
            answer = _head(request, args) if context.check else request.download(stream)
        data.update(status_code=answer.status, msg=answer.msg, elapsed=elapsed_s(started))
        if answer.status == 304:
            # Nothing came, so nothing was hashed.
            del data["checksum_src"], data["checksum_dest"]
            return _there(args, context, data, answer.msg)
        if is_folder:
            data["dest"] = os.path.join(args.dest, _name(answer))
        return _put(args, context, data, temporary, algorithm, wanted)
    finally:
        remove(temporary)


def _request(args, url, method, modified=None):
    return Request(
        url,
        method,
        headers=args.headers,
        timeout_s=args.timeout,
        username=args.url_username,
        password=args.url_password,
        force_basic_auth=args.force_basic_auth,
        validate_certs=args.validate_certs,
        use_proxy=args.use_proxy,
        modified_since=modified,
        unredirected=args.unredirected_headers,
    )


def _head(request, args):
    answer = request.send()
    if answer.status not in (200, 304):
        raise ActionError("Request failed", answer.msg, "check the address", status_code=answer.status, url=args.url)
    return answer


def _there(args, context, data, message):
    found = Attributes.of(args).apply(device_path(args.dest), context.check)
    if found:
        message = "file already exists but file attributes changed"
    diff = attribute_diff(args.dest, *as_text(found)) if found else None
    return Result(bool(found), dict(describe(args.dest), **dict(data, msg=message)), diff)


def _put(args, context, data, temporary, algorithm, wanted):
    dest = data["dest"]
    real = device_path(dest)
    if not os.path.isdir(os.path.dirname(real) or "."):
        raise ActionError("Destination {} does not exist".format(os.path.dirname(dest)), "", "make the folder first")
    exists = os.path.exists(real)
    data["checksum_dest"] = checksum_of(real) if exists else None
    if context.check:
        return Result(True, dict(describe(dest), **data))
    if wanted:
        found = checksum_of(temporary, algorithm)
        if found != wanted:
            raise ActionError(
                "The checksum for {} did not match {}; it was {}.".format(data["url"], wanted, found),
                "another file is there, or it was damaged on its way; nothing was written",
                "check the URL and the checksum",
                **data,
            )
    data["src"] = ""
    data["checksum_src"] = checksum_of(temporary)
    attributes = Attributes.of(args)
    diff = None
    changed = data["checksum_src"] != data["checksum_dest"]
    if changed:
        diff = content_diff(dest, read_for_diff(real), read_for_diff(temporary))
        if args.backup and exists:
            data["backup_file"] = shown_path(back_up(real))
        place(os.path.realpath(real), temporary, attributes)
    else:
        found = attributes.apply(real, False)
        changed = bool(found)
        diff = attribute_diff(dest, *as_text(found)) if found else None
    return Result(changed, dict(describe(dest), md5sum=checksum_of(real, "md5"), **data), diff)


def _checksum(args):
    """(algorithm, hex digits) or (None, None). raises: ActionError for one that makes no sense or is not listed."""
    if not args.checksum:
        return None, None
    algorithm, separator, value = args.checksum.partition(":")
    if not separator or algorithm not in _ALGORITHMS:
        raise ActionError(
            "The checksum parameter has to be in format <algorithm>:<checksum>",
            "known: {}".format(", ".join(_ALGORITHMS)),
            kind="refused",
            argument="checksum",
        )
    if urlsplit(value).scheme in ("http", "https", "ftp", "file"):
        value = _listed(args, value)
    value = re.sub(r"\W+", "", value).lower()
    if not re.match(r"[0-9a-f]+\Z", value):
        raise ActionError("The checksum format is invalid", value, kind="refused", argument="checksum")
    return algorithm, value


def _listed(args, url):
    """The checksum of the file in a list such as sha256sum prints, or the only word in it."""
    answer = _request(args, url, "GET").send()
    if answer.status != 200:
        raise ActionError("Request failed", answer.msg, "check the checksum's URL", status_code=answer.status, url=url)
    lines = answer.read(1 << 20).decode("utf-8", "replace").splitlines()
    if len(lines) == 1 and len(lines[0].split()) == 1:
        return lines[0]
    name = os.path.basename(urlsplit(args.url).path) or "index.html"
    for line in lines:
        match = re.match(r"\w+ ?\((?P<name>.+)\) ?= (?P<hex>\w+)\Z", line)
        match = match or re.match(r"(?P<hex>\w+)\s+(\*|\./|\.)?(?P<name>.+)\Z", line)
        if match and match.group("name").lstrip("./") == name:
            return match.group("hex")
    raise ActionError("Unable to find a checksum for file '{}' in '{}'".format(name, _masked(url)))


def _name(answer):
    message = Message()
    message["content-disposition"] = answer.headers.get("Content-Disposition", "")
    name = message.get_param("filename", header="content-disposition")
    name = os.path.basename(name) if isinstance(name, str) else ""
    return name or os.path.basename(urlsplit(answer.url).path) or "index.html"


def _masked(url):
    """The URL without the password that may stand in it."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc="{}:********@{}".format(parts.username, host)))
