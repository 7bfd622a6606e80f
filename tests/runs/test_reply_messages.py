"""The one line that people see of a task."""

import pytest

from orchestrator.runs.replies import outcome_of


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"cmd": "uptime", "rc": 0, "stdout": "up 3 days\nand more"}, "up 3 days"),
        ({"stdout": "Reading package lists...\nDone"}, ""),
        ({"msg": "11 packages\nof them", "stdout": "Reading package lists..."}, "11 packages"),
        ({}, ""),
    ],
)
def test_a_task_shows_its_message_else_what_its_command_printed(data, message):
    assert outcome_of(True, data).message == message
