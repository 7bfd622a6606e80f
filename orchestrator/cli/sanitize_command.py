"""`fleet sanitize`: an ONNX file folded, simplified and checked, on this machine."""

from __future__ import annotations

import argparse

from orchestrator.cli.common import project_home
from orchestrator.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN", help="the ONNX file")
    parser.add_argument("target", metavar="OUT", help="where to write the sanitized file")
    parser.add_argument("--opset", type=int, metavar="N", help="convert to this opset")
    parser.add_argument("--no-simplify", action="store_true", help="fold constants and check only")
    parser.add_argument(
        "--shape",
        action="append",
        default=[],
        metavar="INPUT:1x3x224x224",
        help="size of an input that the graph leaves open (1), for the comparisons; may be repeated",
    )


def run(options: argparse.Namespace) -> int:
    from orchestrator.cli.steps import print_steps, progress
    from orchestrator.models.commands import sanitize_file

    report = sanitize_file(
        options.source,
        options.target,
        logs=project_home() / "logs",
        opset=options.opset,
        simplify=not options.no_simplify,
        shapes=dict(_shape(text) for text in options.shape),
        progress=progress,
    )
    print_steps(report["steps"])
    nodes = f"{report['nodes_before']} to {report['nodes']} nodes"
    print(f"{options.target}: opset {report['opset']}, IR {report['ir_version']}, {nodes}")
    return 0


def _shape(text: str) -> tuple[str, list[int]]:
    # A tensor's name may hold colons; a shape holds none.
    name, _, shape = text.rpartition(":")
    try:
        return name, [int(size) for size in shape.split("x")]
    except ValueError:
        raise UsageError(f"--shape cannot be '{text}'", "it is not INPUT:1x3x224x224") from None
