"""A user's project with virtual Jetsons: runs `fleet` in it, holds results against their schema, looks on disks."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((REPOSITORY / "orchestrator/reports/result.schema.json").read_text())

NEEDED = ("torch", "onnx", "onnxruntime", "onnxslim", "polygraphy", "asyncssh", "jsonschema")

# Names of the five devices of inventory/lab.yml, and the opset that each one's JetPack takes.
OPSETS = {"nano-01": 13, "agx-xavier-01": 13, "xavier-nx-01": 16, "orin-nano-01": 17, "agx-orin-01": 17}

# Devices that tests wear out (reboots, upgrades, new keys), so that the five stay as a deploy left them.
SPARE = """
all:
  vars: {fleet_connection: lab, fleet_lab_profile: nano-jetpack-4.6.1, fleet_power_mode: fastest, fleet_clocks: max}
  hosts: {worn-01: {}, told-01: {}, keys-01: {}, cut-01: {}}
"""


@dataclass(frozen=True)
class Done:
    """What a command did."""

    code: int
    out: str
    err: str
    result: dict[str, Any] | None
    seconds: float

    @property
    def text(self) -> str:
        return self.out + self.err

    def host(self, name: str) -> dict[str, Any]:
        assert self.result, self.text
        found: dict[str, Any] = self.result["hosts"][name]
        return found

    def engine(self, host: str, model: str) -> dict[str, Any]:
        """The one engine of a model on a host."""
        (found,) = [engine for engine in self.host(host)["engines"] if engine["model"] == model]
        return found

    def actions(self, model: str) -> dict[str, str]:
        """host -> what became of the model's engine there."""
        assert self.result, self.text
        hosts = self.result["hosts"].items()
        return {name: e["action"] for name, host in hosts for e in host["engines"] if e["model"] == model}


class Project:
    """A folder with an inventory, models and `.fleet`; its virtual devices start on demand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / ".fleet"
        self.models = folder / "models"
        self.models.mkdir(parents=True)
        self.lab = folder / "lab.yml"
        self.lab.write_text((REPOSITORY / "inventory/lab.yml").read_text())
        self.spare = folder / "spare.yml"
        self.spare.write_text(SPARE)
        # The shipped playbook with a short look at latency: figures of virtual devices mean nothing anyway.
        shipped = (REPOSITORY / "playbooks/deploy.yml").read_text()
        assert "engine_benchmark:\n" in shipped
        self.playbook = folder / "quick.yml"
        brief = "engine_benchmark: {warmup_ms: 0, duration_s: 0.05, iterations: 5}\n"
        self.playbook.write_text(shipped.replace("engine_benchmark:\n", brief))
        self._runs = 0

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
        return {**os.environ, "FLEET_HOME": str(self.home), "PYTHONPATH": path, "COLUMNS": "160"}

    def fleet(self, *args: str | Path, code: int | None = 0, program: list[str] | None = None) -> Done:
        """Run `fleet` here; the exit code must be `code` (None: any) and nobody may see a traceback."""
        command = [*(program or [sys.executable, "-m", "orchestrator"]), *map(str, args)]
        started = time.monotonic()
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=280
        )
        seconds = time.monotonic() - started
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        assert code is None or done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return Done(done.returncode, done.stdout, done.stderr, None, seconds)

    def deploy(self, *args: str | Path, code: int | None = 0, command: str = "deploy", quick: bool = True) -> Done:
        """`fleet deploy`, with its result read and held against the schema."""
        import jsonschema

        self._runs += 1
        file = self.folder / "results" / f"{self._runs}.json"
        file.parent.mkdir(exist_ok=True)
        playbook: list[str | Path] = ["--playbook", self.playbook] if quick and command == "deploy" else []
        done = self.fleet(command, *args, *playbook, "--no-live", "--json", file, code=code)
        if not file.exists():
            return done
        result = json.loads(file.read_text())
        jsonschema.validate(result, SCHEMA)
        assert result == json.loads((self.folder / "runs/latest/result.json").read_text())
        assert not list((self.folder / "runs/latest").glob("defect-*")), "a defect of Fleet itself"
        return Done(done.code, done.out, done.err, result, done.seconds)

    def root(self, device: str) -> Path:
        """The root folder of a virtual device, as this machine sees it."""
        return self.home / "lab/devices" / device / "root"

    def fleet_root(self, device: str) -> Path:
        """The folder in which Fleet keeps everything on a device."""
        places = [self.root(device) / "var/lib/fleet", self.root(device) / "home/nvidia/.local/share/fleet"]
        return next(place for place in places if place.is_dir())

    def current(self, device: str, model: str) -> Path:
        """The folder that a model's `current` link names."""
        link = self.fleet_root(device) / "models" / model / "current"
        return link.parent / link.readlink()

    def links(self, device: str) -> dict[str, str]:
        """model -> what its `current` link says."""
        folder = self.fleet_root(device) / "models"
        return {link.parent.name: str(link.readlink()) for link in sorted(folder.glob("*/current"))}

    def contents(self, device: str) -> dict[str, str]:
        """Everything below fleet_root: path -> digest, target of a link, or `folder`."""
        root = self.fleet_root(device)
        return {str(path.relative_to(root)): _content(path) for path in sorted(root.rglob("*"))}

    @contextmanager
    def state(self, device: str) -> Iterator[dict[str, Any]]:
        """The emulated machine's own state (packages, services), as an upgrade or an installation would change it."""
        file = self.root(device) / ".lab/state.json"
        content = json.loads(file.read_text())
        yield content
        changed = file.with_name("state.json.test")
        changed.write_text(json.dumps(content))
        changed.replace(file)

    def service(self, device: str, name: str) -> dict[str, Any]:
        """A systemd unit of a virtual device."""
        with self.state(device) as state:
            unit: dict[str, Any] = state["services"].get(name, {})
            return unit

    def ssh(self, device: str, command: str) -> tuple[int, str]:
        """Run a command as the login user of a virtual device: exit code and output."""
        import paramiko

        from orchestrator.lab.lab import Lab

        endpoint = Lab(self.home / "lab").endpoint(device)
        with paramiko.SSHClient() as client:
            client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
            client.connect(
                endpoint.host,
                endpoint.port,
                endpoint.user,
                key_filename=endpoint.key_file,
                allow_agent=False,
                timeout=10,
            )
            _, out, err = client.exec_command(command, timeout=60)
            text = out.read().decode() + err.read().decode()
            return out.channel.recv_exit_status(), text

    def export_logs(self) -> set[str]:
        """One per export worker that ever started."""
        return {log.name for log in (self.home / "store/logs").glob("export-*.log")}

    def write_model(self, write: Callable[..., Path], **changes: Any) -> Path:
        """Put one of the small models (tests/models/zoo.py) into a folder of its own below `models`."""
        return write(self.models / write.__name__, **changes)


def open_project(folder: Path) -> Iterator[Project]:
    """A new project; its lab is stopped and deleted in the end, whatever happens."""
    from importlib.util import find_spec

    absent = [name for name in NEEDED if find_spec(name) is None]
    if absent:
        pytest.skip(f"the export and lab extras are not installed: {', '.join(absent)}")
    project = Project(folder)
    try:
        probe = project.fleet("lab", "up", "-i", project.spare, "--limit", "worn-01", code=None)
        if probe.code and "namespaces" in probe.err:
            pytest.skip(probe.err.strip())
        assert probe.code == 0, probe.text
        yield project
    finally:
        from orchestrator.lab.lab import Lab
        from orchestrator.lab.server import forget

        Lab(project.home / "lab").down()
        forget(project.home / "lab")


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return "folder" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
