"""The demo's classifier: trained, exported for every JetPack of the lab, and right on images it never saw."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from orchestrator.models.exports import Export, Exports
from orchestrator.models.reading import load_spec
from orchestrator.models.references import read_launches

DEMO = Path(__file__).parents[2] / "playbooks/models"


@pytest.fixture(scope="module")
def spec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("demo")
    (folder / "digits").mkdir()
    for name in ("digits.yml", "digits/model.py", "digits/train.py"):
        shutil.copy(DEMO / name, folder / name)
    subprocess.run([sys.executable, str(folder / "digits/train.py")], check=True, timeout=120)
    return folder / "digits.yml"


@pytest.mark.parametrize("opset", [13, 16, 17])
def test_digits(make: Callable[..., Export], exports: Exports, spec_file: Path, opset: int) -> None:
    export = make(spec_file, opset)
    assert (export.opset, export.reference.samples, export.reference.labels) == (opset, 360, True)
    launches = read_launches(exports.store.path(export.reference.digest))
    assert len(launches) <= 8
    session = onnxruntime.InferenceSession(str(exports.store.path(export.onnx)), providers=["CPUExecutionProvider"])
    labels = np.concatenate([launch.labels for launch in launches])
    scores = np.concatenate([session.run(None, launch.inputs)[0] for launch in launches])
    right = np.concatenate([launch.outputs["scores"] for launch in launches])
    np.testing.assert_allclose(scores, right, rtol=1e-4, atol=1e-4)
    assert (scores.argmax(1) == labels).mean() > 0.97
    assert len(np.unique(labels)) == 10


def test_the_specification_asks_what_the_demo_promises(spec_file: Path) -> None:
    spec = load_spec(spec_file)
    (variant,) = spec.variants()
    assert spec.precisions == ("fp16", "fp32")
    assert [b.to_json()[k][0] for b in variant.inputs for k in ("min", "opt", "max")] == [1, 16, 64]
    assert spec.classes
    assert spec.tolerances["fp16"]["top1"] == 0.995
