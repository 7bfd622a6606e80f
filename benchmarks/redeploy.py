"""What a second deploy to the five virtual Jetsons takes, and where its time goes.

    python benchmarks/redeploy.py [--runs 5]

The first deploy is prepared in a folder of its own. Then each run is `fleet deploy` where nothing has changed; the
medians are shown in seconds and as ratios. Exits with 1 where anything was built, pushed or revalidated.

    interpreter+imports   from the start of the process to the run's first event
    connections+agents    until the device's session is open; of the device that took longest, as are all below
    facts                 until the facts are there
    planning              until it is known what is to be done
    the rest              power state looked at, engines compared, artifacts placed, reports written

The imports are also measured alone (python -X importtime), and two ratios are given that hold on any machine.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
FLEET = [sys.executable, "-m", "orchestrator"]
PHASES = ("interpreter+imports", "connections+agents", "facts", "planning", "the rest")
AIM_S = 3.0


class Bench:
    """A project folder with the digits model and a lab that is up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
        self.environment = {**os.environ, "FLEET_HOME": str(folder / ".fleet"), "PYTHONPATH": path}
        shutil.copy(REPOSITORY / "inventory/lab.yml", folder / "lab.yml")
        models = REPOSITORY / "playbooks/models"
        shutil.copytree(models, folder / "models", ignore=shutil.ignore_patterns("__pycache__"))
        if not (folder / "models/digits/digits.pt").exists():
            self.run([sys.executable, "models/digits/train.py"])

    def run(self, command: list[str]) -> None:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")

    def deploy(self) -> None:
        self.run([*FLEET, "deploy", "-i", "lab.yml", "--no-live"])

    def redeploy(self) -> dict[str, float]:
        """Seconds of one deploy, whole and by phase."""
        started = time.time()
        self.deploy()
        wall = time.time() - started
        latest = self.folder / "runs/latest"
        result = json.loads((latest / "result.json").read_text())
        idle = {"built": 0, "reused": 5, "revalidated": 0, "blocked": 0, "failed": 0}
        if result["summary"]["engines"] != idle or result["summary"]["bytes_pushed"]:
            raise SystemExit(f"not a deploy in which nothing changed: {result['summary']}")
        return {"wall": wall, **phases(latest / "journal.jsonl", started, started + wall)}

    def imports(self) -> float:
        """Seconds that imports took, all modules together, as `python -X importtime` counts them."""
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *FLEET[1:], "deploy", "-i", "lab.yml", "--no-live"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        own = re.findall(r"^import time:\s+(\d+) \|", done.stderr, re.MULTILINE)
        return sum(map(int, own)) / 1e6

    def close(self) -> None:
        subprocess.run([*FLEET, "lab", "down"], cwd=self.folder, env=self.environment, capture_output=True)


def phases(journal: Path, started: float, ended: float) -> dict[str, float]:
    """The journal's times as seconds per phase, of the device that was the last to be planned."""
    first = None
    marks: dict[str, dict[str, float]] = {}
    for line in journal.read_text().splitlines():
        event = json.loads(line)
        first = first or event["time"]
        seen = marks.setdefault(event.get("host") or "", {})
        if event["event"] == "HostState" and event["state"] == "gathering facts":
            seen["connected"] = event["time"]
        elif event["event"] == "FactsGathered":
            seen.setdefault("facts", event["time"])
        elif event["event"] == "TaskFinished" and event["module"] == "engine_plan":
            seen["planned"] = event["time"]
    assert first is not None
    slowest = max((m for m in marks.values() if "planned" in m), key=lambda m: m["planned"])
    times = [started, first, slowest["connected"], slowest["facts"], slowest["planned"], ended]
    return {name: after - before for name, before, after in zip(PHASES, times, times[1:], strict=False)}


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    count = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="fleet-bench-") as name:
        bench = Bench(Path(name))
        try:
            started = time.perf_counter()
            bench.deploy()
            first = time.perf_counter() - started
            bench.redeploy()  # byte-compiles, and fills the caches of the system
            taken = [bench.redeploy() for _ in range(count)]
            imports = bench.imports()
        finally:
            bench.close()
            remove(Path(name))
    base = statistics.median(seconds([sys.executable, "-c", "import rich.console"]) for _ in range(5))
    median = {key: statistics.median(run[key] for run in taken) for key in taken[0]}
    wall = median["wall"]
    walls = [run["wall"] for run in taken]
    spread = f"{min(walls):.2f} to {max(walls):.2f}"
    print(f"second deploy, five virtual devices: {wall:.2f} s (median of {count}, {spread}; aim: under {AIM_S:.0f} s)")
    for phase in PHASES:
        print(f"  {phase:<20} {median[phase]:5.2f} s  {median[phase] / wall:4.0%}")
    print(f"imports alone, by -X importtime: {imports:.2f} s")
    print(f"ratio to the first deploy ({first:.1f} s): {wall / first:.3f}")
    print(f"ratio to python -c 'import rich.console' ({base * 1000:.0f} ms): {wall / base:.1f}")
    return 0


def remove(folder: Path) -> None:
    """Delete the lab's devices, whose folders are write-protected as a board's are."""
    from orchestrator.lab.server import forget

    forget(folder / ".fleet/lab")


if __name__ == "__main__":
    sys.path.insert(0, str(REPOSITORY))
    sys.exit(main())
