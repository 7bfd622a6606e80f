"""dpkg-query: --show, --list and --status over the device's package database."""

from __future__ import annotations

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import device
import packages

DEFAULT_FORMAT = r"${binary:Package}\t${Version}\n"
HEADER = """Desired=Unknown/Install/Remove/Purge/Hold
| Status=Not/Inst/Conf-files/Unpacked/halF-conf/Half-inst/trig-aWait/Trig-pend
|/ Err?=(none)/Status,Triggers/... (upper case=bad)"""


def main(argv: list[str]) -> int:
    action, layout = None, DEFAULT_FORMAT
    patterns: list[str] = []
    args = list(argv)
    while args:
        arg = args.pop(0)
        if arg in ("-W", "--show", "-l", "--list", "-s", "--status"):
            action = {"-W": "show", "-l": "list", "-s": "status"}.get(arg, arg.lstrip("-"))
        elif arg.startswith(("--showformat=", "-f=")):
            layout = arg.split("=", 1)[1]
        elif arg in ("-f", "--showformat") and args:
            layout = args.pop(0)
        elif arg.startswith("-f") and not arg.startswith("--"):
            layout = arg[2:]
        elif arg == "--no-pager":
            continue
        elif arg.startswith("-"):
            print(f"dpkg-query: error: unknown option {arg}", file=sys.stderr)
            return 2
        else:
            patterns.append(arg)
    if action is None:
        print("dpkg-query: error: need an action option", file=sys.stderr)
        return 2
    state = device.state()
    installed, on_hold, half = state["packages"], packages.held(state), packages.half_configured(state)
    names, unmatched = packages.matching(installed, patterns)
    entries = [packages.fields(name, installed[name], name in on_hold, name in half) for name in names]
    if action == "show":
        sys.stdout.write("".join(_format(layout, entry) for entry in entries))
    elif action == "list":
        _list(entries)
    else:
        _status(entries)
    for pattern in unmatched:
        if action == "status":
            print(f"dpkg-query: package '{pattern}' is not installed and no information is available", file=sys.stderr)
        else:
            print(f"dpkg-query: no packages found matching {pattern}", file=sys.stderr)
    if unmatched and action == "status":
        print("Use dpkg --info (= dpkg-deb --info) to examine archive files.", file=sys.stderr)
    return 1 if unmatched else 0


def _format(layout: str, entry: dict[str, str]) -> str:
    def field(match: re.Match[str]) -> str:
        name, _, width = match[1].partition(";")
        value = entry.get(name, "")
        if not width:
            return value
        return value.ljust(-int(width)) if width.startswith("-") else value.rjust(int(width))

    text = re.sub(r"\$\{([^}]*)\}", field, layout)
    return text.replace(r"\n", "\n").replace(r"\t", "\t").replace(r"\\", "\\")


def _list(entries: list[dict[str, str]]) -> None:
    if not entries:
        return
    keys = ("Package", "Version", "Architecture")
    names = {"Package": "Name"}
    width = {key: max(len(names.get(key, key)), *(len(entry[key]) for entry in entries)) for key in keys}
    description = max(len("Description"), *(len(entry["Description"]) for entry in entries))
    print(HEADER)
    print("||/ " + " ".join(names.get(key, key).ljust(width[key]) for key in keys) + " Description")
    print("+++-" + "-".join("=" * width[key] for key in keys) + "-" + "=" * description)
    for entry in entries:
        row = " ".join(entry[key].ljust(width[key]) for key in keys)
        print(f"{entry['db:Status-Abbrev']} {row} {entry['Description']}")


def _status(entries: list[dict[str, str]]) -> None:
    shown = ("Package", "Status", "Priority", "Section", "Installed-Size", "Maintainer", "Architecture", "Version")
    blocks = ["".join(f"{key}: {entry[key]}\n" for key in (*shown, "Description")) for entry in entries]
    sys.stdout.write("\n".join(blocks))


if __name__ == "__main__":
    device.run(main)
