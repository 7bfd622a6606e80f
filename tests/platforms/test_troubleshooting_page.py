"""docs/troubleshooting.md holds every failure that is known."""

from pathlib import Path

from orchestrator.platforms.failures import documentation
from orchestrator.platforms.tables import table

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"


def test_the_page_is_up_to_date():
    wanted = "run: python -m orchestrator.platforms.failures > docs/troubleshooting.md"
    assert PAGE.read_text(encoding="utf-8") == documentation(), wanted


def test_every_rule_has_a_row_and_no_placeholder_is_left():
    text = documentation()
    assert sum(line.startswith("| ") for line in text.splitlines()) == len(table("failures.yml")) + text.count("\n## ")
    assert "{" not in text
