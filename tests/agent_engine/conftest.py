"""Each test has a device of its own; a test that takes `python` runs under every device Python found here."""

import pytest
from engine_device import PYTHONS, Device


def pytest_generate_tests(metafunc):
    if "python" in metafunc.fixturenames:
        metafunc.parametrize("python", list(PYTHONS.values()), ids=[f"py{name}" for name in PYTHONS])


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)
