"""A virtual device in a temporary folder, and its tools run as subprocesses there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.lab.profile import load_profile, profile_names

LAB = Path(__file__).resolve().parents[2] / "orchestrator" / "lab"
PROFILES = [name for name in profile_names() if load_profile(name).get("power")]
"""The Jetsons."""


class Device:
    """One booted device; `run` calls a tool in it by name."""

    def __init__(self, root: Path, name: str) -> None:
        self.root = root
        self.profile: dict[str, Any] = load_profile(name)
        (root / ".lab").mkdir(parents=True)
        (root / ".lab" / "profile.json").write_text(json.dumps(self.profile))
        self.boot()

    def boot(self) -> None:
        self.run("boot", check=True)

    def run(
        self,
        tool: str,
        *args: str,
        root: bool = True,
        input: str | None = None,
        check: bool = False,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[str]:
        heavy = tool == "trtexec"
        flags = [] if heavy else ["-I", "-S", "-E"]
        return subprocess.run(
            [sys.executable, *flags, str(LAB / "tools" / f"{tool}.py"), *args],
            env={
                **os.environ,
                "FLEET_LAB_ROOT": str(self.root),
                "FLEET_LAB_UID": "0" if root else "1000",
                **(env or {}),
            },
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            check=check,
            cwd=cwd,
            timeout=timeout,
            start_new_session=True,
        )

    def state(self) -> dict[str, Any]:
        return json.loads((self.root / ".lab" / "state.json").read_text())

    def change(self, **values: Any) -> None:
        (self.root / ".lab" / "state.json").write_text(json.dumps({**self.state(), **values}))

    def read(self, name: str) -> str:
        return (self.root / name.lstrip("/")).read_text().rstrip("\n")


@pytest.fixture
def device(tmp_path: Path):
    """A factory: `device("nano-jetpack-4.6.1")` gives that device, booted."""

    def make(name: str) -> Device:
        return Device(tmp_path / name, name)

    return make


@pytest.fixture
def lab_folder() -> Path:
    """Of the product: orchestrator/lab."""
    return LAB
