"""How far two sets of outputs are apart, and whether a step of the graph's preparation may keep that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Gate:
    """What a step may change: an element is outside where |x - r| > atol + rtol * |r|."""

    atol: float
    rtol: float
    outside: float
    """Largest fraction of elements outside."""
    cosine: float
    """Smallest cosine between the outputs, flattened."""


GRAPH = Gate(atol=1e-4, rtol=1e-4, outside=1e-3, cosine=0.99999)
"""Between two fp32 graphs that should be the same function."""
HALF = Gate(atol=1e-2, rtol=1e-2, outside=1e-3, cosine=0.999)
"""Where fp16 arithmetic is on one side or both."""

Metrics = dict[str, float | int]


def compare(reference: Any, other: Any, gate: Gate) -> Metrics:
    """Distance of an array from its reference, by trtexec's names.

    Returns:
        l0: fraction of elements outside the gate; l1, l2: norms of the difference relative to the reference's; lInf:
        largest absolute difference; cos: cosine; nan, inf: elements that are so where the reference is not. Elements
        that are not finite on both sides count in l0 only.

    Raises:
        ValueError: the shapes differ.
    """
    import numpy as np

    r = np.asarray(reference, dtype=np.float64)
    x = np.asarray(other, dtype=np.float64)
    if r.shape != x.shape:
        raise ValueError(f"shape {x.shape} instead of {r.shape}")
    finite = np.isfinite(r) & np.isfinite(x)
    alike = ~finite & ((r == x) | (np.isnan(r) & np.isnan(x)))
    rf, xf = r[finite], x[finite]
    difference = np.abs(xf - rf)
    outside = np.count_nonzero(difference > gate.atol + gate.rtol * np.abs(rf)) + np.count_nonzero(~finite & ~alike)
    norms = float(np.linalg.norm(rf)), float(np.linalg.norm(xf))
    if norms[0] and norms[1]:
        cosine = float(np.dot(rf, xf) / (norms[0] * norms[1]))
    else:
        cosine = 1.0 if norms[0] == norms[1] else 0.0
    return {
        "l0": float(outside / r.size) if r.size else 0.0,
        "l1": _relative(float(difference.sum()), float(np.abs(rf).sum())),
        "l2": _relative(float(np.linalg.norm(difference)), norms[0]),
        "lInf": float(difference.max()) if difference.size else 0.0,
        "cos": min(1.0, max(-1.0, cosine)),
        "nan": int(np.count_nonzero(np.isnan(x) & ~np.isnan(r))),
        "inf": int(np.count_nonzero(np.isinf(x) & ~np.isinf(r))),
    }


def objection(errors: Mapping[str, Metrics], gate: Gate) -> str | None:
    """Why the gate stays shut, in one line, or None where it opens."""
    for name, metrics in errors.items():
        for kind, word in (("nan", "NaN"), ("inf", "Inf")):
            if metrics[kind]:
                return f"{metrics[kind]} new {word} in output '{name}'"
        if metrics["l0"] > gate.outside:
            bound = f"{gate.atol:g} + {gate.rtol:g} x |reference|"
            return f"output '{name}': {metrics['l0']:.2%} of the elements are off by more than {bound}"
        if metrics["cos"] < gate.cosine:
            return f"output '{name}': cosine {metrics['cos']:.7f}, at least {gate.cosine:g} needed"
    return None


def _relative(value: float, norm: float) -> float:
    return value / norm if norm else value
