"""Runs a pair by `fleet play` and returns what happened and what it left, in the words of the goldens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from machines import NAMES, Machines
from pairs_common import Pair, by_host

TIMEOUT_S = 120
REPOSITORY = Path(__file__).resolve().parents[2]


def play(pair: Pair, mode: str, inventory: Path, scratch: Path, url: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code of `fleet play`, and its results in order.

    Raises:
        RuntimeError: it ran nothing; with what it printed.
    """
    home = scratch / "fleet"
    home.mkdir(exist_ok=True)
    shutil.copyfile(inventory.parent / "known_hosts", home / "known_hosts")
    runs = scratch / f"runs-{mode}"
    environment = {**os.environ, "FLEET_HOME": str(home), "FLEET_EQUALITY": "from the environment"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "orchestrator", "play", str(pair.playbook), "-i", str(inventory), "--no-live"]
    command += ["--runs", str(runs), "-e", f"scratch={scratch}/{mode}", "-e", f"url={url}", *pair.options]
    command += ["--check", "--diff"] if mode == "check" else []
    log = scratch / f"fleet-{mode}.log"
    with log.open("w") as output:
        done = subprocess.run(
            command,
            cwd=scratch,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            timeout=TIMEOUT_S,
        )
    journal = runs / "latest" / "journal.jsonl"
    if not journal.exists():
        raise RuntimeError(f"{pair.name} ({mode}): fleet play did nothing:\n{log.read_text()[-3000:]}")
    return done.returncode, [
        _result(event)
        for event in map(json.loads, journal.read_text().splitlines())
        if event["event"] == "TaskFinished"
    ]


def _result(event: dict[str, Any]) -> dict[str, Any]:
    line = {"host": event["host"], "task": event["task"], "status": event["status"]}
    if event["module"] == "debug" and event["status"] == "ok":
        line["said"] = event["message"]
    if event["status"] in ("failed", "ignored"):
        line["msg"] = event["message"]
    return line


def observe(machines: Machines, pair: Pair, folder: Path, url: str) -> dict[str, Any]:
    """What Fleet makes of the pair; see ansible_side.observe."""
    machines.start(pair.seed)
    inventory = machines.inventory(folder / "hosts.json")
    found: dict[str, Any] = {}
    for mode in pair.modes:
        code, lines = play(pair, mode, inventory, folder, url)
        found[mode] = {"code": code, "results": by_host(lines), "changes": {n: machines.changes(n) for n in NAMES}}
    return found
