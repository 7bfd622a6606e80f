"""A root file system of one's own: the machine's, with every write kept in memory and forgotten at the end."""

import os
import shutil
import subprocess

import pytest

ENTER = """set -e
mount -t tmpfs tmpfs {mount}
mkdir {mount}/upper {mount}/work {mount}/root
mount -t overlay overlay -o lowerdir=/,upperdir={mount}/upper,workdir={mount}/work {mount}/root
mount -t proc proc {mount}/root/proc
mount --rbind /dev {mount}/root/dev
exec chroot {mount}/root "$@"
"""


def throwaway_root(folder):
    """A command prefix whose commands see the machine's files and change only a copy of them; skips without rights."""
    mount = folder / "mount"
    mount.mkdir()
    script = folder / "enter"
    script.write_text(ENTER.format(mount=mount))
    argv = ["unshare", "--mount", "sh", str(script)]
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and unshare, to work on a copy of the machine's own root")
    if subprocess.run([*argv, "true"], capture_output=True).returncode != 0:
        pytest.skip("no overlay file system can be mounted here, so there is no copy of the machine's own root")
    return argv
