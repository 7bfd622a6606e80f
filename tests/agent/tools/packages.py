"""apt-get, apt-cache, dpkg, dpkg-query and dpkg-deb over PREFIX/fake/packages.json; every call is logged.

installed {name: [version, status]}, available {name: [versions, newest last]}, provides {name: [names]},
needs {name: [names]}, locked (how many calls find the lock held), lock_text (what they print),
fails {name or "update": text on stderr, or [stdout, stderr]}.
"""

import fnmatch
import json
import os
import re
import sys
from pathlib import Path

tool, prefix, args = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
path = prefix / "fake/packages.json"
state = json.loads(path.read_text())
with (prefix / f"fake/{tool}.calls").open("a") as log:
    log.write(" ".join(args) + "\n")
installed, available = state["installed"], state["available"]
flags = [arg for arg in args if arg.startswith("-")]
words = []
rest = list(args)
while rest:
    arg = rest.pop(0)
    if arg in ("-o", "-t"):
        rest.pop(0)
    elif not arg.startswith("-"):
        words.append(arg)


def save():
    path.write_text(json.dumps(state))


def fail(text, rc=100):
    out, err = text if isinstance(text, list) else ["", text]
    print(out)
    print(err, file=sys.stderr)
    save()
    sys.exit(rc)


def plan(specs):
    """{name: version} that an install would bring, with what it needs."""
    new = {}
    for spec in specs:
        name, _, wanted = spec.partition("=")
        if name.endswith(".deb"):
            name, wanted = re.match(r"(.+)_(.+)\.deb", os.path.basename(name)).groups()
            available.setdefault(name, []).append(wanted)
        versions = [v for v in available.get(name, []) if not wanted or fnmatch.fnmatchcase(v, wanted)]
        if name not in available:
            fail(f"E: Unable to locate package {name}")
        if not versions:
            fail(f"E: Version '{wanted}' for '{name}' was not found")
        if installed.get(name, [None])[0] != versions[-1]:
            new[name] = versions[-1]
        for needed in state.get("needs", {}).get(name, []):
            if needed not in installed:
                new[needed] = available[needed][-1]
    return new


if tool == "dpkg-query":
    for name, (version, status) in sorted(installed.items()):
        provides = ", ".join(state.get("provides", {}).get(name, []))
        print(f"{name}\tarm64\t{version}\t{status} \t{provides}")
elif tool == "apt-cache":
    print("\n".join(available))
elif tool == "dpkg-deb":
    name, version = re.match(r"(.+)_(.+)\.deb", os.path.basename(args[1])).groups()
    print(f"Package: {name}\nVersion: {version}\nArchitecture: arm64")
elif tool == "dpkg":
    for entry in installed.values():
        entry[1] = entry[1].replace("F", "i")
    save()
elif tool == "apt-get":
    simulate = "--simulate" in flags
    if not simulate and words[0] != "check" and state.get("locked", 0) > 0:
        state["locked"] -= 1
        fail(state["lock_text"])
    failing = [word for word in words if word in state.get("fails", {})]
    if failing and not simulate:
        fail(state["fails"][failing[0]])
    if words[0] == "check":
        sys.exit(0)
    elif words[0] == "update":
        stamp = prefix / "var/lib/apt/lists/ports_Packages"
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text("x")
    elif words[0] == "install":
        for name, version in plan(words[1:]).items():
            if simulate:
                old = f" [{installed[name][0]}]" if name in installed else ""
                print(f"Inst {name}{old} ({version} stable [arm64])\nConf {name} ({version} stable [arm64])")
            else:
                print(f"Setting up {name} ({version}) ...")
                installed[name] = [version, "ii"]
    elif words[0] == "remove":
        for name in words[1:]:
            if simulate:
                print(f"{'Purg' if '--purge' in flags else 'Remv'} {name} [{installed[name][0]}]")
            elif "--purge" in flags:
                del installed[name]
            else:
                installed[name][1] = "rc"
    save()
