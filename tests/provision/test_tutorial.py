"""docs/tutorial.md, followed command by command on virtual boards."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from provision_project import REPOSITORY, open_bench

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("provision")]

TEXT = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
RECAP = re.compile(r"^(\S+) : ok=(\d+) changed=(\d+) ", re.MULTILINE)


def test_the_tutorial_can_be_followed(tmp_path):
    pytest.importorskip("asyncssh", reason="the lab extra is not installed")
    if not shutil.which("unshare") or subprocess.run(["unshare", "-Ur", "true"], capture_output=True).returncode != 0:
        pytest.skip("user namespaces are forbidden here")
    inventory = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    counts = []
    with open_bench(tmp_path) as bench:
        (bench.folder / "new.yml").write_text(inventory[1], encoding="utf-8")
        for command in COMMANDS:
            program, *args = shlex.split(command)
            assert program == "fleet"
            done = bench.fleet(*args)
            assert done.code == 0, f"{command}\n{done.text}"
            if args == ["provision", "-i", "new.yml"]:
                counts += RECAP.findall(done.text)
            elif "--retry" in args:
                assert "left nothing to retry here" in done.text
            elif "--graph" in args:
                assert done.text.strip() in TEXT
            elif args[0] == "exec" and "pycuda" in command:
                assert all(line in TEXT for line in done.text.splitlines())
    # The recaps that the page shows are those that came: at first much is changed, then nothing.
    assert counts == RECAP.findall(TEXT)
    assert [changed != "0" for _, _, changed in counts] == [True, True, False, False]
