"""Ctrl-C in the middle of a run: the exit code, the journal, and the terminal as it was."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - {name: long, pause: {seconds: 600}}
    - {name: never, debug: {msg: reached}}
"""
CURSOR_HIDDEN, CURSOR_SHOWN = b"\x1b[?25l", b"\x1b[?25h"
PATIENCE_S = 60


def read(master, until):
    """What a program has written to its terminal, up to a text in it or to its end."""
    seen, deadline = b"", time.monotonic() + PATIENCE_S
    while until not in seen and time.monotonic() < deadline:
        if select.select([master], [], [], 0.2)[0]:
            try:
                seen += os.read(master, 65536)
            except OSError:  # closed at the other end
                break
    return seen


@pytest.mark.parametrize("live", [True, False])
def test_an_interrupt_ends_with_130_and_leaves_the_terminal_as_it_was(tmp_path, live):
    (tmp_path / "play.yml").write_text(PLAY, encoding="utf-8")
    (tmp_path / "hosts.yml").write_text("all: {hosts: {here: {ansible_connection: local}}}", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "HOME": str(tmp_path / "home")}
    environment.update(COLUMNS="120", LINES="40")
    for name in ("NO_COLOR", "FLEET_HOME", "FLEET_INVENTORY"):
        environment.pop(name, None)
    argv = [sys.executable, "-m", "orchestrator", "play", "play.yml", "-i", "hosts.yml"]
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        argv if live else [*argv, "--no-live", "-v"],
        cwd=tmp_path,
        env=environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        # A shell that starts tests in the background has them ignore interrupts, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    os.close(terminal)
    try:
        before = read(master, b"600 s")
        assert b"600 s" in before  # the task is under way
        process.send_signal(signal.SIGINT)
        text = before + read(master, b"interrupted; ")
        assert process.wait(PATIENCE_S) == 130
        text += read(master, b"\0")
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert b"interrupted; builds that devices have begun go on" in text
    assert b"Traceback" not in text
    assert text.rfind(CURSOR_SHOWN) >= text.rfind(CURSOR_HIDDEN)
    assert (CURSOR_HIDDEN in text) == live
    (journal,) = tmp_path.glob("runs/2*/journal.jsonl")
    events = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
    assert events[-1]["event"] == "RunFinished"
    assert not any(event.get("task") == "never" for event in events)
