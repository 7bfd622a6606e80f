"""A device of files and small tools in a folder, for the actions on users, units and packages."""

import sys
from pathlib import Path

from fake_device import FakeDevice

TOOLS = Path(__file__).parent / "tools"
SHADOW_TOOLS = ("useradd", "usermod", "userdel", "groupadd", "groupmod", "groupdel", "chpasswd")


class SystemDevice(FakeDevice):
    """A FakeDevice whose tools are the files of `tools/`, and whose file system can be told apart from before."""

    def put_tool(self, path, file, *words):
        """`path` runs tools/`file` with `words` and the device's folder before its own arguments."""
        line = " ".join([sys.executable, "-S", str(TOOLS / file), *words, str(self.folder)])
        self.write(path, f'#!/bin/sh\nexec {line} "$@"\n')
        self.path(path).chmod(0o755)
        self.path("/fake").mkdir(exist_ok=True)

    def with_users(self):
        self.write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\nnano:x:1000:1000:Nano:/home/nano:/bin/bash\n")
        self.write("/etc/group", "root:x:0:\nvideo:x:44:\nsudo:x:27:nano\nnano:x:1000:\n")
        self.write("/etc/shadow", "root:*:18000:0:99999:7:::\nnano:$6$a$b:18000:0:99999:7:::\n")
        for tool in SHADOW_TOOLS:
            self.put_tool(f"/usr/sbin/{tool}", "shadow.py", tool)
        return self

    def picture(self):
        """Every file below /etc and /home with its content and mode, to see that nothing was touched."""
        found = {}
        for top in ("etc", "home", "var"):
            for path in sorted((self.folder / top).rglob("*")):
                content = path.is_dir() or path.is_symlink() or path.read_bytes()
                found[str(path.relative_to(self.folder))] = (content, path.lstat().st_mode)
        return found
