"""A controller's end of the agent's protocol, for black-box tests over pipes."""

import json
import os
import queue
import shutil
import subprocess
import threading
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "device_agent"
NONCE = "5f2c9d1e7a"
DEADLINE_S = 30.0


class Agent:
    """A running agent.

    Args:
        argv: what starts it, up to and including the package's folder.
        root: fleet_root, or auto.
        env: added to a small environment of its own.
        before: what is written before the nonce, as a shell or sudo might leave it.
    """

    def __init__(self, argv, root="auto", env=None, before="", home=None):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home or "/nonexistent"),
            "LANG": "C.UTF-8",
            **(env or {}),
        }
        self.process = subprocess.Popen(
            [*map(str, argv), "serve", "--nonce", NONCE, "--root", str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        self.lines = queue.Queue()
        self.errors = []
        self.events = {}
        self._replies = {}
        self._ids = 0
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()
        self.write(before + NONCE + "\n")
        self.noise = []
        while True:
            line = self.next_line()
            if line.startswith(NONCE + " "):
                self.greeting = json.loads(line[len(NONCE) :])
                break
            self.noise.append(line)

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode("utf-8").rstrip("\n"))
        self.lines.put(None)

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.decode("utf-8", "replace"))

    def write(self, text):
        self.process.stdin.write(text.encode("utf-8") if isinstance(text, str) else text)
        self.process.stdin.flush()

    def next_line(self, timeout_s=DEADLINE_S):
        line = self.lines.get(timeout=timeout_s)
        if line is None:
            raise EOFError("the agent ended: " + "".join(self.errors))
        return line

    def next_message(self, timeout_s=DEADLINE_S):
        return json.loads(self.next_line(timeout_s))

    def submit(self, action, check=False, become=False, **args):
        """Send a request and return its id."""
        self._ids += 1
        request = {"id": self._ids, "action": action, "args": args, "check": check, "become": become}
        self.write(json.dumps(request) + "\n")
        return self._ids

    def wait(self, request_id, timeout_s=DEADLINE_S):
        """The reply to a request; events on the way are kept in `events`."""
        while request_id not in self._replies:
            message = self.next_message(timeout_s)
            if "event" in message:
                self.events.setdefault(message["id"], []).append(message)
            else:
                self._replies[message["id"]] = message
        return self._replies.pop(request_id)

    def ask(self, action, check=False, become=False, **args):
        """The whole reply."""
        return self.wait(self.submit(action, check, become, **args))

    def call(self, action, check=False, become=False, **args):
        """The data of a reply that must be ok."""
        reply = self.ask(action, check, become, **args)
        assert reply["ok"], reply["error"]
        return reply["data"]

    def refuse(self, action, check=False, become=False, **args):
        """The error of a reply that must not be ok."""
        reply = self.ask(action, check, become, **args)
        assert not reply["ok"], reply["data"]
        return reply["error"]

    def close(self):
        """End the session as a controller does; returns the exit code."""
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            return self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def copy_package(folder):
    """The agent unpacked as on a device, with an engine whose work is a shell script, and an action that misbehaves."""
    home = folder / "0123456789abcdef"
    shutil.copytree(PACKAGE, home / "device_agent", ignore=shutil.ignore_patterns("__pycache__", "engine"))
    shutil.copytree(Path(__file__).parent / "scripted_engine", home / "device_agent" / "engine")
    shutil.copy(Path(__file__).parent / "unruly_action.py", home / "device_agent" / "actions" / "unruly.py")
    # Shorter waits before the next harder step; the steps are the same.
    for file, long, short in (
        ("actions/jobs.py", "_TIMEOUT_S = 15.0", "_TIMEOUT_S = 3.0"),
        ("jobs/work.py", "GRACE_S = 5.0", "GRACE_S = 0.5"),
    ):
        text = (home / "device_agent" / file).read_text()
        assert long in text
        (home / "device_agent" / file).write_text(text.replace(long, short))
    table = home / "device_agent" / "actions" / "__init__.py"
    table.write_text(table.read_text() + '\n\nMODULES["unruly"] = "unruly"\n')
    return home / "device_agent"
