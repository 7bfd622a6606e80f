"""`fleet export`: a model to a sanitized ONNX file, on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="model specification: a path, or a name in playbooks/models")
    parser.add_argument("--opset", type=int, metavar="N", help="ONNX opset (the specification's, or 17)")
    parser.add_argument("--out", metavar="FILE", help="where to write the ONNX file (NAME.opsetN.onnx)")
    parser.add_argument("--tensorrt", metavar="VERSION", help="also check every operator against this TensorRT")


def run(options: argparse.Namespace) -> int:
    from orchestrator.cli.deploy_command import specifications
    from orchestrator.cli.steps import print_steps
    from orchestrator.models.commands import export_to_file

    spec = specifications(Path("playbooks")).find(options.model)
    opset = options.opset or spec.opset or 17
    out = Path(options.out or f"{spec.name}.opset{opset}.onnx")
    print_steps(export_to_file(spec, opset, out, tensorrt=options.tensorrt), out)
    return 0
