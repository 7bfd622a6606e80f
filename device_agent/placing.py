"""Putting a file's new content into place: backup, validation, an atomic rename, and the diff for people."""

import os
import shlex
import shutil
import stat
import time

from .attributes import Attributes, current_umask, resolve_mode
from .errors import ActionError
from .files import CHUNK, remove, sync_folder
from .process import capture

DIFF_LIMIT = 100 * 1024
"""Bytes of a file; larger ones are not shown."""
VALIDATE_TIMEOUT_S = 300


def check_validator(command):
    """Refuse a validation command without %s."""
    if command is not None and "%s" not in command:
        raise ActionError("validate must contain %s", "it stands for the file", kind="refused", argument="validate")


def place(path, content, wanted=None, validate=None):
    """Replace `path` by `content`; after a crash it is the old file or the new one.

    What `wanted` leaves open stays as it is on a file that is there (owner and group as far as we may), and is the
    umask's default on a new one. A symlink at `path` is replaced, not followed.

    args:
        content (bytes, or the path of a file as str)
        wanted (Attributes)
        validate (str or None): a command where %s stands for the new file; it must succeed
    raises:
        ActionError: the validation failed (data: rc, stdout, stderr), or nobody has the wanted name. OSError.
    """
    wanted = wanted or Attributes()
    folder = os.path.dirname(path) or "."
    uid, gid = wanted.ids()
    temporary = os.path.join(folder, ".fleet-{}-{}.tmp".format(os.getpid(), os.urandom(4).hex()))
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as stream:
            if isinstance(content, bytes):
                stream.write(content)
            else:
                with open(content, "rb") as source:
                    shutil.copyfileobj(source, stream, CHUNK)
            stream.flush()
            _dress(stream.fileno(), path, wanted, uid, gid)
            os.fsync(stream.fileno())
        if validate:
            _validate(validate, temporary)
        os.rename(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    sync_folder(folder)


def _dress(fd, path, wanted, uid, gid):
    try:
        there = os.lstat(path)
    except OSError:
        there = None
    if there is not None and not stat.S_ISREG(there.st_mode):
        there = None
    if there is not None:
        mine = os.fstat(fd)
        if (mine.st_uid, mine.st_gid) != (there.st_uid, there.st_gid):
            try:
                os.fchown(fd, there.st_uid, there.st_gid)
            except PermissionError:
                pass  # an ordinary user may rewrite another's file in a folder of his, not give it back
    if uid != -1 or gid != -1:
        os.fchown(fd, uid, gid)
    mode = stat.S_IMODE(there.st_mode) if there is not None else 0o666 & ~current_umask()
    os.fchmod(fd, mode if wanted.mode is None else resolve_mode(wanted.mode, mode, False))


def _validate(command, path):
    argv = shlex.split(command.replace("%s", shlex.quote(path)))
    output = capture(argv, timeout_s=VALIDATE_TIMEOUT_S)
    if output.rc != 0:
        lines = (output.stderr or output.stdout).strip().splitlines()
        raise ActionError(
            "failed to validate: rc:{} error:{}".format(output.rc, lines[-1].strip() if lines else ""),
            "'{}' refused the new content; the file was left as it was".format(command),
            "mend the content",
            rc=output.rc,
            exit_status=output.rc,
            stdout=output.stdout,
            stderr=output.stderr,
        )


def back_up(path):
    """Copy a file beside itself, attributes included; the copy's path, which says when it was made."""
    copy = "{}.{}.{}~".format(path, os.getpid(), time.strftime("%Y-%m-%d@%H:%M:%S"))
    shutil.copy2(path, copy)
    status = os.stat(path)
    try:
        os.chown(copy, status.st_uid, status.st_gid)
    except PermissionError:
        pass
    return copy


def content_diff(path, before, after):
    """The diff of two contents.

    args:
        before, after (bytes, None for no file): shown where they are text of at most DIFF_LIMIT bytes
    """
    header = "{} (content)".format(path)
    return {"before": _shown(before), "after": _shown(after), "before_header": header, "after_header": header}


def attribute_diff(path, before, after):
    """The diff of two texts that describe a file's attributes."""
    header = "{} (file attributes)".format(path)
    return {"before": before, "after": after, "before_header": header, "after_header": header}


def _shown(content):
    if not content:
        return ""
    if len(content) > DIFF_LIMIT:
        return "({} bytes, too large to show)\n".format(len(content))
    if b"\0" in content:
        return "({} bytes, not text)\n".format(len(content))
    return content.decode("utf-8", "replace")


def read_for_diff(path):
    """What `content_diff` needs of a file without reading a large one; None where there is none."""
    try:
        with open(path, "rb") as stream:
            return stream.read(DIFF_LIMIT + 1)
    except OSError:
        return None
