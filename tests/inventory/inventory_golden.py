"""What the real `ansible-inventory` says of every case: `python tests/inventory/inventory_golden.py` writes it anew."""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

CASES = Path(__file__).parent / "cases"


def arguments(case: Path) -> dict[str, Any]:
    """What `args.yml` says: `sources` (else hosts.yml), `playbook_dir`, `vault` (ids); in the case."""
    file = case / "args.yml"
    return {"sources": ["hosts.yml"], **(yaml.safe_load(file.read_text()) if file.exists() else {})}


def ask_ansible(case: Path, **given: Any) -> tuple[dict[str, Any], str]:
    """`--list` as data and `--graph` as text, from ansible-core; `given` as `arguments`, which it replaces."""
    # Nobody's own ansible.cfg may colour the answer.
    os.environ.update(ANSIBLE_CONFIG=str(CASES.with_name("ansible.cfg")), ANSIBLE_HOME=tempfile.gettempdir())
    listed = json.loads(_ask(case, given, "--list"))
    listed["_meta"].pop("profile", None)  # new in ansible-core 2.19, says how its JSON is written
    return listed, _ask(case, given, "--graph")


def _ask(case: Path, given: dict[str, Any], question: str) -> str:
    # Its command line can run once per process; a fork has it imported already, a new process pays a second each.
    importlib.import_module("ansible.cli.inventory")
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as answer:
        child = multiprocessing.get_context("fork").Process(target=_run, args=(case, given, question, answer.name))
        child.start()
        child.join(60)
        assert child.exitcode == 0, f"ansible-inventory failed on {case.name}"
        return answer.read()


def _run(case: Path, given: dict[str, Any], question: str, output: str) -> None:
    from ansible.cli.inventory import InventoryCLI

    given = given or arguments(case)
    argv = ["ansible-inventory", question, "--output", output]
    for source in given["sources"]:
        argv += ["-i", source if "," in source else str(case / source)]
    if "playbook_dir" in given:
        argv += ["--playbook-dir", str(case / given["playbook_dir"])]
    for identity in given.get("vault", []):
        label, _, file = identity.partition("@")
        argv += ["--vault-id", f"{label}@{case / file}"]
    with tempfile.TemporaryDirectory() as empty:
        os.chdir(empty)  # without --playbook-dir it takes the current directory for the playbook's
        cli = InventoryCLI(argv)
        cli.parse()
        cli.run()


def main() -> None:
    for case in sorted(path for path in CASES.iterdir() if path.is_dir()):
        listed, graph = ask_ansible(case)
        (case / "expected.json").write_text(json.dumps(listed, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        (case / "expected.graph").write_text(graph + "\n")
        assert any("hosts" in group for group in listed.values()), f"ansible-inventory could not read {case}"


if __name__ == "__main__":
    main()
