"""A folder of its own for each command, with an inventory of machines that are this one."""

import pytest

from orchestrator.cli.main import main

HOSTS = """\
all:
  hosts: {one: , two: }
  vars: {ansible_connection: local}
"""


@pytest.fixture
def fleet(tmp_path, monkeypatch, capfd):
    """Run `fleet ARGS...`: exit code, standard output and standard error. `fleet.folder` is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("FLEET_HOME", raising=False)
    monkeypatch.setenv("FLEET_INVENTORY", "hosts.yml")
    (tmp_path / "hosts.yml").write_text(HOSTS, encoding="utf-8")

    def run(*argv):
        monkeypatch.setattr("sys.argv", ["fleet", *argv])
        capfd.readouterr()
        try:
            code = main(argv)
        except SystemExit as ended:
            code = ended.code
        return code, *capfd.readouterr()

    run.folder = tmp_path
    return run
