"""Says before any push which part of a model a device's TensorRT cannot read, and what would help."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

from orchestrator.errors import BlockedError
from orchestrator.models.exports import Export
from orchestrator.platforms import operators as tables

LOWEST_OPSET = 9
"""Below this one, other operators are missing from graphs more often than the one in question."""
SHOWN = 3
"""How many places of an operator a message names."""


@dataclass(frozen=True)
class Lacking:
    """An operator that a TensorRT's parser does not know."""

    operator: str
    places: tuple[str, ...]
    """Parts of the network that use it, as PyTorch names them (`encoder.layers.0.norm`), or node names."""
    remedy: str


def lacking(export: Export, tensorrt: str) -> list[Lacking]:
    """What this TensorRT (`8.5.2`) cannot read of a graph; empty where it can read all."""
    return [
        Lacking(operator, tuple(places(export.operators[operator])), _remedy(export, operator))
        for operator in tables.missing(tensorrt, export.operators)
    ]


def blocked(export: Export, tensorrt: str) -> BlockedError | None:
    """The error for a device of this TensorRT, or None where nothing is in the way."""
    found = lacking(export, tensorrt)
    if not found:
        return None
    names = ", ".join(item.operator for item in found)
    where = "; ".join(f"{item.operator} in {_listed(item.places)}" for item in found)
    remedies = list(dict.fromkeys(item.remedy for item in found))
    return BlockedError(
        f"TensorRT {tensorrt} cannot read {names} (model {export.model}, opset {export.opset})",
        f"its ONNX parser has no such operator: {where}",
        "; or ".join(remedies),
    )


def places(nodes: Iterable[str]) -> list[str]:
    """The parts of a network that nodes stand in, each once, in order."""
    return list(dict.fromkeys(_place(node) for node in nodes))


def _place(node: str) -> str:
    # The exporter names a node by its path of modules: /features/features.0/Conv stands in module features.0.
    if not node.startswith("/"):
        return node or "an unnamed node"
    scopes = node.split("/")[1:-1]
    kept = [
        scope for scope, inner in zip_longest(scopes, scopes[1:], fillvalue="") if not inner.startswith(f"{scope}.")
    ]
    return ".".join(kept) or "the network's own forward()"


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _remedy(export: Export, operator: str) -> str:
    """An opset from before the operator existed makes exporters write it in older ones."""
    first = export.introduced.get(operator)
    if first is not None and LOWEST_OPSET < first <= export.opset:
        if export.sources["source"]["format"] == "onnx":
            return f"export the .onnx file at opset {first - 1}: {operator} exists since opset {first} only"
        return f"set `opset: {first - 1}` for this model: {operator} exists since opset {first} only"
    return f"replace {operator} in the network, or take it out by `surgery` (remove, cut)"
