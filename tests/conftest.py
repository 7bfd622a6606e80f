"""Sorts every test into its tier, and says at the end which tiers ran here and which could not, and why."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

# What a tier needs, as people would say it.
TIERS = {
    "unit": "nothing but Python",
    "agent": "the Pythons of JetPacks: 3.6, 3.8, 3.10, 3.12",
    "lab": "Linux with user namespaces, and the lab extra",
    "sshd": "an OpenSSH server",
    "gpu": "an NVIDIA GPU and TensorRT",
}
FOLDERS = {"agent": "agent", "agent_engine": "agent", "lab_core": "lab", "lab_tools": "lab", "deploy": "lab"}


def tier_of(item: pytest.Item) -> str:
    """The tier of a test: by its marker, else by its folder."""
    for tier in ("gpu", "sshd", "lab", "agent"):
        if item.get_closest_marker(tier):
            return tier
    folder = Path(item.path).relative_to(Path(__file__).parent).parts[0]
    return FOLDERS.get(folder, "unit")


def missing(tier: str) -> str | None:
    """Why a tier cannot run on this machine, or None."""
    if tier == "sshd" and not (shutil.which("sshd") or Path("/usr/sbin/sshd").exists()):
        return "no OpenSSH server here (openssh-server)"
    if tier == "gpu" and not shutil.which("nvidia-smi"):
        return "no NVIDIA GPU here (no nvidia-smi)"
    return None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = tier_of(item)
        item.user_properties.append(("tier", tier))
        why = missing(tier)
        if why:
            item.add_marker(pytest.mark.skip(reason=why))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, set[str]] = defaultdict(set)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, ()):
            tier = dict(getattr(report, "user_properties", ())).get("tier")
            if tier is None:
                continue
            counts[tier][outcome] += 1
            if outcome == "skipped" and isinstance(report.longrepr, tuple):
                reasons[tier].add(report.longrepr[2].removeprefix("Skipped: "))
    terminalreporter.section("tiers")
    for tier, needs in TIERS.items():
        ran = counts[tier]
        words = ", ".join(
            f"{ran[outcome]} {outcome}" for outcome in ("passed", "failed", "error", "skipped") if ran[outcome]
        )
        if not words:
            words = f"not run: {missing(tier) or 'no test of it was selected'}"
        terminalreporter.write_line(f"{tier:<6} {words}  (needs {needs})")
        for reason in sorted(reasons[tier]):
            terminalreporter.write_line(f"         skipped: {reason}")


@pytest.fixture(autouse=True)
def secrets_are_forgotten() -> Iterator[None]:
    """What one test opened from a vault must not be masked in the output of the next."""
    from orchestrator import values

    yield
    values._revealed.clear()
