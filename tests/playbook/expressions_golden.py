"""What the real Ansible makes of every expression: `python tests/playbook/expressions_golden.py` records it anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "expressions"
GOLDEN = FOLDER / "expected.json"
CONFIG = Path(__file__).parents[1] / "inventory" / "ansible.cfg"  # nobody's own may colour the answers
ENVIRONMENT = {"FLEET_GOLDEN": "from the environment"}


def tables() -> dict[str, list[str]]:
    return yaml.safe_load((FOLDER / "templates.yml").read_text())


def conditions() -> list[Any]:
    return yaml.safe_load((FOLDER / "conditions.yml").read_text())


def variables() -> dict[str, Any]:
    return {**yaml.safe_load((FOLDER / "variables.yml").read_text()), "playbook_dir": str(FOLDER)}


def portable(value: Any) -> Any:
    """The value without the folder of this checkout."""
    return json.loads(json.dumps(value).replace(str(FOLDER), "FOLDER"))


def ask_ansible() -> dict[str, list[Any]]:
    """Every template's result from ansible-core, in a process of its own; `{"error": true}` where it refuses."""
    done = subprocess.run(
        [sys.executable, __file__, "--ask"],
        env={**os.environ, **ENVIRONMENT, "ANSIBLE_CONFIG": str(CONFIG), "ANSIBLE_DEPRECATION_WARNINGS": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _answer() -> None:
    from ansible.parsing.dataloader import DataLoader
    from ansible.plugins.loader import init_plugin_loader
    from ansible.template import Templar, trust_as_template

    def trusted(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: trusted(item) for key, item in value.items()}
        if isinstance(value, list):
            return [trusted(item) for item in value]
        return trust_as_template(value) if isinstance(value, str) else value

    init_plugin_loader()
    loader = DataLoader()
    loader.set_basedir(str(FOLDER))
    known = {**trusted(variables()), "ansible_search_path": [str(FOLDER)]}
    answers: dict[str, list[Any]] = {}
    for name, templates in tables().items():
        answers[name] = []
        for template in templates:
            try:
                result = Templar(loader, known).template(trust_as_template(template))
                answers[name].append({"value": portable(_plain(result))})
            except Exception:
                answers[name].append({"error": True})
    answers["conditions"] = []
    for condition in conditions():
        try:
            truth = Templar(loader, known).evaluate_conditional(trusted(condition))
            answers["conditions"].append({"value": truth})
        except Exception:
            answers["conditions"].append({"error": True})
    print()
    print(json.dumps(answers))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def main() -> None:
    if sys.argv[1:] == ["--ask"]:
        _answer()
    else:
        GOLDEN.write_text(json.dumps(ask_ansible(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
