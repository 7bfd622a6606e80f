"""pip of any release from 9 on: installs stand-ins from an index of its own, with the failures of real boards."""

from __future__ import annotations

import json
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import clock
import device
import pip_options
import pip_place
import pip_resolve
import standins
from pip_options import Usage
from pip_place import Place

COMMANDS = "install uninstall list show freeze check cache download wheel config help".split()  # noqa: SIM905


def main(argv: list[str]) -> int:
    place = pip_place.find()
    try:
        options = pip_options.parse(argv, place.pip)
    except Usage as problem:
        print(f"\nUsage:\n  pip <command> [options]\n\n{problem}", file=sys.stderr)
        return 2
    if options.version:
        print(f"pip {place.pip_version} from {place.shown_home()} (python {place.python})")
        return 0
    command = options.command
    if not command or command == "help":
        print("\nUsage:\n  pip <command> [options]\n\nCommands:\n  " + "\n  ".join(COMMANDS))
        return 0
    if command not in COMMANDS or (command == "cache" and place.pip < (20, 1)):
        print(f'ERROR: unknown command "{command}"', file=sys.stderr)
        return 1
    handlers = {
        "install": install,
        "download": install,
        "wheel": install,
        "uninstall": uninstall,
        "list": listing,
        "freeze": freeze,
        "show": show,
        "check": check,
        "cache": cache,
        "config": lambda *_: 0,
    }
    return int(handlers[command](options, place))


def install(options: pip_options.Options, place: Place) -> int:
    if clock.behind_s() and not options.on("--no-index"):
        print(
            "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection "
            "broken by 'SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify "
            "failed: certificate is not yet valid'))': /simple/",
            file=sys.stderr,
        )
    elif place.managed() and not options.on("--break-system-packages"):
        print("error: externally-managed-environment\n\n× This environment is externally managed", file=sys.stderr)
        return 1
    if pip_place.full():
        print(
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", file=sys.stderr
        )
        return 1
    try:
        chosen = pip_resolve.resolve(options, place)
        if options.command != "install":
            return 0
        names = []
        for choice in chosen:
            pip_resolve.build(choice, options, place)
            names.append(f"{choice.name}-{choice.version}")
        target = place.target(options)
        for choice in chosen:
            _put(choice, target, options, place)
    except pip_resolve.Failed as problem:
        print(problem, file=sys.stderr)
        return 1
    except PermissionError as problem:
        print(
            f"ERROR: Could not install packages due to an EnvironmentError: {problem}\n"
            "Consider using the `--user` option or check the permissions.",
            file=sys.stderr,
        )
        return 1
    if chosen:
        print("Installing collected packages: " + ", ".join(choice.name for choice in chosen))
        print("Successfully installed " + " ".join(sorted(names)))
    return 0


def _put(choice: pip_resolve.Choice, target: str, options: pip_options.Options, place: Place) -> None:
    old = place.installed().get(choice.canonical)
    if old and old.folder != "/usr/lib/python3/dist-packages" and not options.value("--target"):
        standins.uninstall(choice.name, old.folder)
        print(
            f"  Found existing installation: {choice.name} {old.version}\n    Uninstalling {choice.name}-{old.version}:"
        )
    scripts = place.scripts(target)
    standins.install(choice.name, choice.version, target, scripts=scripts, words=choice.words)


def uninstall(options: pip_options.Options, place: Place) -> int:
    installed = place.installed()
    for name in options.words:
        found = installed.get(standins.canonical(name))
        if found is None:
            print(f"WARNING: Skipping {name} as it is not installed.", file=sys.stderr)
            continue
        if found.folder == "/usr/lib/python3/dist-packages":
            print(
                f"  Not uninstalling {name} at {found.folder}, outside environment /usr\n"
                f"Can't uninstall '{name}'. No files were found to uninstall."
            )
            continue
        try:
            standins.uninstall(found.name, found.folder)
        except PermissionError as problem:
            print(f"ERROR: Exception:\n{problem}", file=sys.stderr)
            return 2
        print(f"Uninstalling {found.name}-{found.version}:\n  Successfully uninstalled {found.name}-{found.version}")
    return 0


def listing(options: pip_options.Options, place: Place) -> int:
    found = sorted(place.installed().values(), key=lambda one: one.name.lower())
    form = options.value("--format") or ("columns" if place.pip >= (10,) else "legacy")
    if form == "json":
        print(json.dumps([{"name": one.name, "version": one.version} for one in found]))
    elif form == "freeze":
        print("".join(f"{one.name}=={one.version}\n" for one in found), end="")
    elif form == "columns":
        width = max([7, *(len(one.name) for one in found)])
        print(f"{'Package':<{width}} Version\n{'-' * width} -------")
        for one in found:
            print(f"{one.name:<{width}} {one.version}")
    else:
        for one in found:
            print(f"{one.name} ({one.version})")
    return 0


def freeze(options: pip_options.Options, place: Place) -> int:
    everything = options.on("--all")
    for one in sorted(place.installed().values(), key=lambda one: one.name.lower()):
        if everything or one.canonical not in ("pip", "setuptools", "wheel"):
            print(f"{one.name}=={one.version}")
    return 0


def show(options: pip_options.Options, place: Place) -> int:
    installed = place.installed()
    blocks = []
    for name in options.words:
        one = installed.get(standins.canonical(name))
        if one is None:
            print(f"WARNING: Package(s) not found: {name}", file=sys.stderr)
            continue
        requires = ", ".join(pip_resolve.requires(one.canonical, one.version))
        blocks.append(
            f"Name: {one.name}\nVersion: {one.version}\nSummary: \nHome-page: \nAuthor: \nAuthor-email: \nLicense: \n"
            f"Location: {one.folder}\nRequires: {requires}\nRequired-by: \n"
        )
    print("---\n".join(blocks), end="")
    return 0 if blocks else 1


def check(_options: pip_options.Options, place: Place) -> int:
    problems = pip_resolve.conflicts(place.installed())
    print("\n".join(problems) if problems else "No broken requirements found.")
    return int(bool(problems))


def cache(options: pip_options.Options, place: Place) -> int:
    folder = place.cache_folder()
    verb = options.words[0] if options.words else ""
    if verb == "dir":
        print(folder)
    elif verb in ("purge", "remove"):
        wheels = os.listdir(device.path(folder)) if os.path.isdir(device.path(folder)) else []
        shutil.rmtree(device.path(folder), ignore_errors=True)
        print(f"Files removed: {len(wheels)}" if wheels else "WARNING: No matching packages")
    elif verb in ("list", "info"):
        print("Nothing cached." if not os.path.isdir(device.path(folder)) else "Cache contents:\n")
    else:
        print("ERROR: Need an action (dir, info, list, remove, purge) to perform.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    device.run(main)
