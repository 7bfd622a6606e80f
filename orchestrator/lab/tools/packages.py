"""The package database of a virtual device: what dpkg and apt know of a name."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

DESCRIPTIONS = {
    r"libnvinfer\d+": "TensorRT runtime libraries",
    r"libnvinfer-bin": "TensorRT binaries",
    r"libnvinfer-dev": "TensorRT development libraries and headers",
    r"libnvinfer-plugin\d+": "TensorRT plugin libraries",
    r"libnvinfer-samples": "TensorRT samples",
    r"libnvonnxparsers\d+": "TensorRT ONNX libraries",
    r"python3-libnvinfer": "Python 3 bindings for TensorRT",
    r"libcudnn\d.*": "cuDNN runtime libraries",
    r"cuda-nvcc-.*": "CUDA nvcc",
    r"cuda-cudart-.*": "CUDA Runtime native Libraries",
    r"nvidia-l4t-core": "NVIDIA Core Package",
    r"nvidia-l4t-kernel": "NVIDIA Kernel Package",
    r"nvidia-l4t-cuda": "NVIDIA CUDA Package",
    r"nvidia-l4t-bootloader": "NVIDIA Bootloader Package",
    r"nvidia-jetpack": "NVIDIA Jetpack Meta Package",
}


def describe(name: str, version: str) -> str:
    if name == "tensorrt":
        return f"Meta package {'for' if version.startswith('1') else 'of'} TensorRT"
    return next((text for pattern, text in DESCRIPTIONS.items() if re.fullmatch(pattern, name)), name)


def architecture(name: str) -> str:
    return "all" if name == "libnvinfer-samples" else "arm64"


def matching(installed: dict[str, str], patterns: list[str]) -> tuple[list[str], list[str]]:
    """Installed names that match any pattern, sorted, and the patterns that matched nothing."""
    found: set[str] = set()
    unmatched = []
    for pattern in patterns:
        hits = fnmatch.filter(installed, pattern.split(":", 1)[0])
        found.update(hits)
        if not hits:
            unmatched.append(pattern)
    return sorted(found if patterns else installed), unmatched


def fields(name: str, version: str, held: bool = False, half: bool = False) -> dict[str, str]:
    """The control fields that --showformat and --status can name; `half`: unpacked, and its setup failed."""
    status = "half-configured" if half else "installed"
    return {
        "Package": name,
        "binary:Package": name,
        "Status": f"{'hold' if held else 'install'} ok {status}",
        "db:Status-Abbrev": ("h" if held else "i") + ("F " if half else "i "),
        "db:Status-Eflag": "ok",
        "db:Status-Want": "hold" if held else "install",
        "db:Status-Status": status,
        "Provides": "",
        "Priority": "optional",
        "Section": "misc",
        "Installed-Size": "1024",
        "Maintainer": "NVIDIA Corporation" if "nvinfer" in name or "nvidia" in name else "Ubuntu Developers",
        "Architecture": architecture(name),
        "Version": version,
        "Description": describe(name, version),
        "binary:Summary": describe(name, version),
    }


def compare(left: str, right: str) -> int:
    """Debian's order of two versions: negative, zero or positive."""
    one, two = _split(left), _split(right)
    if one[0] != two[0]:
        return one[0] - two[0]
    return _part(one[1], two[1]) or _part(one[2], two[2])


def _split(version: str) -> tuple[int, str, str]:
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch or 0), upstream, revision


def _part(left: str, right: str) -> int:
    while left or right:
        texts = [re.match(r"\D*", side)[0] for side in (left, right)]  # type: ignore[index]
        weights = [[_weight(c) for c in text] + [0] for text in texts]
        if weights[0] != weights[1]:
            return -1 if weights[0] < weights[1] else 1
        left, right = left[len(texts[0]) :], right[len(texts[1]) :]
        numbers = [re.match(r"\d*", side)[0] for side in (left, right)]  # type: ignore[index]
        difference = int(numbers[0] or 0) - int(numbers[1] or 0)
        if difference:
            return difference
        left, right = left[len(numbers[0]) :], right[len(numbers[1]) :]
    return 0


def _weight(character: str) -> int:
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def half_configured(state: dict[str, Any]) -> set[str]:
    return set(state.get("half_configured", {}))


def held(state: dict[str, Any]) -> set[str]:
    return set(state.get("held", []))
