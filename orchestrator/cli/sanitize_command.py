"""`fleet sanitize`: an ONNX file folded, simplified and checked, on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", help="the ONNX file")
    parser.add_argument("target", metavar="OUT", help="where to write the sanitized file")
    parser.add_argument(
        "--inputs", metavar="FILE.npz", help="sample inputs for the comparison of each step (seeded random)"
    )


def run(options: argparse.Namespace) -> int:
    from orchestrator.cli.steps import print_steps
    from orchestrator.models.commands import sanitize_file

    inputs = Path(options.inputs) if options.inputs else None
    print_steps(sanitize_file(Path(options.source), Path(options.target), inputs=inputs), Path(options.target))
    return 0
