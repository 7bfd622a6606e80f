"""Amounts of bytes or bits between people and programs, as Ansible's filters have them."""

from __future__ import annotations

import re
from typing import Any

_NAMES = {"K": "kilo", "M": "mega", "G": "giga", "T": "tera", "P": "peta", "E": "exa", "Z": "zetta", "Y": "yotta"}
_FACTORS = {"B": 1, **{letter: 1 << 10 * power for power, letter in enumerate(_NAMES, 1)}}
_AMOUNT = re.compile(r"([0-9]*\.?[0-9]+)\s*([A-Za-z]+)?\s*")


def human_readable(size: Any, isbits: bool = False, unit: str | None = None) -> str:
    """`1048576` as `1.00 MB` (or `1.00 Mb`), in a given unit or the largest that fits."""
    if isinstance(size, bool) or not isinstance(size, (int, float)):
        raise TypeError(f"a number of bytes is needed, not {size!r}")
    fitting = [letter for letter, factor in _FACTORS.items() if size >= factor]
    letter = max(fitting, key=_FACTORS.__getitem__) if fitting else "B"
    if unit is not None:
        letter = unit.upper() if unit.upper() in _FACTORS else "B"
    base = "bits" if isbits else "Bytes"
    return f"{size / _FACTORS[letter]:.2f} {base if letter == 'B' else letter + base[0]}"


def human_to_bytes(size: Any, default_unit: str | None = None, isbits: bool = False) -> int:
    """`10M`, `10 MB`, `2.5 gigabyte` as a number of bytes (of bits where `isbits`)."""
    match = _AMOUNT.fullmatch(str(size))
    if not match:
        raise ValueError(f"'{size}' is not an amount like 10M or 2.5 GB")
    unit = match[2] or default_unit
    if unit is None:
        return round(float(match[1]))
    letter = unit[0].upper()
    if letter not in _FACTORS:
        raise ValueError(f"'{unit}' is not a unit; they begin with {', '.join(_FACTORS)}")
    short = "b" if isbits else "B"
    word = _NAMES.get(letter, "") + ("bit" if isbits else "byte")
    expected = short if letter == "B" else letter + short
    if len(unit) > 1 and unit != expected and unit.lower() != word:
        raise ValueError(f"'{unit}' is not a unit here; write {expected} or {letter}")
    return round(float(match[1]) * _FACTORS[letter])
