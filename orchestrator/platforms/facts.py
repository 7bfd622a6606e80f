"""From the raw facts that the agent reads to the facts that people and the rest of Fleet use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orchestrator.platforms.modules import module_row, soc_of, soc_row
from orchestrator.platforms.releases import jetpack_of, opset_for
from orchestrator.platforms.tables import version

_RUNTIME = re.compile(r"libnvinfer\d+")
_CUDNN = re.compile(r"libcudnn\d+(-cuda-\d+)?")


def resolve(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Interpret the raw facts of a device.

    Args:
        raw: as docs/architecture.md lists them; anything may be missing.

    Returns:
        virtual (bool), hostname, boot_id, kernel, machine
        module (`Jetson Nano`; None on a machine that is no Jetson), soc (`t210`), compute_capability (`5.3`)
        l4t (`32.7.1`), jetpack (`4.6.1`; None where unknown), python, cuda, cudnn, tensorrt (`8.2.1`)
        trtexec (path on the device)
        opset, opset_ceiling
        ram_bytes, ram_available_bytes, swap_bytes, disk_free_bytes
        power_mode (name), power_modes (raw), clocks (raw), super (whether the mode table is that of a "Super" board;
        None where there is no such thing)
        dla_cores, precisions (those that the hardware is fast at)
        notes: what a person should know, one line each

        Values that are not known are None.
    """
    compatible = _list(raw.get("compatible"))
    packages = _mapping(raw.get("packages"))
    power = _mapping(raw.get("power"))
    trtexec = _mapping(raw.get("trtexec"))
    l4t = _mapping(raw.get("l4t")).get("version")
    boardids = raw.get("boardids")
    row = module_row(compatible, str(boardids) if boardids else None, raw.get("ram_bytes"))
    soc = soc_of(compatible) or (row["soc"] if row else None)
    jetson = bool(row or soc or l4t)
    facts: dict[str, Any] = {
        "virtual": bool(raw.get("virtual")),
        "hostname": raw.get("hostname"),
        "boot_id": raw.get("boot_id"),
        "kernel": raw.get("kernel"),
        "machine": raw.get("machine"),
        "module": row["module"] if row else _nameless(soc) if jetson else None,
        "soc": soc,
        "compute_capability": soc_row(soc)["compute_capability"],
        "l4t": l4t,
        "jetpack": jetpack_of(l4t, packages) if jetson else None,
        "python": raw.get("python"),
        "cuda": raw.get("cuda"),
        "cudnn": _installed(packages, _CUDNN, 4),
        "tensorrt": _tensorrt(packages, trtexec),
        "trtexec": trtexec.get("path"),
        "ram_bytes": raw.get("ram_bytes"),
        "ram_available_bytes": raw.get("ram_available_bytes"),
        "swap_bytes": raw.get("swap_bytes"),
        "disk_free_bytes": raw.get("disk_free_bytes"),
        "power_mode": _mapping(power.get("mode")).get("name"),
        "power_modes": _list(power.get("modes")),
        "clocks": raw.get("clocks"),
        # Of a module that nobody knows nothing is promised.
        "dla_cores": row["dla_cores"] if row else 0,
        "precisions": list(soc_row(soc)["precisions"]),
    }
    facts["opset"], facts["opset_ceiling"] = opset_for(facts)
    facts["super"] = _is_super(row, facts["power_modes"])
    facts["notes"] = _notes(facts, power) if jetson else []
    return facts


def _nameless(soc: str | None) -> str:
    return f"unknown Jetson ({soc})" if soc else "unknown Jetson"


def _tensorrt(packages: Mapping[str, Any], trtexec: Mapping[str, Any]) -> str | None:
    """The runtime library before the meta package, which may lag behind; a tarball has neither, but a trtexec."""
    meta = packages.get("tensorrt") or trtexec.get("version")
    return _installed(packages, _RUNTIME, 3) or _numbers(meta, 3)


def _installed(packages: Mapping[str, Any], name: re.Pattern[str], most: int) -> str | None:
    """The newest version among the packages whose whole name matches, cut to `most` numbers."""
    versions = [str(value) for package, value in packages.items() if value and name.fullmatch(package)]
    return _numbers(max(versions, key=version), most) if versions else None


def _numbers(value: Any, most: int) -> str | None:
    match = re.match(r"\d+(?:\.\d+)*", str(value or ""))
    return ".".join(match[0].split(".")[:most]) if match else None


def _is_super(row: Mapping[str, Any] | None, modes: list[Any]) -> bool | None:
    if not row or not row.get("super") or not modes:
        return None
    return any(str(_mapping(mode).get("name")).endswith("_SUPER") for mode in modes)


def _notes(facts: Mapping[str, Any], power: Mapping[str, Any]) -> list[str]:
    notes = []
    if facts["l4t"] and not facts["jetpack"]:
        notes.append(f"R{facts['l4t']} is not in the table of JetPack releases; its tools are asked what they can do")
    if facts["module"] and facts["module"].startswith("unknown Jetson"):
        notes.append("this module is not in the table of modules; only what its chip is known for is used")
    if facts["super"] is False and version(facts["l4t"]) >= (36, 4, 3):
        upgraded = "a board upgraded by apt keeps them until it is flashed anew"
        notes.append(f"the power modes are those from before JetPack 6.2: {upgraded}")
    if power.get("status_lies"):
        notes.append("nvpmodel reports a power mode that the GPU is not in; see: systemctl status nvpmodel.service")
    return notes


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []
