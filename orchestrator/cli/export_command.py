"""`fleet export`: a model to a sanitized ONNX file, on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from orchestrator.cli.common import project_home


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="model specification: a path, or a name in playbooks/models")
    parser.add_argument("--opset", type=int, metavar="N", help="ONNX opset (the specification's, or 17)")
    parser.add_argument("--out", metavar="FILE", help="where to write the ONNX file (NAME.opsetN.onnx)")
    parser.add_argument("--batch", type=int, metavar="N", help="which of the specification's batches (the first)")
    parser.add_argument(
        "--half", action="store_true", default=None, help="fp16 weights and arithmetic in the graph itself"
    )
    parser.add_argument("--tensorrt", metavar="VERSION", help="also check every operator against this TensorRT")


def run(options: argparse.Namespace) -> int:
    from orchestrator.cli.deploy_command import specifications
    from orchestrator.cli.steps import print_steps, progress
    from orchestrator.models import operators
    from orchestrator.models.commands import export_to_file
    from orchestrator.store import Store

    spec = specifications(Path("playbooks")).find(options.model)
    opset = options.opset or spec.opset or 17
    out = Path(options.out or f"{spec.name}.opset{opset}.onnx")
    export = export_to_file(
        spec,
        opset,
        out,
        store=Store(project_home() / "store"),
        project_dir=Path.cwd(),
        batch=options.batch,
        half=options.half,
        progress=progress,
    )
    print_steps(export.steps)
    print(f"{out}: opset {export.opset}, IR {export.ir_version}, {export.size_bytes} bytes, sha256 {export.onnx}")
    lacking = operators.blocked(export, options.tensorrt) if options.tensorrt else None
    if lacking:
        raise lacking
    return 0
