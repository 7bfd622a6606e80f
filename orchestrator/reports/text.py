"""Numbers, times and errors as people read them, the same in every report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

UNKNOWN = "-"


def significant(value: float | None) -> str:
    """About three significant digits, never in scientific notation: `0.012`, `1.92`, `18.4`, `1 250`."""
    if value is None:
        return UNKNOWN
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}".replace(",", " ")
    if size >= 10:
        return f"{value:.1f}"
    if size >= 0.1 or size == 0:
        return f"{value:.2f}"
    return f"{value:.3f}"


def milliseconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{significant(value)} ms"


def per_second(value: float | None) -> str:
    return UNKNOWN if value is None else f"{significant(value)}/s"


def size(value: float | None) -> str:
    """Bytes with a binary unit: `0 B`, `38.1 KiB`, `7.4 GiB`."""
    if value is None:
        return UNKNOWN
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def clock(seconds: float) -> str:
    """Elapsed time as `m:ss` or `h:mm:ss`."""
    whole = max(0, int(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def duration(seconds: float | None) -> str:
    """`0.42 s`, `31 s`, `4 min 05 s`, `2 h 10 min`."""
    if seconds is None:
        return UNKNOWN
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def metric(value: float | None) -> str:
    """An error measure; scientific where it is small, a dash where there is no finite value."""
    if value is None:
        return UNKNOWN
    if value != 0 and abs(value) < 1e-3:
        return f"{value:.2e}"
    return f"{value:.4g}"


def cosine(value: float | None) -> str:
    """With the seven digits in which good cosines differ."""
    return UNKNOWN if value is None else f"{value:.7g}"


def percent(fraction: float | None, decimals: int = 1) -> str:
    return UNKNOWN if fraction is None else f"{100 * fraction:.{decimals}f} %"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def engine_name(engine: Mapping[str, Any]) -> str:
    """`digits b8`: the model and its batch size (nothing where the batch is the only one, 1 or unknown)."""
    batch = engine.get("batch")
    return engine["model"] if batch in (None, 1) else f"{engine['model']} b{batch}"


def names(hosts: Iterable[str], limit: int = 4) -> str:
    """`a, b, c` or, beyond `limit`, `a, b, c, d and 46 more`."""
    hosts = list(hosts)
    shown = ", ".join(hosts[:limit])
    return shown if len(hosts) <= limit else f"{shown} and {len(hosts) - limit} more"


def error_lines(error: Mapping[str, Any], device: str = "") -> list[str]:
    """The three-line form of an error object of result.json, and the log on a line of its own."""
    lines = [f"{device}: {error['what']}" if device else error["what"]]
    if error.get("why"):
        lines.append(f"  {error['why']}")
    if error.get("remedy"):
        lines.append(f"  try: {error['remedy']}")
    if error.get("log"):
        lines.append(f"  log: {error['log']}")
    return lines


def grouped_errors(result: Mapping[str, Any]) -> list[tuple[list[str], Mapping[str, Any]]]:
    """(devices, error) pairs in the order of the hosts; devices with the very same error stand together."""
    groups: dict[tuple[str, ...], tuple[list[str], Mapping[str, Any]]] = {}
    for host, entry in result["hosts"].items():
        error = entry.get("error")
        if error:
            key = tuple(str(error.get(part) or "") for part in ("what", "why", "remedy", "log"))
            groups.setdefault(key, ([], error))[0].append(host)
    return list(groups.values())


def engines(result: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """(host, host entry, engine) for every engine of the run."""
    return [(host, entry, engine) for host, entry in result["hosts"].items() for engine in entry["engines"]]


def verdict_word(engine: Mapping[str, Any]) -> str:
    """`passed`, `failed` or a dash where no verdict was reached."""
    verdict = engine.get("verdict")
    if not verdict:
        return UNKNOWN
    return "passed" if verdict["passed"] else "failed"
