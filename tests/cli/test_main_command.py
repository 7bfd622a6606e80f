"""`fleet` itself: help, unknown commands, and what importing it costs."""

import subprocess
import sys

import pytest

from orchestrator.cli.main import COMMANDS, GROUPS, main

HEAVY = {"torch", "onnx", "onnxruntime", "polygraphy", "numpy", "fabric", "paramiko", "jinja2", "pydantic"}
FLEET = [sys.executable, "-m", "orchestrator"]


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom orchestrator.cli.main import main\nmain(['--help'])\n"
        "print('LOADED', *sorted({n.partition('.')[0] for n in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    text, _, loaded = done.stdout.partition("LOADED ")
    assert all(f"  {name} " in text for name in COMMANDS)
    assert not HEAVY & set(loaded.split())


def test_every_command_stands_in_one_group():
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_of_its_own(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: fleet {name}" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["deploy", "--nope"], ["logs"], ["nope"], []])
def test_usage_mistakes_end_with_1(argv, capsys):
    try:
        code = main(argv)
    except SystemExit as ended:
        code = ended.code
    assert code == 1
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err + captured.out


def test_a_mistyped_command_gets_the_nearest_one(capsys):
    main(["depoly"])
    assert "did you mean 'fleet deploy'?" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_failure():
    done = subprocess.run(
        f"{' '.join(FLEET)} modules | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True,
        capture_output=True,
        text=True,
        executable="/bin/bash",
    )
    assert done.returncode == 0
    assert not done.stderr
