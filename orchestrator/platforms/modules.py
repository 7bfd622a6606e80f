"""Which Jetson a board is: from its device tree, its board numbers and its memory."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.platforms.tables import table

_PART = re.compile(r"p(\d{4})(?:-(\d{4}))?")
_BOARD = re.compile(r"(\d{4})(?::(\d{4}))?")
_GB = 1024**3


def soc_of(compatible: Sequence[str]) -> str | None:
    """The chip, `t234`, known to the table or not; None where the device tree names no Tegra."""
    for entry in compatible:
        if match := re.fullmatch(r"nvidia,tegra(\d+)", entry):
            return f"t{match[1]}"
    return None


def soc_row(soc: str | None) -> Mapping[str, Any]:
    """What is known of a chip: compute_capability and precisions; fp32 alone where nothing is."""
    unknown = {"compute_capability": None, "precisions": ["fp32"]}
    return table("modules.yml")["socs"].get(soc, unknown)


def module_row(compatible: Sequence[str], boardids: str | None, ram_bytes: int | None) -> Mapping[str, Any] | None:
    """The row of data/modules.yml that a board matches, None where there is none.

    Asked in turn, until one knows: part numbers in `compatible`, `nvidia,boardids`, codenames in `compatible`. Where
    several sizes share a number the memory decides. Carrier boards have part numbers too; they match no row.
    """
    codenames = table("modules.yml")["codenames"]
    in_tree = [match.groups() for entry in compatible for match in _PART.finditer(entry)]
    on_board = [match.groups() for match in _BOARD.finditer(boardids or "")][:1]
    by_name = [_PART.findall(codenames[entry])[0] for entry in compatible if entry in codenames]
    for numbers in (in_tree, on_board, by_name):
        for family, variant in numbers:
            if row := _choose(family, variant, ram_bytes):
                return row
    return None


def _choose(family: str, variant: str | None, ram_bytes: int | None) -> Mapping[str, Any] | None:
    rows = table("modules.yml")["modules"]
    relatives = [row for row in rows if any(part.startswith(f"p{family}-") for part in row["parts"])]
    exact = [row for row in relatives if f"p{family}-{variant}" in row["parts"]]
    for candidates in (exact, relatives):
        for row in candidates:
            if _fits(row, ram_bytes):
                return row
    return (exact or relatives or [None])[0]


def _fits(row: Mapping[str, Any], ram_bytes: int | None) -> bool:
    if ram_bytes is None or "ram_gb" not in row:
        return True
    # A board shows less than its nominal memory (the Nano 3956 of 4096 MiB), by less than half.
    return row["ram_gb"] * _GB / 2 < ram_bytes <= row["ram_gb"] * _GB
