"""A build outlives what started it: the link, the command that a user interrupts, the controller that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from deploy_project import Project

zoo = pytest.importorskip("zoo")
pytest.importorskip("torch")

HOST = "cut-01"


class Building:
    """A deploy that has come to its build."""

    def __init__(self, process: subprocess.Popen[str], seen: list[str]) -> None:
        self.process = process
        self.seen = seen

    def end(self) -> str:
        """Wait for the end; returns everything that was said."""
        rest, _ = self.process.communicate(timeout=120)
        return "".join(self.seen) + rest


@pytest.fixture
def building(project: Project) -> Callable[[int], Any]:
    @contextmanager
    def start(depth: int) -> Iterator[Building]:
        """Deploy a network of so many layers (each depth is an engine of its own) until it is being built."""
        content = {"inputs": [{"name": "x", "shape": ["batch", 16, 64]}], "precisions": ["fp32"]}
        spec = zoo.write(project.models / "deep", "deep", zoo.LAYERNORM, content, width=64, depth=depth)
        options = ["-i", project.spare, "-l", HOST, "-m", spec, "--playbook", project.playbook, "--no-live"]
        command = [sys.executable, "-u", "-m", "orchestrator", "deploy", *map(str, options)]
        known = build_jobs(project)
        process = subprocess.Popen(
            command,
            cwd=project.folder,
            env=project.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A shell that starts tests in the background has them ignore interrupts, which children inherit.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        assert process.stdout
        seen = []
        try:
            for line in process.stdout:
                seen.append(line)
                if line.split()[1:3] == [HOST, "building"]:
                    break
            deadline = time.monotonic() + 10
            while build_jobs(project) == known and time.monotonic() < deadline:
                time.sleep(0.005)
            assert process.poll() is None, "".join(seen)
            yield Building(process, seen)
        finally:
            process.kill()
            process.wait()

    return start


def again(project: Project) -> Any:
    return project.deploy("-i", project.spare, "-l", HOST, "-m", project.models / "deep/deep.yml")


def build_jobs(project: Project) -> dict[str, str]:
    """Build jobs of the device: name -> which one it is (a job that is started anew is another file)."""
    try:
        jobs = project.fleet_root(HOST) / "jobs"
    except StopIteration:
        return {}  # nothing was ever deployed there
    return {job.name: str((job / "spec.json").stat().st_ino) for job in jobs.glob("build-*")}


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_lost_link_does_not_end_a_build(project: Project, building) -> None:
    from orchestrator.lab.lab import Lab

    with building(3) as deploy:
        before = build_jobs(project)
        Lab(project.home / "lab").cut_connections(HOST)
        text = deploy.end()
    assert deploy.process.returncode == 0, text
    assert "deep switched" in text
    assert build_jobs(project) == before


def test_an_interrupted_deploy_says_so_and_the_next_one_goes_on(project: Project, building) -> None:
    with building(4) as deploy:
        before = build_jobs(project)
        deploy.process.send_signal(signal.SIGINT)
        text = deploy.end()
    assert deploy.process.returncode == 130, text
    assert "interrupted" in text
    assert "Traceback" not in text
    done = again(project)
    assert done.engine(HOST, "deep")["action"] in ("built", "revalidated")
    assert build_jobs(project) == before, "built twice"


def test_a_killed_controller_leaves_a_build_that_the_next_one_takes_over(project: Project, building) -> None:
    with building(5) as deploy:
        before = build_jobs(project)
        left = children(deploy.process.pid)
        deploy.process.kill()
    try:
        deadline = time.monotonic() + 15
        while any(map(alive, left)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not [pid for pid in left if alive(pid)], "the export worker outlived its controller"
    finally:
        for pid in filter(alive, left):
            os.kill(pid, signal.SIGKILL)
    done = again(project)
    assert done.engine(HOST, "deep")["action"] in ("built", "revalidated")
    assert build_jobs(project) == before, "built twice"
    assert again(project).engine(HOST, "deep")["action"] == "reused"


def test_a_board_that_loses_power_while_it_builds_builds_again(project: Project, building) -> None:
    from orchestrator.lab.lab import Lab

    # Long enough for the power to go in the middle of it, however busy this machine is.
    project.fleet("lab", "up", "-i", project.spare, "-l", HOST)
    with project.state(HOST) as state:
        state["build_seconds"] = 6
    with building(6) as deploy:
        Lab(project.home / "lab").power_cut(HOST, off_s=0.5)
        text = deploy.end()
    with project.state(HOST) as state:
        del state["build_seconds"]
    assert deploy.process.returncode in (2, 4), text
    assert "Traceback" not in text
    done = again(project)
    assert done.host(HOST)["status"] == "ok"
    assert done.engine(HOST, "deep")["action"] == "built"
    assert done.host(HOST)["facts"]["clocks"]["locked"] is True
