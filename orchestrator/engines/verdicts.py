"""The verdict on an engine: its raw outputs against the reference, computed here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.engines.key import digest

# Defaults by precision. fp16 keeps 11 significant bits, so a relative 1e-2 leaves room for a few layers of rounding.
DEFAULTS: dict[str, dict[str, float | None]] = {
    "fp32": {"atol": 1e-4, "rtol": 1e-4, "outside": 1e-3, "cosine": 0.99999, "top1": None},
    "fp16": {"atol": 1e-2, "rtol": 1e-2, "outside": 1e-3, "cosine": 0.999, "top1": None},
    "int8": {"atol": None, "rtol": None, "outside": None, "cosine": 0.99, "top1": None},
}

# Why a precision gives values that are none, as far as it is known.
OVERFLOW = {"fp16": ": values beyond 65504, the largest of fp16, become Inf, and Inf - Inf is NaN"}


@dataclass(frozen=True)
class Tolerance:
    """What an engine's outputs may differ by; None switches a criterion off.

    atol, rtol: an element is outside where |x - r| > atol + rtol * |r|.
    outside: largest fraction of elements that may lie outside (trtexec 11 calls the fraction l0).
    cosine: smallest cosine between output and reference.
    top1: smallest fraction of samples whose largest class agrees with the reference.
    """

    atol: float | None
    rtol: float | None
    outside: float | None
    cosine: float | None
    top1: float | None

    @classmethod
    def of(cls, precision: str, override: Mapping[str, Any] | None = None) -> Tolerance:
        return cls(**{**DEFAULTS[precision], **(override or {})})

    def to_json(self) -> dict[str, float | None]:
        return asdict(self)


@dataclass(frozen=True)
class Verdict:
    """Whether an engine's outputs may be trusted, and every number behind it."""

    passed: bool
    reasons: tuple[str, ...]
    """Why not, one line per criterion missed."""
    metrics: dict[str, dict[str, float | int | None]]
    """Per output: l0 l1 l2 lInf cos nan inf top1 (see `measure`) and accuracy where labels exist."""
    samples: int
    tolerance: Tolerance
    digest: str
    """Of reference and tolerance: another digest means that the engine is to be judged anew."""

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "reasons": list(self.reasons), "tolerance": self.tolerance.to_json()}


def verdict_digest(reference: str, tolerance: Tolerance, classes: bool) -> str:
    """Of everything that decides a verdict but the engine itself."""
    return digest({"reference": reference, "tolerance": tolerance.to_json(), "classes": classes})


