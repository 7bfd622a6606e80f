"""Files that survive a power cut, and device files under a prefix.

Modules that the greeting does not need are imported where they are used, here and elsewhere: a slow board pays for each
at every connection.

FLEET_AGENT_PREFIX is put before the absolute path of every device file that the agent reads or tool that it runs
(/etc/nvpmodel.conf, /sys, /usr/sbin/nvpmodel, /var/lib/fleet); it exists for tests and for rootless emulation.
"""

import json
import os

CHUNK = 1024 * 1024


def device_path(path):
    """The absolute device path `path` as this process reaches it."""
    prefix = os.environ.get("FLEET_AGENT_PREFIX", "")
    return prefix.rstrip("/") + path if prefix and path.startswith("/") else path


def shown_path(path):
    """A path of this process as the device knows it: the reverse of `device_path`."""
    prefix = device_path("/").rstrip("/")
    return path[len(prefix) :] if prefix and path.startswith(prefix + "/") else path


def read_text(path, limit=1 << 20):
    """A device file's text without trailing NULs and white space, or None where it cannot be read.

    /proc and /sys files may be missing, forbidden, or fail in the middle of a read (EAGAIN of a powered-off sensor).
    """
    try:
        with open(device_path(path), "rb") as stream:
            raw = stream.read(limit)
    except (OSError, ValueError):
        return None
    return raw.decode("utf-8", "replace").rstrip("\0 \t\r\n")


def read_int(path):
    """The integer that a device file holds, or None."""
    text = read_text(path, 4096)
    try:
        return int(text.split()[0], 0) if text else None
    except ValueError:
        return None


def list_folder(path):
    """Sorted names in a device folder; empty where it cannot be read."""
    try:
        return sorted(os.listdir(device_path(path)))
    except OSError:
        return []


def read_json(path, default=None):
    """A JSON file of ours, or `default` where it is missing or not JSON."""
    try:
        with open(path, "rb") as stream:
            return json.loads(stream.read().decode("utf-8"))
    except (OSError, ValueError):
        return default


def make_folder(path, mode=0o755):
    """Create a folder and its parents, readable by applications whatever the umask is."""
    missing = []
    while path and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        try:
            os.mkdir(folder)
            os.chmod(folder, mode)
        except FileExistsError:
            pass


def sync_folder(path):
    """Make the names in a folder durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError:
        pass  # some file systems cannot; the rename was still atomic
    finally:
        os.close(fd)


def write_atomic(path, content, mode=0o644):
    """Replace `path` by `content` (str or bytes): after a crash it is the old file or the new, never half of one."""
    if not isinstance(content, bytes):
        content = content.encode("utf-8")
    folder = os.path.dirname(path)
    temporary = os.path.join(folder, ".tmp-{}-{}".format(os.getpid(), os.urandom(4).hex()))
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        remove(temporary)
        raise
    sync_folder(folder)


def write_json(path, value, mode=0o644):
    """`write_atomic` of a JSON value."""
    write_atomic(path, json.dumps(value, indent=1, sort_keys=True) + "\n", mode)


def merge_json(path, changes):
    """Merge top-level keys into a JSON object file by rename; returns (before, after)."""
    before = read_json(path, {})
    before = before if isinstance(before, dict) else {}
    after = dict(before, **changes)
    if after != before:
        write_json(path, after)
    return before, after


def sync_file(path):
    """Make a finished file's bytes durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sha256_of(path):
    """Hex sha256 of a file's bytes. raises: OSError."""
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while True:
            chunk = stream.read(CHUNK)
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)


def remove(path):
    """Remove a file if it is there."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def free_bytes(path):
    """Bytes that an ordinary user may still write below `path` (its nearest existing parent), or None."""
    while path and not os.path.isdir(path):
        parent = os.path.dirname(path)
        if parent == path:
            break
        path = parent
    try:
        status = os.statvfs(path)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize
