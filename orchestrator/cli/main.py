"""`fleet`: finds the command, imports it alone, and turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from orchestrator import __version__

# Command, and the line that `fleet --help` shows. Each is a module of this package with `arguments(parser)` and
# `run(options) -> int`; --help must feel instant, so none is imported for it.
COMMANDS = {
    "deploy": "export, build, prove and activate the models on every device",
    "provision": "make new devices ready: SDK components, packages, builds, memory, power",
    "plan": "say what a deploy would do, device by device, and why",
    "play": "run a playbook",
    "exec": "run one module on many devices",
    "ping": "open a session with every device",
    "facts": "show what the devices are and what they carry",
    "infer": "run the active engine on inputs of yours and bring the outputs back",
    "logs": "show a device's newest build log",
    "inventory": "show hosts, groups and variables",
    "vault": "encrypt and decrypt files and values, in Ansible Vault's format",
    "trust": "show a device's host keys and trust them",
    "export": "export a model to a sanitized ONNX file, here",
    "sanitize": "sanitize an ONNX file, here, checking the numbers at each step",
    "modules": "document what tasks can name",
    "lab": "start, stop, list or reset virtual Jetsons",
}

GROUPS = {
    "Devices": ("provision", "deploy", "plan", "play", "exec", "ping", "facts", "infer", "logs"),
    "Inventory": ("inventory", "vault", "trust"),
    "Models": ("export", "sanitize"),
    "More": ("modules", "lab"),
}

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Returns:
        0 all well, 1 usage or configuration, 2 a device failed, 4 a device unreachable, 6 both, 130 interrupted.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _run(argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader (head, less) went away; that is no failure of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted; builds that devices have begun go on, the same command attaches to them", file=sys.stderr)
        return INTERRUPTED


def _run(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if argv else 1
    if argv[0] == "--version":
        print(f"fleet {__version__}")
        return 0
    name = argv[0]
    if name not in COMMANDS:
        import difflib

        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean 'fleet {close[0]}'?" if close else "'fleet --help' lists the commands"
        print(f"fleet: unknown command '{name}'\n  try: {hint}", file=sys.stderr)
        return 1
    from orchestrator.errors import FleetError

    command = importlib.import_module(f"orchestrator.cli.{name}_command")
    parser = Parser(prog=f"fleet {name}", description=f"{COMMANDS[name][0].upper()}{COMMANDS[name][1:]}.")
    command.arguments(parser)
    try:
        options = parser.parse_args(argv[1:])
        if name != "vault" and hasattr(options, "vault_id"):
            from orchestrator.cli.vaults import use_vaults

            use_vaults(options)
        return int(command.run(options))
    except FleetError as problem:
        from orchestrator.values import mask

        print(mask(str(problem)), file=sys.stderr)
        return problem.exit_code
    except OSError as problem:
        if problem.filename is None or isinstance(problem, BrokenPipeError):
            raise
        # A folder of the user's that is none, is full or is not his to write.
        remedy = "FLEET_HOME, --runs and the working directory are where fleet writes"
        print(f"cannot use {problem.filename}\n  {problem.strerror}\n  try: {remedy}", file=sys.stderr)
        return 1


class Parser(argparse.ArgumentParser):
    """argparse, with our exit code for usage mistakes."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}\n  try: {self.prog} --help", file=sys.stderr)
        raise SystemExit(1)


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [
        "Neural networks onto fleets of NVIDIA Jetsons.",
        "",
        "usage: fleet COMMAND [options]        fleet COMMAND --help for its options",
    ]
    for group, names in GROUPS.items():
        lines += ["", f"{group}:"]
        lines += [f"  {name:<{width}}  {COMMANDS[name]}" for name in names]
    lines += ["", "try: fleet deploy --inventory inventory/lab.yml"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