def measure(output: Any, reference: Any, tolerance: Tolerance, *, classes: bool = False, labels: Any = None) -> dict:
    """Compare one output with its reference.

    Args:
        output, reference: arrays of one shape, the samples along axis 0.
        classes: the last axis holds scores of classes, so that `top1` means something.
        labels: class index per sample, shape (samples,), for `accuracy`.

    Returns:
        l0: fraction of elements outside atol + rtol * |reference| (None without atol and rtol)
        l1, l2: norms of the difference relative to the norms of the reference
        lInf: largest absolute difference
        cos: cosine between the two, flattened
        nan, inf: elements that are NaN or infinite where the reference is not
        top1: fraction of samples whose argmax agrees; accuracy: fraction whose argmax is the label
        Elements that are not finite on both sides count as outside and are left out of the norms.
    """
    import numpy as np

    x = np.asarray(output, dtype=np.float64)
    r = np.asarray(reference, dtype=np.float64)
    if x.shape != r.shape:
        raise ValueError(f"output has shape {x.shape}, reference {r.shape}")
    finite = np.isfinite(x) & np.isfinite(r)
    # An infinity that the reference has too, with its sign, is no difference.
    same = ~finite & ((x == r) | (np.isnan(x) & np.isnan(r)))
    xf, rf = x[finite], r[finite]
    difference = np.abs(xf - rf)
    l0 = None
    if tolerance.atol is not None or tolerance.rtol is not None:
        allowed = (tolerance.atol or 0.0) + (tolerance.rtol or 0.0) * np.abs(rf)
        outside = int(np.count_nonzero(difference > allowed)) + int(np.count_nonzero(~finite & ~same))
        l0 = outside / x.size if x.size else 0.0
    norm1, norm2 = float(np.sum(np.abs(rf))), float(np.linalg.norm(rf))
    xnorm = float(np.linalg.norm(xf))
    l2 = float(np.linalg.norm(xf - rf))
    # Two zero vectors agree; a zero vector and another do not.
    alike = 1.0 if norm2 == xnorm and xf.size else 0.0
    cosine = float(np.dot(xf, rf) / (norm2 * xnorm)) if norm2 and xnorm else alike
    metrics: dict[str, float | int | None] = {
        "l0": l0,
        "l1": float(np.sum(difference)) / norm1 if norm1 else float(np.sum(difference)),
        "l2": l2 / norm2 if norm2 else l2,
        "lInf": float(difference.max()) if difference.size else 0.0,
        "cos": max(-1.0, min(1.0, cosine)),
        "nan": int(np.count_nonzero(np.isnan(x) & ~np.isnan(r))),
        "inf": int(np.count_nonzero(np.isinf(x) & ~np.isinf(r))),
        "top1": None,
    }
    if classes and x.ndim >= 2 and x.shape[-1] > 1:
        chosen = np.argmax(x, axis=-1)
        metrics["top1"] = float(np.mean(chosen == np.argmax(r, axis=-1)))
        if labels is not None and np.shape(labels) == chosen.shape:
            metrics["accuracy"] = float(np.mean(chosen == np.asarray(labels)))
    return metrics


def judge(
    outputs: Mapping[str, Any],
    references: Mapping[str, Any],
    tolerance: Tolerance,
    *,
    precision: str,
    reference_digest: str,
    classes: bool = False,
    labels: Any = None,
) -> Verdict:
    """The verdict over all outputs: it passes when every criterion holds for every one.

    Raises:
        ValueError: an output is missing or has another shape than its reference.
    """
    missing = [name for name in references if name not in outputs]
    if missing:
        raise ValueError(
            f"the engine gave no output named {', '.join(missing)}; it gave {', '.join(outputs) or 'none'}"
        )
    metrics, reasons, samples = {}, [], 0
    for name, reference in references.items():
        numbers = measure(outputs[name], reference, tolerance, classes=classes, labels=labels)
        metrics[name] = numbers
        samples = max(samples, len(reference))
        reasons += [f"{name}: {reason}" for reason in _missed(numbers, tolerance, len(outputs[name]), precision)]
    return Verdict(
        passed=not reasons,
        reasons=tuple(reasons),
        metrics=metrics,
        samples=samples,
        tolerance=tolerance,
        digest=verdict_digest(reference_digest, tolerance, classes),
    )


def _missed(numbers: Mapping[str, Any], tolerance: Tolerance, samples: int, precision: str) -> list[str]:
    reasons = []
    for name, word in (("inf", "Inf"), ("nan", "NaN")):
        if numbers[name]:
            reasons.append(f"{numbers[name]} {word} where the reference has none (over {samples} samples)")
    if reasons:
        # The other criteria follow from it and would only hide it.
        return [f"{' and '.join(reasons)}{OVERFLOW.get(precision, '')}"]
    l0 = numbers["l0"]
    if tolerance.outside is not None and l0 is not None and l0 > tolerance.outside:
        bound = f"atol {tolerance.atol:g} + rtol {tolerance.rtol:g} x |reference|"
        reasons.append(f"{l0:.2%} of the elements outside {bound}, allowed {tolerance.outside:.2%}")
    if tolerance.cosine is not None and numbers["cos"] < tolerance.cosine:
        reasons.append(f"cosine {numbers['cos']:.6f}, at least {tolerance.cosine:g} needed")
    if tolerance.top1 is not None and numbers["top1"] is not None and numbers["top1"] < tolerance.top1:
        reasons.append(f"top-1 agreement {numbers['top1']:.2%}, at least {tolerance.top1:.2%} needed")
    return reasons
