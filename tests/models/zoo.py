"""Small models with a trait each, written as specification, code and checkpoint into a folder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import yaml

LAYERNORM = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return x + torch.relu(self.linear(self.norm(x)))


class Net(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.blocks = nn.Sequential(*[Block(width) for _ in range(depth)])
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        return self.head(self.blocks(x).mean(1))


def build(width=16, depth=2):
    torch.manual_seed(3)
    return Net(width, depth)
"""

OVERFLOW = '''
import torch
from torch import nn


class Net(nn.Module):
    """Values pass 65504, the largest of fp16, on their way, and end small again."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 16)
        self.last = nn.Linear(16, 4)

    def forward(self, x):
        x = torch.relu(self.first(x)) * 300.0
        x = torch.relu(x) * 1000.0
        return self.last(x * 0.001)


def build():
    torch.manual_seed(4)
    return Net()
'''

MULTI = '''
import torch
from torch import nn


class Net(nn.Module):
    """An image and a token per sample; two outputs."""

    def __init__(self, tokens):
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.token = nn.Embedding(tokens, 8)
        self.head = nn.Linear(16, 6)

    def forward(self, image, token):
        joined = torch.cat([self.image(image), self.token(token)], 1)
        return {"scores": self.head(joined), "features": joined}


def build(tokens=10):
    torch.manual_seed(5)
    return Net(tokens)
'''


def load_code(path: Path) -> Any:
    """A module from a file, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"zoo_{path.parent.name}_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def write(folder: Path, name: str, code: str | None, content: dict[str, Any], **kwargs: Any) -> Path:
    """Write `<name>.py`, `<name>.pt` (its state_dict) and `<name>.yml`; returns the specification's path."""
    folder.mkdir(parents=True, exist_ok=True)
    if code is not None:
        import torch

        (folder / f"{name}.py").write_text(code)
        torch.save(load_code(folder / f"{name}.py").build(**kwargs).state_dict(), folder / f"{name}.pt")
        source = {"checkpoint": f"{name}.pt", "factory": f"{name}:build", "kwargs": kwargs}
        content = {"source": source, **content}
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump({"name": name, **content}, sort_keys=False))
    return path


def layernorm(folder: Path, **changes: Any) -> Path:
    """nn.LayerNorm: an operator of its own from opset 17, which TensorRT 8.5 cannot read."""
    content = {"inputs": [{"name": "x", "shape": ["batch", 7, 16]}], "batches": [2]}
    return write(folder, "layernorm", LAYERNORM, {**content, **changes})


def overflow(folder: Path, **changes: Any) -> Path:
    """Activations beyond fp16's range (x300, x1000, x0.001): only fp32 gives finite outputs."""
    content = {"inputs": [{"name": "x", "shape": ["batch", 8], "range": [0.5, 1.5]}], "precisions": ["fp16", "fp32"]}
    return write(folder, "overflow", OVERFLOW, {**content, **changes})


def multi_input(folder: Path, **changes: Any) -> Path:
    """A float and an int64 input, two outputs, a dynamic batch."""
    content = {
        "inputs": [
            {"name": "image", "shape": ["batch", 3, 8, 8]},
            {"name": "token", "shape": ["batch"], "dtype": "int64", "range": [0, 9]},
        ],
        "outputs": ["scores", "features"],
        "batches": [{"min": 1, "opt": 4, "max": 8}],
    }
    return write(folder, "multi", MULTI, {**content, **changes}, tokens=10)


def torchscript(folder: Path, **changes: Any) -> Path:
    """A TorchScript program: no factory, no code."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scripted_code.py").write_text(LAYERNORM)
    network = load_code(folder / "scripted_code.py").build(width=8, depth=1).eval()
    torch.jit.trace(network, torch.zeros(1, 4, 8)).save(str(folder / "scripted.pt"))
    (folder / "scripted_code.py").unlink()
    content = {"source": {"checkpoint": "scripted.pt"}, "inputs": [{"name": "x", "shape": ["batch", 4, 8]}]}
    return write(folder, "scripted", None, {**content, **changes})


def plain_onnx(folder: Path, *, opset: int = 13, batch: str | int = "n", **changes: Any) -> Path:
    """A ready .onnx file, made without PyTorch: two layers and a softmax."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(6)
    weights = {
        "w1": random.standard_normal((6, 12)).astype(np.float32),
        "b1": random.standard_normal(12).astype(np.float32),
        "w2": random.standard_normal((12, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h0"], name="first"),
        helper.make_node("Add", ["h0", "b1"], ["h1"], name="bias"),
        helper.make_node("Relu", ["h1"], ["h2"], name="relu"),
        helper.make_node("MatMul", ["h2", "w2"], ["h3"], name="second"),
        helper.make_node("Softmax", ["h3"], ["y"], name="softmax", axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "plain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    onnx.save(model, str(folder / "plain.onnx"))
    content = {"source": {"checkpoint": "plain.onnx"}, "inputs": [{"name": "x", "shape": ["batch", 6]}]}
    return write(folder, "plain", None, {"batches": [4], **content, **changes})
