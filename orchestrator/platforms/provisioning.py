"""What to install on a device, from its facts and data/provisioning.yml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.platforms.releases import stack_of
from orchestrator.platforms.tables import newest_up_to, table, version

COMPONENTS = ("cuda", "cudnn", "tensorrt", "python", "trtexec")

Facts = Mapping[str, Any]


def _rows(name: str) -> Any:
    return table("provisioning.yml")[name]


def components_for(facts: Facts) -> dict[str, list[dict[str, str | None]]]:
    """Packages of each SDK component, as `{"name", "version"}`; version is a prefix or None. Empty where unknown."""
    row = newest_up_to(_rows("components"), "l4t", version(facts.get("l4t"))) if facts.get("l4t") else None
    stack = stack_of(facts.get("l4t"))
    if not row or not stack:
        return {}
    pinned = {
        "cuda": None,
        "cudnn": stack["cudnn"],
        "tensorrt": stack["tensorrt"],
        "python": stack["tensorrt"],
        "trtexec": stack["tensorrt"],
    }
    return {name: [{"name": package, "version": pinned[name]} for package in row[name]] for name in COMPONENTS}


def pins_for(facts: Facts) -> dict[str, Any]:
    """What pip installs: `{"pip": version or None, "packages": {name: version}, "pycuda": {name: version}}`.

    Decided by the L4T, on a PC by the Python; empty groups where nothing is known.
    """
    if facts.get("l4t"):
        row = newest_up_to(_rows("pins"), "l4t", version(facts["l4t"]))
    else:
        row = newest_up_to(_rows("pins_x86"), "python", version(facts.get("python") or ""))
    if not row:
        return {"pip": None, "packages": {}, "pycuda": {}}
    packages = {name: str(pin) for name, pin in row["packages"].items()}
    slow = _rows("cortex_a57")
    if facts.get("soc") in slow["socs"] and row.get("python") == "3.6":
        packages["numpy"] = str(slow["numpy"])
    pycuda = {name: str(pin) for name, pin in row["pycuda"].items()}
    return {"pip": row.get("pip"), "packages": packages, "pycuda": pycuda}


def has_cortex_a57(facts: Facts) -> bool:
    """Whether OpenBLAS may mistake the CPU of the device."""
    return facts.get("soc") in _rows("cortex_a57")["socs"]


def _prerequisites(ubuntu: str | None) -> dict[str, Any]:
    rows = _rows("prerequisites")
    row: dict[str, Any] = newest_up_to(rows, "ubuntu", version(ubuntu or "")) or rows[-1]
    return row


def prerequisites_for(ubuntu: str | None) -> list[str]:
    """apt packages that the steps of provisioning need; of the nearest older Ubuntu where it is unknown."""
    return list(_prerequisites(ubuntu)["packages"])


def to_be_built(tensorrt: str | None, ubuntu: str | None, found: Mapping[str, str | None]) -> dict[str, str]:
    """The least versions of cmake and protobuf that neither the device nor its distribution has, for onnx-tensorrt.

    Args:
        found: the versions on the device, by `cmake` and `protobuf`.
    """
    branch, brings = onnx_tensorrt_for(tensorrt) or {}, _prerequisites(ubuntu)["brings"]
    needed = {name: str(branch[name]) for name in ("cmake", "protobuf") if branch.get(name)}
    return {
        name: least
        for name, least in needed.items()
        # What is found hides what the distribution would bring: /usr/local stands before /usr.
        if version(found.get(name) or brings.get(name) or "0") < version(least)
    }


def onnx_tensorrt_for(tensorrt: str | None) -> dict[str, Any] | None:
    """Branch, patches and needs of onnx-tensorrt for a TensorRT; None where it is unknown or too old."""
    row = newest_up_to(_rows("onnx_tensorrt"), "tensorrt", version(tensorrt)) if tensorrt else None
    return {name: value for name, value in row.items() if name != "tensorrt"} if row else None


def source_of(name: str, tensorrt: str | None = None) -> dict[str, str]:
    """`url`, and where the table knows them `branch` and `version`, of a project that is built from source."""
    row = {key: str(value) for key, value in _rows("sources")[name].items()}
    if "{" in row.get("branch", ""):
        numbers = (*version(tensorrt or ""), 0, 0)
        row["branch"] = row["branch"].format(major=numbers[0], minor=numbers[1])
    return row
