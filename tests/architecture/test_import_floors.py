"""Imports go down the floors of docs/architecture.md, never up; the agent stands apart on the standard library."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = {
    "cli": 7,
    "runs": 6,
    "playbook": 5,
    "engines": 4,
    "devices": 4,
    "models": 3,
    "lab": 3,
    "store": 2,
    "inventory": 2,
    "platforms": 2,
    "reports": 2,
    "language": 1,
    "events": 1,
    "errors": 1,
    "values": 1,
    "documents": 1,
}
# Shipped beside the package, not part of it; run inside virtual devices as programs of their own.
APART = ("orchestrator/lab/tools/",)
# Imported when an engine is built, run or measured, never at the agent's start.
PROBED = {"numpy", "tensorrt", "pycuda"}


def modules(folder):
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if "__pycache__" not in path.parts]


def imported(path, package):
    """Absolute names of what a file imports, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((f"{prefix}.{alias.name}", node.lineno) for alias in node.names)


def package_of(path):
    return list(path.relative_to(ROOT).parent.parts)


@pytest.mark.parametrize("room", [name for name in FLOORS if (ROOT / "orchestrator" / name).is_dir()])
def test_imports_go_down(room):
    upward = []
    for path in modules(f"orchestrator/{room}"):
        if str(path.relative_to(ROOT)).startswith(APART):
            continue
        for name, line in imported(path, package_of(path)):
            parts = name.split(".")
            ours = parts[0] == "orchestrator" and len(parts) > 1 and parts[1] in FLOORS
            # Rooms of one floor may know each other; engines stand on devices.
            if ours and FLOORS[parts[1]] > FLOORS[room]:
                upward.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not upward


def test_the_agent_is_standard_library_only():
    outside = []
    for path in modules("device_agent"):
        for name, line in imported(path, package_of(path)):
            top = name.split(".")[0]
            if top not in sys.stdlib_module_names and top != "device_agent" and top not in PROBED:
                outside.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not outside


def test_only_the_command_line_prints():
    """`print` stands in cli/ and in programs that are run as such."""
    programs = ("orchestrator/cli/", "orchestrator/lab/tools/", "orchestrator/reports/capture.py")
    printing = []
    for path in modules("orchestrator"):
        name = str(path.relative_to(ROOT))
        text = path.read_text(encoding="utf-8")
        if name.startswith(programs) or '__name__ == "__main__"' in text:
            continue
        calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        names = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]
        printing += [f"{name}:{call.lineno}" for call in names]
    assert not printing


def test_files_can_be_read_in_a_sitting():
    long = {
        str(path.relative_to(ROOT)): count
        for folder in ("orchestrator", "device_agent")
        for path in modules(folder)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long
