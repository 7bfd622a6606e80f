"""Job: what `build(spec, job)`, `run(spec, job)` and `measure(spec, job)` are given.

    job.folder              absolute path of the job's own folder; scratch files may lie there
    job.spec                the spec as it was sent
    job.root                device_agent.root.Root: .blob(digest), .engine_dir(key), .timing_cache(bucket), ...
    job.event(...)          tell whoever follows: phase, fraction (0..1 or None), line, anything else by keyword
    job.run(...)            run a tool in a process group of its own; returns Completed
    job.check_cancelled()   raises Cancelled; call it in loops of your own that take seconds

The function returns a dict (the job is done) or raises JobError (it failed).
"""

import collections
import ctypes
import json
import os
import select
import signal
import subprocess
import time

from ..errors import Cancelled, JobError
from ..process import environment, kill_group, wait_until

Completed = collections.namedtuple("Completed", "rc signal tail duration_s")
"""How a tool ended: rc as a shell gives it (137 for signal 9), signal (int or None), its last lines, seconds."""

TAIL_LINES = 80
LINE_LIMIT = 64 * 1024
LOG_LIMIT = 64 * 1024 * 1024
GRACE_S = 5.0
POLL_S = 0.2

try:
    _libc = ctypes.CDLL(None, use_errno=True)
except OSError:
    _libc = None


def _prepare_child():
    """In the tool, before it runs: die with the supervisor, and be the first that a full memory takes."""
    if _libc is not None:
        _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    try:
        with open("/proc/self/oom_score_adj", "w") as stream:
            stream.write("500")
    except OSError:
        pass


class Job(object):
    """One running job; only its supervisor has one.

    args:
        folder (str), spec (dict), root (Root): see above
    """

    def __init__(self, folder, spec, root):
        self.folder = folder
        self.spec = spec
        self.root = root
        self._events = os.open(os.path.join(folder, "events.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._log = os.open(os.path.join(folder, "output.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._logged = 0

    def event(self, phase=None, fraction=None, line=None, **more):
        """Append one event; None fields are left out. One write, so that a reader never sees half a line."""
        fields = dict(more, phase=phase, fraction=fraction, line=line)
        event = {name: value for name, value in fields.items() if value is not None}
        event["time"] = round(time.time(), 3)
        os.write(self._events, (json.dumps(event, sort_keys=True) + "\n").encode("utf-8"))

    def check_cancelled(self):
        """raises: Cancelled, if somebody asked for it."""
        if os.path.exists(os.path.join(self.folder, "cancel")):
            raise Cancelled()

    def run(self, argv, env=None, cwd=None, on_line=None, timeout_s=None, silence_s=None):
        """Run a tool to its end; its output (stderr merged in) goes to output.log and, line by line, to `on_line`.

        Call it from the main thread: the kernel ends the tool with the thread that started it.

        args:
            argv ([str]): no shell
            env (dict): added to the agent's environment, which has LC_ALL=C
            cwd (str): default the job's folder
            on_line (function(str)): called for every line, without its end; an exception kills the tool and is raised
            timeout_s, silence_s (float or None): whole duration, and longest time without a line
        raises:
            JobError: kind tool (could not be started), timeout (data: tail, duration_s, silent) or cancelled
        """
        self.check_cancelled()
        self._write_log("$ {}\n".format(" ".join(argv)).encode("utf-8", "replace"))
        started = time.monotonic()
        try:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment(env),
                cwd=cwd or self.folder,
                start_new_session=True,
                preexec_fn=_prepare_child,
            )
        except (OSError, ValueError) as problem:
            raise JobError(
                "tool", "{} could not be started".format(argv[0]), str(problem), "check that it is installed"
            )
        lines = _Lines(on_line)
        try:
            self._pump(child, lines, started, timeout_s, silence_s)
        except BaseException:
            _stop_group(child)
            raise
        finally:
            child.stdout.close()
        rc = child.wait()
        duration_s = time.monotonic() - started
        sig = -rc if rc < 0 else None
        return Completed(128 + sig if sig else rc, sig, list(lines.tail), round(duration_s, 3))

    def _pump(self, child, lines, started, timeout_s, silence_s):
        """Read until the tool has ended and its output is read; raise where it must be stopped."""
        fd = child.stdout.fileno()
        heard = started
        while True:
            self.check_cancelled()
            now = time.monotonic()
            for limit, since, silent in ((timeout_s, started, False), (silence_s, heard, True)):
                if limit and now - since > limit:
                    what = "nothing was printed for {:.0f} s" if silent else "not finished after {:.0f} s"
                    raise JobError(
                        "timeout",
                        what.format(limit),
                        "{} was stopped".format(os.path.basename(child.args[0])),
                        "raise the time limit, or look into output.log for where it hangs",
                        tail=list(lines.tail),
                        duration_s=round(now - started, 3),
                        silent=silent,
                    )
            ready, _, _ = select.select([fd], [], [], POLL_S)
            if not ready:
                if child.poll() is not None:
                    break  # something that fled the process group holds the pipe open
                continue
            chunk = os.read(fd, 65536)
            if not chunk:
                if child.poll() is None:
                    # It closed its output and lives on.
                    wait_until(lambda: child.poll() is not None, POLL_S, 0.01)
                    if child.poll() is None:
                        continue
                break
            heard = time.monotonic()
            self._write_log(chunk)
            lines.feed(chunk)
        lines.end()

    def _write_log(self, chunk):
        """Append to output.log, which must not fill the disk whatever a tool prints."""
        if self._logged > LOG_LIMIT:
            return
        self._logged += len(chunk)
        if self._logged > LOG_LIMIT:
            chunk = b"\n[output.log ends here: 64 MiB]\n"
        os.write(self._log, chunk)


class _Lines(object):
    """Bytes to lines; keeps the last ones."""

    def __init__(self, on_line):
        self.tail = collections.deque(maxlen=TAIL_LINES)
        self._on_line = on_line
        self._rest = b""

    def feed(self, chunk):
        pieces = (self._rest + chunk).split(b"\n")
        self._rest = pieces.pop()
        for piece in pieces:
            self._give(piece)
        if len(self._rest) > LINE_LIMIT:
            self.end()

    def end(self):
        if self._rest:
            self._give(self._rest)
            self._rest = b""

    def _give(self, piece):
        # A line without end is given in pieces, so that neither memory nor an event grows with it.
        for start in range(0, max(1, len(piece)), LINE_LIMIT):
            line = piece[start : start + LINE_LIMIT].decode("utf-8", "replace").rstrip("\r")
            self.tail.append(line)
            if self._on_line is not None:
                self._on_line(line)


def _stop_group(child):
    """TERM, then KILL, the tool and all that it started."""
    kill_group(child.pid, signal.SIGTERM)
    wait_until(lambda: child.poll() is not None, GRACE_S)
    kill_group(child.pid, signal.SIGKILL)
    child.wait()
