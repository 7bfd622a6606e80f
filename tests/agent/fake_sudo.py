"""sudo with the texts and habits of the real one: prompts on stderr, reads byte by byte, gives up after three tries.

fake/sudo.json: policy (free, password, denied, broken), password, prompt (overrules -p, as a PAM module may).
"""

import json
import os
import sys
import time
from pathlib import Path

prefix = Path(sys.argv[1])
args = sys.argv[2:]
config = json.loads((prefix / "fake/sudo.json").read_text())
with open(prefix / "fake/sudo.log", "a") as log:
    log.write(json.dumps({"argv": args, "env": dict(os.environ)}) + "\n")
options = args[: args.index("--")]
command = args[args.index("--") + 1 :]


def say(text):
    os.write(2, text.encode())


def read_line():
    line = b""
    while True:
        byte = os.read(0, 1)
        if byte in (b"", b"\n"):
            return line.decode()
        line += byte


def ask():
    if "-n" in options:
        say("sudo: a password is required\n")
        sys.exit(1)
    for attempt in range(3):
        say(config.get("prompt") or options[options.index("-p") + 1])
        if read_line() == config["password"]:
            return
        time.sleep(0.1)
        say("Sorry, try again.\n" if attempt < 2 else "sudo: 3 incorrect password attempts\n")
    sys.exit(1)


if config["policy"] == "denied":
    ask()
    say("nvidia is not in the sudoers file.  This incident will be reported.\n")
    sys.exit(1)
if config["policy"] == "broken":
    say("sudo: effective uid is not 0, is /usr/bin/sudo on a file system with the 'nosuid' option set?\n")
    sys.exit(1)
if config["policy"] == "password":
    ask()
say("sudo: unable to resolve host nano-01\n")
os.write(1, b"a message of the day\n")
os.execvpe("unshare", ["unshare", "--user", "--map-root-user", *command], {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
