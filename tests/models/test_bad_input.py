"""Mistakes in checkpoints, code, shapes and samples: each is told in three lines, without a traceback of ours."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml
import zoo
from onnx import TensorProto, helper

from orchestrator.errors import ModelError
from orchestrator.models.exports import Export, ExportNeed, Exports
from orchestrator.models.reading import load_spec

Make = Callable[..., Export]


def refused(make: Make, path: Path, opset: int = 13) -> str:
    with pytest.raises(ModelError) as caught:
        make(path, opset)
    text = str(caught.value)
    assert "Traceback" not in text
    assert caught.value.exit_code == 1
    return text


def edit(path: Path, **changes: object) -> Path:
    data = yaml.safe_load(path.read_text())
    for key, value in changes.items():
        part, _, name = key.rpartition("__")
        (data[part] if part else data)[name] = value
    path.write_text(yaml.safe_dump(data))
    return path


def test_a_checkpoint_that_goes_missing(exports: Exports, tmp_path: Path) -> None:
    spec = load_spec(zoo.layernorm(tmp_path))
    (tmp_path / "layernorm.pt").unlink()
    with pytest.raises(ModelError, match=r"cannot read .*layernorm\.pt"):
        exports.lookup(ExportNeed(spec, 13, spec.variants()[0]))


@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_a_truncated_checkpoint(make: Make, tmp_path: Path, keep: float) -> None:
    path = zoo.layernorm(tmp_path)
    content = (tmp_path / "layernorm.pt").read_bytes()
    (tmp_path / "layernorm.pt").write_bytes(content[: int(keep * len(content)) if keep <= 1 else int(keep)])
    text = refused(make, path)
    assert "layernorm.pt is truncated, damaged or no checkpoint (" in text
    assert "try: copy it again" in text


def test_a_state_dict_that_does_not_fit_lists_the_keys(make: Make, tmp_path: Path) -> None:
    path = zoo.layernorm(tmp_path)
    state = torch.load(tmp_path / "layernorm.pt")
    state["head.weight"] = torch.zeros(5, 9)
    state["haed.bias"] = state.pop("head.bias")
    torch.save(state, tmp_path / "layernorm.pt")
    text = refused(make, path)
    assert "missing: head.bias; unexpected: haed.bias" in text
    assert "head.weight ([5, 9] in the file, [5, 16] in the network)" in text
    text = refused(make, edit(path, source__strict=False))
    assert "missing" not in text
    assert "head.weight" in text


def test_strict_false_leaves_keys_out(make: Make, tmp_path: Path) -> None:
    path = edit(zoo.layernorm(tmp_path), source__strict=False)
    state = torch.load(tmp_path / "layernorm.pt")
    del state["head.bias"]
    torch.save({**state, "other": torch.zeros(1)}, tmp_path / "layernorm.pt")
    make(path)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: (OrderedDict(model=s, epoch=3), "model"),
        lambda s: ({"a": {"b": s}}, "a.b"),
        lambda s: ({f"module.{k}": v for k, v in s.items()}, None),
        lambda s: ({k: v.half() for k, v in s.items()}, None),
    ],
    ids=["key", "nested", "DataParallel", "fp16"],
)
def test_weights_within_common_checkpoints(make: Make, tmp_path: Path, wrap: Callable) -> None:
    path = zoo.layernorm(tmp_path)
    content, key = wrap(torch.load(tmp_path / "layernorm.pt"))
    torch.save(content, tmp_path / "layernorm.pt")
    assert make(edit(path, source__key=key)).outputs[0]["dtype"] == "float32"


def test_the_key_of_the_weights_is_suggested(make: Make, tmp_path: Path) -> None:
    path = zoo.layernorm(tmp_path)
    torch.save({"epoch": 3, "net": torch.load(tmp_path / "layernorm.pt")}, tmp_path / "layernorm.pt")
    assert "try: say `source.key: net`" in refused(make, path)
    assert "has no key 'nte'" in refused(make, edit(path, source__key="nte"))


def test_safetensors(make: Make, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = zoo.layernorm(tmp_path)
    first = make(path)
    save_file(torch.load(tmp_path / "layernorm.pt"), tmp_path / "layernorm.safetensors")
    second = make(edit(path, source__checkpoint="layernorm.safetensors"))
    assert second.onnx == first.onnx
    (tmp_path / "layernorm.safetensors").write_bytes(b"\x10" * 50)
    assert "truncated, damaged" in refused(make, path)


class Malicious:
    def __reduce__(self) -> tuple:
        return os.system, ("touch run-by-unpickling",)


def test_a_checkpoint_that_would_run_code_is_not_opened(make: Make, tmp_path: Path) -> None:
    path = zoo.layernorm(tmp_path)
    torch.save({"weights": Malicious()}, tmp_path / "layernorm.pt")
    text = refused(make, path)
    assert "holds more than weights" in text
    assert "system" in text
    assert not Path("run-by-unpickling").exists()


def test_a_pickled_module_that_is_trusted(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zoo.layernorm(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    import layernorm

    network = layernorm.build()
    torch.save(network, tmp_path / "layernorm.pt")
    monkeypatch.delitem(__import__("sys").modules, "layernorm")
    data = yaml.safe_load(path.read_text())
    data["source"] = {"checkpoint": "layernorm.pt", "trust": True}
    path.write_text(yaml.safe_dump(data))
    export = make(path)
    assert [Path(name).name for name in export.sources["code"]] == ["layernorm.py"]
    (tmp_path / "layernorm.py").unlink()
    assert "needs module 'layernorm'" in refused(make, path)
    (tmp_path / "layernorm.pt").write_bytes(pickle.dumps([1, 2]))
    refused(make, path)


FACTORIES = {
    "import torch\nimport surely_not_installed\n": (
        ":2: cannot import factory",
        "surely_not_installed",
        "install surely",
    ),
    "def build(:\n": (":1: cannot import factory", "SyntaxError", "mend the line above"),
    "x = 1\n1 / 0\n": (":2: cannot import factory", "ZeroDivisionError", "    1 / 0"),
    "def built():\n    pass\n": ("has no 'build'", "built", ""),
    "def build():\n    return 3\n": ("returned int", "torch.nn.Module", ""),
    "def build():\n    return [][1]\n": (":2: factory 'layernorm:build' failed", "IndexError", "    return [][1]"),
    "import sys\nsys.exit(3)\n": (":2: cannot import factory", "SystemExit", ""),
}


@pytest.mark.parametrize("code", FACTORIES, ids=[str(i) for i in range(len(FACTORIES))])
def test_a_factory_that_fails_is_shown_at_its_own_line(make: Make, tmp_path: Path, code: str) -> None:
    path = zoo.layernorm(tmp_path)
    (tmp_path / "layernorm.py").write_text(code)
    text = refused(make, path)
    assert all(part in text for part in FACTORIES[code]), text


def test_a_factory_that_is_not_there(make: Make, tmp_path: Path) -> None:
    text = refused(make, edit(zoo.layernorm(tmp_path), source__factory="nowhere:build"))
    assert f"there is no module 'nowhere' in {tmp_path}" in text


def test_wrong_arguments_of_a_factory(make: Make, tmp_path: Path) -> None:
    text = refused(make, edit(zoo.layernorm(tmp_path), source__kwargs={"with": 3}))
    assert "unexpected keyword argument" in text


def test_a_shape_that_the_network_rejects(make: Make, tmp_path: Path) -> None:
    text = refused(make, zoo.layernorm(tmp_path, inputs=[{"name": "x", "shape": ["batch", 7, 15]}]))
    assert "the network rejects the inputs x float32 [2, 7, 15]" in text
    assert "layernorm.py" in text
    assert "self.norm(x)" in text


def test_a_reference_that_is_not_finite(make: Make, tmp_path: Path) -> None:
    path = zoo.layernorm(tmp_path)
    state = torch.load(tmp_path / "layernorm.pt")
    state["head.bias"][1] = float("nan")
    torch.save(state, tmp_path / "layernorm.pt")
    text = refused(make, path)
    assert "the reference is not finite: 2 NaN and 0 Inf in output 'output'" in text


def test_another_number_of_outputs(make: Make, tmp_path: Path) -> None:
    assert "the network has 2 outputs" in refused(make, zoo.multi_input(tmp_path, outputs=["one"]))


@pytest.mark.parametrize("opset", [6, 21])
def test_an_opset_that_cannot_be_written(make: Make, tmp_path: Path, opset: int) -> None:
    assert "torch's exporter writes 7 to 20" in refused(make, zoo.layernorm(tmp_path), opset)


def test_an_operator_that_the_opset_lacks(make: Make, tmp_path: Path) -> None:
    code = """
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x, grid):
        return nn.functional.grid_sample(x, grid, align_corners=False)


def build():
    return Net()
"""
    inputs = [{"name": "x", "shape": [1, 1, 4, 4]}, {"name": "grid", "shape": [1, 2, 2, 2]}]
    path = zoo.write(tmp_path, "sampler", code, {"inputs": inputs})
    text = refused(make, path, 13)
    assert "torch cannot write this network at opset 13" in text
    assert "grid_sampler" in text
    assert "GridSample" in make(path, 16).operators


def test_a_size_that_was_fixed_while_tracing(make: Make, tmp_path: Path) -> None:
    code = """
from torch import nn


class Net(nn.Module):
    def forward(self, x):
        return x.reshape(int(x.shape[0]), 2, 3) * float(x.shape[0])


def build():
    return Net()
"""
    inputs = [{"name": "x", "shape": ["batch", 6]}]
    path = zoo.write(tmp_path, "fixed", code, {"inputs": inputs, "batches": [{"min": 1, "opt": 4, "max": 4}]})
    text = refused(make, path)
    assert "does not compute what PyTorch does" in text or "cannot run the graph" in text


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"image": np.zeros((4, 3, 8, 8), "f4")}, "has no array named 'token'"),
        ({"image": np.zeros((4, 3, 8, 9), "f4"), "token": np.zeros(4, "i8")}, "[4, 3, 8, 9]"),
        ({"image": np.zeros((4, 3, 8, 8), "f4"), "token": np.zeros(4, "f4")}, "'token' is float32"),
        ({"image": np.zeros((4, 3, 8, 8), "f4"), "token": np.zeros(5, "i8")}, "as many samples"),
        ({"image": np.zeros((0, 3, 8, 8), "f4"), "token": np.zeros(0, "i8")}, "holds no samples"),
        (None, "cannot read the samples"),
    ],
)
def test_samples_that_do_not_fit(make: Make, tmp_path: Path, arrays: dict | None, what: str) -> None:
    if arrays is None:
        (tmp_path / "s.npz").write_bytes(b"PK nothing")
    else:
        np.savez(tmp_path / "s.npz", **arrays)
    assert what in refused(make, zoo.multi_input(tmp_path, samples={"inputs": "s.npz"}))


class TestReadyGraphs:
    def test_a_damaged_file(self, make: Make, tmp_path: Path) -> None:
        path = zoo.plain_onnx(tmp_path)
        (tmp_path / "plain.onnx").write_bytes(b"nonsense")
        assert "plain.onnx cannot be read as ONNX" in refused(make, path)

    def test_other_names_and_shapes(self, make: Make, tmp_path: Path) -> None:
        path = zoo.plain_onnx(tmp_path / "a", inputs=[{"name": "input", "shape": ["batch", 6]}])
        assert "has no input named 'input'" in refused(make, path)
        path = zoo.plain_onnx(tmp_path / "b", inputs=[{"name": "x", "shape": ["batch", 7]}])
        assert "has shape [-1, 6], the specification says [4, 7]" in refused(make, path)
        path = zoo.plain_onnx(tmp_path / "c", batch=2)
        assert "has shape [2, 6], the specification says [4, 6]" in refused(make, path)
        path = zoo.plain_onnx(tmp_path / "d", outputs=["z"])
        assert "has no output named 'z'" in refused(make, path)

    def test_a_newer_opset_is_converted_where_that_works(self, make: Make, tmp_path: Path) -> None:
        path = zoo.plain_onnx(tmp_path / "a", opset=17)
        export = make(path, 13)
        assert (export.opset, export.ir_version) == (13, 7)
        assert [step["step"] for step in export.steps][:2] == ["read", "convert opset"]
        assert make(path, 20).opset == 17

    def test_and_refused_where_it_does_not(self, make: Make, tmp_path: Path) -> None:
        path = zoo.plain_onnx(tmp_path)
        value = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 6]) for n in ("x", "y")]
        scale = helper.make_tensor("s", TensorProto.FLOAT, [6], [1.0] * 6)
        node = helper.make_node("LayerNormalization", ["x", "s"], ["y"], name="norm")
        graph = helper.make_graph([node], "g", value[:1], value[1:], [scale])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        onnx.save(model, str(tmp_path / "plain.onnx"))
        text = refused(make, path, 13)
        assert "is in opset 17 and cannot be converted to 13" in text
        assert "export the .onnx file at opset 13" in text
