"""Runs a pair by ansible-playbook and says what happened and what it left; as a program it records the goldens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machines import HERE, NAMES, Machines
from pairs_common import Pair, by_host, load_pair, pair_names, web_server

TIMEOUT_S = 240


def play(pair: Pair, mode: str, inventory: Path, scratch: Path, url: str) -> tuple[int, list[dict[str, Any]]]:
    """Exit code of ansible-playbook, and its results in order."""
    record = scratch / "record.jsonl"
    record.unlink(missing_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")}
    environment.update(
        ANSIBLE_CONFIG=str(HERE / "ansible.cfg"),
        ANSIBLE_HOME=str(scratch / "ansible"),
        ANSIBLE_SSH_COMMON_ARGS=f"-F /dev/null -o UserKnownHostsFile={inventory.parent}/known_hosts",
        FLEET_RECORD=str(record),
        FLEET_EQUALITY="from the environment",
    )
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(pair.playbook)]
    command += ["-e", f"scratch={scratch}/{mode}", "-e", f"url={url}", *pair.options]
    command += ["--check", "--diff"] if mode == "check" else []
    log = scratch / f"ansible-{mode}.log"
    with log.open("w") as output:
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=TIMEOUT_S
        )
    lines = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    if not lines:
        raise RuntimeError(f"{pair.name}: ansible-playbook did nothing:\n{log.read_text()[-3000:]}")
    return done.returncode, lines


def observe(machines: Machines, pair: Pair, folder: Path, url: str) -> dict[str, Any]:
    """What Ansible makes of the pair: per mode its exit code, the results per host, and the machines' changes."""
    machines.start(pair.seed)
    inventory = machines.inventory(folder / "hosts.json")
    found: dict[str, Any] = {}
    for mode in pair.modes:
        code, lines = play(pair, mode, inventory, folder, url)
        found[mode] = {"code": code, "results": by_host(lines), "changes": {n: machines.changes(n) for n in NAMES}}
    return found


def _kept(found: dict[str, Any]) -> dict[str, Any]:
    """What a golden keeps: the words of a failure are Ansible's own, and nothing compares them."""
    kept = {}
    for mode, part in found.items():
        results = {
            host: [{k: v for k, v in each.items() if k != "msg"} for each in lines]
            for host, lines in part["results"].items()
        }
        kept[mode] = {**part, "results": results}
    return kept


def main(names: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="fleet-ansible-") as text, web_server() as url:
        folder = Path(text)
        machines = Machines(folder)
        try:
            for name in names or pair_names():
                started = time.monotonic()
                pair = load_pair(name)
                scratch = folder / name
                scratch.mkdir()
                found = observe(machines, pair, scratch, url)
                text = json.dumps(_kept(found), indent=1, sort_keys=True).replace(str(scratch), "SCRATCH")
                pair.golden.write_text(text.replace(str(pair.folder), "FOLDER").replace(url, "URL") + "\n")
                codes = ", ".join(f"{mode} {found[mode]['code']}" for mode in found)
                print(f"{name}: {codes} ({time.monotonic() - started:.0f} s)", flush=True)
                for mode in found:
                    for host, results in found[mode]["results"].items():
                        bad = [f"{r['task']}: {r['msg'][:300]}" for r in results if r["status"] == "failed"]
                        if bad:
                            print(f"  {mode} {host}: {bad}", flush=True)
        finally:
            machines.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
