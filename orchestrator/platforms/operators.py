"""Which ONNX operators the parser of a TensorRT imports."""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable

from orchestrator.platforms.tables import Version, text, version

_PLUGINS = "FallbackPluginImporter"


@functools.cache
def _columns() -> list[tuple[Version, frozenset[str]]]:
    """The operators of each TensorRT of the table, oldest first."""
    rows = list(csv.DictReader(text("operators.csv").splitlines()))
    versions = [name for name in rows[0] if name != "operator"]
    return [(version(name), frozenset(row["operator"] for row in rows if row[name])) for name in versions]


def supported(tensorrt: str) -> frozenset[str]:
    """The operators that a TensorRT's parser imports; where it is not in the table, those of the nearest older one."""
    columns = _columns()
    wanted = version(tensorrt)
    return next((names for known, names in reversed(columns) if known <= wanted), columns[0][1])


def missing(tensorrt: str, operators: Iterable[str]) -> list[str]:
    """Those of the operators that the TensorRT lacks, sorted.

    Args:
        tensorrt: `8.5.2`.
        operators: standard operators by their name, others as `domain::Name`. TensorRT's own plugins (`..._TRT`, in
            whatever domain) count as there: the parser asks the device's plugin library, which is not known here.
    """
    known = supported(tensorrt)
    lacking = set()
    for operator in operators:
        domain, _, name = operator.rpartition("::")
        plugin = name.endswith("_TRT") and _PLUGINS in known
        if not plugin and (domain or name not in known):
            lacking.add(operator)
    return sorted(lacking)


def int64_bindings(tensorrt: str) -> bool:
    """Whether inputs and outputs of 64-bit integers stay so (TensorRT 10 and later) or become 32-bit."""
    return version(tensorrt) >= (10,)
