"""Runs on the device where the agent is missing: takes its archive from standard input, unpacks it, becomes it."""
# mypy: ignore-errors
# Arguments: nonce, digest, fleet_root. Kept to the syntax that Python 2.7 and 3 share, to be able to say "too old".

import json
import os
import sys


def say(nonce, message):
    # The empty line ends a banner that did not end its own.
    os.write(1, ("\n%s %s\n" % (nonce, json.dumps(message))).encode())


def read(size):
    # Straight from the descriptor, never a byte too many: what follows belongs to the agent.
    parts = []
    while size:
        part = os.read(0, min(size, 65536))
        if not part:
            sys.exit("the archive ended too early")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_line():
    line = b""
    while not line.endswith(b"\n"):
        line += read(1)
    return line.strip().decode("utf-8", "replace")


def unpack(archive, digest, folder):
    import hashlib
    import io
    import zipfile

    total = hashlib.sha256()
    opened = zipfile.ZipFile(io.BytesIO(archive))
    names = sorted(name.split("/", 1)[1] for name in opened.namelist())
    for name in names:
        content = opened.read("device_agent/" + name)
        total.update(("%s\0%d\0" % (name, len(content))).encode())
        total.update(content)
        path = os.path.join(folder, "device_agent", *name.split("/"))
        if not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path))
        with open(path, "wb") as file:
            file.write(content)
            file.flush()
            # Boards lose power: after the rename no file of the agent may be empty.
            os.fsync(file.fileno())
    if total.hexdigest()[:32] != digest:
        raise ValueError("the agent's archive arrived damaged")


def tidy(parent, digest):
    import shutil
    import time

    def made(name):
        try:
            return os.stat(os.path.join(parent, name)).st_mtime
        except OSError:
            return time.time()  # another session has just renamed or removed it

    folders = sorted((name for name in os.listdir(parent) if name != digest), key=made)
    # Older agents may still run in a session or a job: the last few stay. So does what is being unpacked now.
    useless = [name for name in folders if name.startswith(".") and made(name) < time.time() - 3600]
    useless += [name for name in folders if not name.startswith(".")][:-4]
    for name in useless:
        shutil.rmtree(os.path.join(parent, name), ignore_errors=True)


def install(archive, digest, final):
    import compileall
    import shutil
    import tempfile

    parent = os.path.dirname(final)
    if not os.path.isdir(parent):
        os.makedirs(parent, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=".new-", dir=parent)
    try:
        unpack(archive, digest, temporary)
        compileall.compile_dir(temporary, ddir=final, quiet=2)
        os.chmod(temporary, 0o755)
        # A folder without __main__.py is no agent: whatever made it, it must not be in the way.
        if os.path.isdir(final) and not os.path.isfile(os.path.join(final, "device_agent", "__main__.py")):
            shutil.rmtree(final)
        try:
            os.rename(temporary, final)
        except OSError:
            # Another session was faster with the very same agent.
            if not os.path.isfile(os.path.join(final, "device_agent", "__main__.py")):
                raise
        tidy(parent, digest)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def main(nonce, digest, root):
    while read_line() != nonce:
        pass
    if sys.version_info < (3, 6):
        say(
            nonce,
            {"failure": "python", "why": "%s is Python %d.%d" % ((sys.executable,) + tuple(sys.version_info[:2]))},
        )
        return
    say(nonce, {"need": digest})
    archive = read(int(read_line()))
    final = os.path.join(os.path.expanduser("~"), ".cache", "fleet", "agent", digest)
    try:
        install(archive, digest, final)
    except OSError as problem:
        say(
            nonce,
            {
                "failure": "write",
                "errno": problem.errno,
                "why": "%s: %s" % (problem.filename or final, problem.strerror),
            },
        )
        return
    except Exception as problem:
        say(nonce, {"failure": "unpack", "why": str(problem)})
        return
    program = os.path.join(final, "device_agent")
    os.execv(sys.executable, [sys.executable, program, "serve", "--nonce", nonce, "--root", root])


main(*sys.argv[2:5])
