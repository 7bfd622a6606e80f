"""The engine key: a digest of everything that determines an engine, and words for what changed in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# What people read, in the order in which they would want to hear it.
LABELS = {
    "tensorrt": "TensorRT",
    "module": "module",
    "compute_capability": "compute capability",
    "l4t": "L4T",
    "cuda": "CUDA",
    "cudnn": "cuDNN",
    "power_mode": "power mode",
    "precision": "precision",
    "shapes": "shapes",
    "tool": "build tool",
    "options": "build options",
    "calibration": "calibration",
    "onnx": "ONNX graph",
}


def digest(value: Any) -> str:
    """SHA-256 of a JSON value in its canonical form (sorted keys, no blanks)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def engine_parts(
    *,
    onnx: str,
    precision: str,
    shapes: Mapping[str, Any],
    options: Mapping[str, Any],
    tool: str,
    facts: Mapping[str, Any],
    power_mode: str | None,
    calibration: str | None = None,
) -> dict[str, Any]:
    """Everything that decides what a build gives.

    Args:
        onnx: SHA-256 of the sanitized ONNX file, weights included.
        precision: fp32, fp16 or int8.
        shapes: per input its static shape, or its min, opt and max shapes.
        options: build options as asked for (a workspace of "auto" stays "auto": what came of it is in the passport).
        tool: what builds, `trtexec` say.
        facts: the device's resolved facts.
        power_mode: name of the *intended* power mode. Live clocks and modes belong to the passport: a board whose
            clocks were lost in a reboot is mended and revalidated, not rebuilt.
        calibration: SHA-256 of the calibration data, for int8.
    """
    return {
        "onnx": onnx,
        "precision": precision,
        "shapes": dict(shapes),
        "options": dict(options),
        "tool": tool,
        "calibration": calibration,
        "tensorrt": facts.get("tensorrt"),
        "cuda": facts.get("cuda"),
        "cudnn": facts.get("cudnn"),
        "l4t": facts.get("l4t"),
        "module": facts.get("module"),
        "compute_capability": facts.get("compute_capability"),
        "power_mode": power_mode,
    }


def engine_key(parts: Mapping[str, Any]) -> str:
    """The key of an engine with these parts: 64 hexadecimal digits."""
    return digest(dict(parts))


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two engines' parts, in words: `TensorRT 8.5.2 -> 10.3.0`.

    Parts whose values say nothing to a person (digests) are only named.
    """
    words = []
    for name, label in LABELS.items():
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name in ("onnx", "calibration"):
            words.append(f"{label} changed")
        elif name in ("options", "shapes"):
            words.append(f"{label} changed: {_difference(before or {}, after or {})}")
        else:
            words.append(f"{label} {_text(before)} -> {_text(after)}")
    return words


def source_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Why the ONNX graph differs, from what the two exports were made from (see `Export.sources`)."""
    words = []
    for name in sorted({*old, *new}):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if name == "checkpoint":
            words.append("weights changed")
        elif name == "code":
            files = {*(before or {}), *(after or {})}
            edited = sorted(f for f in files if (before or {}).get(f) != (after or {}).get(f))
            words.append(f"model code changed ({', '.join(edited)})")
        elif isinstance(before, (str, int, float)) and isinstance(after, (str, int, float)):
            words.append(f"{name} {before} -> {after}")
        else:
            words.append(f"{name.replace('_', ' ')} changed")
    return words


def _difference(before: Any, after: Any) -> str:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = [n for n in {**before, **after} if before.get(n) != after.get(n)]
        return ", ".join(f"{n} {_text(before.get(n))} -> {_text(after.get(n))}" for n in names)
    return f"{_text(before)} -> {_text(after)}"


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, (dict, list)):
        return json.dumps(value, separators=(",", ":"))
    return str(value)
