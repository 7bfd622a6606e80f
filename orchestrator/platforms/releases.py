"""JetPack releases: what an L4T is called, what it ships, which ONNX opset its TensorRT takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.platforms.tables import newest_up_to, table, version


def jetpack_of(l4t: str | None, packages: Mapping[str, str] | None = None) -> str | None:
    """The JetPack of an L4T release, `4.6.1`; None where nobody knows.

    Args:
        l4t: `32.7.1`.
        packages: what is installed; the package nvidia-jetpack tells for releases that are not in the table.
    """
    names = {version(release): name for release, name in table("jetpacks.yml")["releases"].items()}
    if l4t and (known := names.get(version(l4t))):
        return known
    numbers = version((packages or {}).get("nvidia-jetpack", ""))
    return ".".join(map(str, numbers if len(numbers) > 1 else (*numbers, 0))) if numbers else None


def stack_of(l4t: str | None) -> dict[str, str] | None:
    """What the JetPack of an L4T (or of the nearest older one) ships: ubuntu, python, cuda, cudnn, tensorrt."""
    row = newest_up_to(table("jetpacks.yml")["stacks"], "l4t", version(l4t)) if l4t else None
    return {name: value for name, value in row.items() if name != "l4t"} if row else None


def opset_for(facts: Mapping[str, Any]) -> tuple[int, int]:
    """The opset to export for a device and the newest one that its parser knows: (default, ceiling).

    Decided by the TensorRT of the facts; without one by what its L4T ships. A TensorRT that is not in the table takes
    the opsets of the nearest older one, and a device of which nothing is known those of the newest.
    """
    rows = table("jetpacks.yml")["opsets"]
    l4t, tensorrt = facts.get("l4t"), facts.get("tensorrt")
    if l4t and not tensorrt:
        tensorrt = (stack_of(l4t) or {"tensorrt": rows[0]["tensorrt"]})["tensorrt"]
    row = (newest_up_to(rows, "tensorrt", version(tensorrt)) or rows[0]) if tensorrt else rows[-1]
    return row["default"], row["ceiling"]


def release_name(facts: Mapping[str, Any]) -> str:
    """A release for people: `JetPack 4.6.1 (R32.7.1)`, `R99.1, JetPack unknown`, `no L4T`."""
    l4t, jetpack = facts.get("l4t"), facts.get("jetpack")
    if jetpack:
        return f"JetPack {jetpack} (R{l4t})" if l4t else f"JetPack {jetpack}"
    return f"R{l4t}, JetPack unknown" if l4t else "no L4T"
