"""Model specifications: what they mean, and what a user is told about a mistake."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import yaml

from orchestrator.errors import ModelError
from orchestrator.models.reading import load_spec
from orchestrator.models.spec import BatchRange, Binding

GOOD = """\
name: net
source:
  checkpoint: net.pt
  factory: model:build
inputs:
  - name: x
    shape: [batch, 3]
"""


def write(folder: Path, text: str) -> Path:
    (folder / "net.pt").write_bytes(b"weights")
    (folder / "net.onnx").write_bytes(b"graph")
    (folder / "net.yml").write_text(text)
    return folder / "net.yml"


def test_defaults(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, GOOD))
    assert (spec.source.format, spec.source.path) == ("state_dict", (tmp_path,))
    assert (spec.precisions, spec.batches, spec.half, spec.simplify, spec.classes) == (
        ("fp16", "fp32"),
        (1,),
        False,
        True,
        True,
    )
    (variant,) = spec.variants()
    assert variant.inputs == (Binding("x", "float32", (1, 3)),)
    assert (variant.batch, variant.batched, variant.dynamic) == (1, True, False)


def test_one_engine_per_batch(tmp_path: Path) -> None:
    spec = load_spec(write(tmp_path, GOOD + "batches: [1, 8, {min: 2, opt: 4, max: 16}]\n"))
    assert spec.batches == (1, 8, BatchRange(2, 4, 16))
    one, eight, range_ = spec.variants()
    assert [v.batch for v in (one, eight, range_)] == [1, 8, 16]
    assert eight.inputs[0].to_json() == {"name": "x", "dtype": "float32", "shape": [8, 3]}
    assert range_.inputs[0].to_json() == {
        "name": "x", "dtype": "float32", "shape": [-1, 3], "min": [2, 3], "opt": [4, 3], "max": [16, 3],
    }  # fmt: skip
    assert Binding.from_json(range_.inputs[0].to_json()) == range_.inputs[0]


def test_profiles_of_open_dimensions(tmp_path: Path) -> None:
    text = GOOD.replace("shape: [batch, 3]", "shape: [1, length]\n    min: [1, 4]\n    opt: [1, 8]\n    max: [1, 32]")
    (variant,) = load_spec(write(tmp_path, text)).variants()
    assert variant.dynamic
    assert variant.batched
    assert variant.inputs[0].to_json()["max"] == [1, 32]


@pytest.mark.parametrize(
    ("shapes", "batched"),
    [([[4, 3], [4]], True), ([["batch", 3], ["batch"]], True), ([[4, 3], []], False), ([[4, 3], [1]], False)],
)
def test_a_batch_is_what_all_inputs_share_along_axis_0(tmp_path: Path, shapes: list, batched: bool) -> None:
    data = yaml.safe_load(GOOD)
    data["inputs"] = [{"name": f"x{i}", "shape": shape} for i, shape in enumerate(shapes)]
    (variant,) = load_spec(write(tmp_path, yaml.safe_dump(data))).variants()
    assert variant.batched is batched


@pytest.mark.parametrize(
    ("change", "position", "what", "hint"),
    [
        (("name: net", "nam: net"), "1:1", "unknown key 'nam'", "did you mean 'name'?"),
        (("name: net", "name: a/b"), "1:1", "cannot name a model", "letters"),
        (("checkpoint: net.pt", "checkpont: net.pt"), "3:3", "unknown key 'checkpont'", "did you mean 'checkpoint'?"),
        (("net.pt", "gone.pt"), "3:3", "no such file", "gone.pt"),
        (("  factory: model:build\n", ""), "3:3", "trust: true", "save the weights"),
        (("model:build", "model.build"), "4:3", "is no factory", "module:function"),
        (("checkpoint: net.pt", "checkpoint: net.onnx"), "4:3", "a factory means nothing", "remove `factory`"),
        (("    shape: [batch, 3]\n", ""), "6:5", "`shape` is missing", ""),
        (("[batch, 3]", "[batch, 0]"), "7:20", "0 is no dimension", "above 0"),
        (("[batch, 3]", "[batch, true]"), "7:20", "True is no dimension", "above 0"),
        (("[batch, 3]", "[batch, -1]"), "7:5", "left open", "min"),
        (("[batch, 3]", "[batch, 3]\n    dtype: float"), "8:5", "unknown dtype 'float'", "did you mean 'float"),
        (("[batch, 3]", "[batch, 3]\n    min: [1, 3]"), "6:5", "`opt`, `max` missing", ""),
        (("[batch, 3]", "[b, 3]\n    min: [1, 2]\n    opt: [1, 3]\n    max: [2, 3]"), "8:14", "fixed at 3", ""),
        (("[batch, 3]", "[b, 3]\n    min: [4, 3]\n    opt: [1, 3]\n    max: [2, 3]"), "8:5", "not min <= opt", ""),
        (("[batch, 3]", "[batch, 3]\n    range: [3, 1]"), "8:5", "is no range", ""),
        (("[batch, 3]", "[2, 3]\nbatches: [1]"), "8:1", "nothing to fill", "batch"),
        (("[batch, 3]", "[batch, 3]\nbatches: [1, 1]"), "8:1", "only once", ""),
        (("[batch, 3]", "[batch, 3]\nbatches: [{min: 4, opt: 2, max: 8}]"), "8:11", "not min <= opt", ""),
        (("[batch, 3]", "[batch, 3]\nprecisions: [fp61]"), "8:14", "unknown precision", "did you mean 'fp16'?"),
        (("[batch, 3]", "[batch, 3]\nprecisions: [fp16, fp16]"), "8:20", "stands twice", ""),
        (("[batch, 3]", "[batch, 3]\ntolerances: {fp16: {atoll: 1}}"), "8:21", "unknown tolerance", "mean 'atol'?"),
        (("[batch, 3]", "[batch, 3]\ntolerances: {fp16: {top1: 99}}"), "8:21", "no top1", "0 to 1"),
        (("[batch, 3]", "[batch, 3]\nsamples: {labels: y}"), "8:11", "labels need `inputs`", ""),
        (("[batch, 3]", "[batch, 3]\nsamples: {inputs: no.npz}"), "8:11", "no such file", "random"),
        (("[batch, 3]", "[batch, 3]\nsurgery: [{remov: [a]}]"), "8:12", "unknown operation", "did you mean 'remove'?"),
        (("[batch, 3]", "[batch, 3]\nsurgery: [{remove: a}]"), "8:12", "`remove` takes", ""),
        (("[batch, 3]", "[batch, 3]\nbuild: {workspace: lots}"), "8:9", "no workspace", "MiB"),
        (("[batch, 3]", "[batch, 3]\nopset: '13'"), "8:1", "a whole number", ""),
        (("[batch, 3]", "[batch, 3]\nhalf: yes please"), "8:1", "true or false", ""),
        (("[batch, 3]", "[batch, 3]\nafter: {restart: x}"), "8:9", "unknown key 'restart'", ""),
        (("[batch, 3]", "[batch, 3"), "", "not valid YAML", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_shown_where_it_stands(
    tmp_path: Path, change: tuple[str, str], position: str, what: str, hint: str
) -> None:
    assert change[0] in GOOD
    path = write(tmp_path, GOOD.replace(*change))
    with pytest.raises(ModelError) as caught:
        load_spec(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:{position}"), text
    assert what in caught.value.what, text
    assert hint in text
    assert caught.value.exit_code == 1


def test_the_format_is_seen_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("  factory: model:build\n", ""))
    with zipfile.ZipFile(tmp_path / "net.pt", "w") as archive:
        archive.writestr("net/code/__torch__/net.py", "")
    assert load_spec(path).source.format == "torchscript"
    content = (tmp_path / "net.pt").read_bytes()
    (tmp_path / "net.pt").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="truncated or damaged"):
        load_spec(path)
    path.write_text(GOOD.replace("net.pt", "net.onnx").replace("  factory: model:build\n", ""))
    assert load_spec(path).source.format == "onnx"


def test_a_pickled_module_needs_trust(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("factory: model:build", "format: module"))
    with pytest.raises(ModelError, match="not opened without") as caught:
        load_spec(path)
    assert "runs whatever code" in caught.value.why
    path.write_text(GOOD.replace("factory: model:build", "format: module\n  trust: true"))
    assert load_spec(path).source.trust
