"""A user's folder with virtual Jetsons as just flashed: runs `fleet` in it, and looks at the devices' folders."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]

# What a device writes of itself whoever looks (its kernel's clock, the traces of a login), and the agent's own files.
VOLATILE = ("proc/uptime", ".lab/", "run/", "tmp/", "var/log/", "home/nvidia/.cache/fleet/agent/")


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    text: str
    result: dict[str, Any]

    def counts(self) -> dict[str, dict[str, int]]:
        """Tasks by outcome, of each host."""
        return {name: host["tasks"] for name, host in self.result["hosts"].items()}

    def of(self, host: str) -> str:
        """The lines about a host's changed tasks."""
        return "\n".join(line for line in self.text.splitlines() if f" {host} " in line and " changed " in line)

    def status(self) -> dict[str, str]:
        return {name: host["status"] for name, host in self.result["hosts"].items()}


class Bench:
    """Devices of an inventory, started on demand in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / ".fleet"

    def fleet(self, *args: str, timeout_s: float = 400) -> Done:
        environment = {**os.environ, "FLEET_HOME": str(self.home), "PYTHONPATH": str(REPOSITORY)}
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *args],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        newest = self.folder / "runs/latest/result.json"
        result = json.loads(newest.read_text()) if newest.exists() else {}
        return Done(done.returncode, done.stdout + done.stderr, result)

    def provision(self, inventory: str, *more: str) -> Done:
        return self.fleet("provision", "-i", str(REPOSITORY / "inventory" / inventory), "--no-live", *more)

    def root(self, device: str) -> Path:
        return self.home / "lab/devices" / device / "root"

    def contents(self, device: str) -> dict[str, str]:
        """Every file of a device with a digest of its mode and content, but for what it writes of itself."""
        root = self.root(device)
        found = {}
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if name.startswith(VOLATILE) or (path.is_dir() and not path.is_symlink()):
                continue
            content = os.readlink(path).encode() if path.is_symlink() else _content(path)
            found[name] = f"{path.lstat().st_mode:o} {hashlib.sha1(content).hexdigest()}"
        return found

    def state(self, device: str) -> dict[str, Any]:
        """Packages, units and the like of a device."""
        found: dict[str, Any] = json.loads((self.root(device) / ".lab/state.json").read_text())
        return found


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


@contextmanager
def open_bench(folder: Path) -> Iterator[Bench]:
    """A bench whose devices are stopped and deleted at the end."""
    from orchestrator.lab.lab import Lab

    bench = Bench(folder)
    try:
        yield bench
    finally:
        Lab(bench.home / "lab").remove()
