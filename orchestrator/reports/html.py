"""One self-contained HTML page from a run's result: no network, light and dark, sortable, printable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.reports import text
from orchestrator.reports.chart import BAR_HEIGHT, LABEL_WIDTH, ROW_HEIGHT, WIDTH, charts

if TYPE_CHECKING:
    from jinja2 import BytecodeCache

_METRICS = ("l0", "l1", "l2", "lInf", "cos", "nan", "inf", "top1", "accuracy")
_UNITS = ("_bytes", "_hz")
_OPEN_DEVICES = 3
"""So few devices are shown unfolded."""


def render_html(result: Mapping[str, Any]) -> str:
    """The page as text.

    Args:
        result: what result.json holds (valid under result.schema.json). All of it is escaped.
    """
    from jinja2 import ChainableUndefined, Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=ChainableUndefined,  # optional keys may be missing; a report must not fail over one
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_compiled_templates(),
    )
    filters = {
        "ms": text.milliseconds,
        "rate": text.per_second,
        "size": text.size,
        "duration": text.duration,
        "metric": text.metric,
        "cosine": text.cosine,
        "percent": text.percent,
        "number": _number,
        "fact": fact_text,
    }
    environment.filters.update({name: _of_known(function) for name, function in filters.items()})
    return environment.get_template("report.html.j2").render(
        result=result,
        engines=text.engines(result),
        errors=text.grouped_errors(result),
        charts=charts(result),
        chart={"width": WIDTH, "label": LABEL_WIDTH, "row": ROW_HEIGHT, "bar": BAR_HEIGHT},
        verdicts=_verdicts(result),
        metric_names=_METRICS,
        unfolded=len(result["hosts"]) <= _OPEN_DEVICES,
        engine_name=text.engine_name,
        verdict_word=text.verdict_word,
        worst=worst,
        shares=_shares,
        words=_words,
        label=label,
        names=text.names,
        plural=text.plural,
    )


def _compiled_templates() -> BytecodeCache | None:
    """Where compiled templates are kept: compiling them anew takes longer than filling them.

    A folder of the user's alone, which Jinja2 checks; without one they are compiled in memory.
    """
    from jinja2 import FileSystemBytecodeCache

    try:
        return FileSystemBytecodeCache()
    except (OSError, RuntimeError):
        return None


def _of_known(function: Callable[..., str]) -> Callable[..., str]:
    """The filter `function`, given None where the template names a key that is not there."""
    from jinja2 import Undefined

    def filtered(value: Any, *arguments: Any) -> str:
        return function(None if isinstance(value, Undefined) else value, *arguments)

    return filtered


def worst(engine: Mapping[str, Any], name: str) -> float | None:
    """The least favourable value of a metric over all outputs: the smallest cosine or agreement, else the largest."""
    verdict = engine.get("verdict") or {}
    values = [metrics.get(name) for metrics in (verdict.get("metrics") or {}).values()]
    known = [value for value in values if value is not None]
    if not known:
        return None
    return min(known) if name in ("cos", "top1", "accuracy") else max(known)


def fact_text(value: Any, name: str = "") -> str:
    """A fact as people read it: bytes and hertz with units, lists joined, mappings as `name value` pairs."""
    if value is None or value == "" or value == [] or value == {}:
        return text.UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)) and name.endswith("_bytes"):
        return text.size(value)
    if isinstance(value, Mapping):
        unit = name if name.endswith(_UNITS) else ""
        return ", ".join(f"{label(str(key))} {fact_text(item, unit or str(key))}" for key, item in value.items())
    if isinstance(value, (int, float)) and name.endswith("_hz"):
        return f"{value / 1e6:.0f} MHz"
    if isinstance(value, (list, tuple)):
        return ", ".join(fact_text(item) for item in value)
    return str(value)


def label(name: str) -> str:
    """A fact's name as people read it, without the unit that its value shows: `disk_free_bytes` is `disk free`."""
    for unit in _UNITS:
        name = name.removesuffix(unit)
    return name.replace("_", " ")


def _number(value: float | None) -> str:
    """The raw value that a table sorts by; empty where there is none."""
    return "" if value is None else repr(value)


def _words(host: str, entry: Mapping[str, Any], engines: Sequence[Mapping[str, Any]]) -> str:
    """What the page's filter finds a device, or one of its engines, by."""
    words = [host, entry["status"], "virtual" if entry["virtual"] else "device", entry["facts"].get("module") or ""]
    for engine in engines:
        words += [text.engine_name(engine), engine["precision"] or "", engine["action"], text.verdict_word(engine)]
    return " ".join(words).lower()


def _verdicts(result: Mapping[str, Any]) -> dict[str, Any]:
    judged = [engine for _, _, engine in text.engines(result) if engine.get("verdict")]
    agreements = [worst(engine, "top1") for engine in judged]
    known = [value for value in agreements if value is not None]
    return {
        "judged": len(judged),
        "passed": sum(1 for engine in judged if engine["verdict"]["passed"]),
        "samples": max((engine["verdict"].get("samples") or 0 for engine in judged), default=0),
        "top1": min(known) if known else None,
    }


def _shares(phases: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Phases with their share of the device's whole time, in per cent; the ones too short to see left out."""
    whole = sum(phase["duration_s"] for phase in phases)
    if not whole:
        return []
    return [
        {**phase, "share": round(100 * phase["duration_s"] / whole, 2)}
        for phase in phases
        if phase["duration_s"] / whole >= 0.005
    ]
