"""Runs over fake devices, for the tests of this folder."""

import pytest
from fake_run import FakeRuns


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a playbook's text over fake devices: see `fake_run.FakeRuns`."""
    monkeypatch.setattr("orchestrator.playbook.context.resolve", lambda raw: dict(raw))
    return FakeRuns(tmp_path)
