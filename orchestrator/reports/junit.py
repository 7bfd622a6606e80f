"""A run's result as JUnit XML, so that a CI server shows devices, tasks and engines as tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as xml

from orchestrator.reports import text

# What XML 1.0 cannot hold at all, not even escaped: device output has such bytes (colours, bells).
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ELEMENT = {"failed": "failure", "unreachable": "error", "skipped": "skipped"}


def render_junit(result: Mapping[str, Any]) -> str:
    """The XML as text: one test suite per device, one test case per task and per engine.

    A device that failed or was unreachable without a failed task or engine gets a case of its own, `device`.
    """
    root = xml.Element("testsuites", name=_clean(f"fleet run {result['run']}"), time=_seconds(result["duration_s"]))
    for host, entry in result["hosts"].items():
        root.append(_suite(host, entry, result["started"]))
    for count in ("tests", "failures", "errors", "skipped"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    xml.indent(root)
    return xml.tostring(root, encoding="unicode", xml_declaration=False).join(
        ['<?xml version="1.0" encoding="UTF-8"?>\n', "\n"]
    )


def _suite(host: str, entry: Mapping[str, Any], started: str) -> xml.Element:
    # No zone designator: the JUnit schema that CI servers use has none, and its times are UTC.
    suite = xml.Element("testsuite", name=_clean(host), time=_seconds(entry["duration_s"]), timestamp=started[:19])
    properties = xml.SubElement(suite, "properties")
    facts = {name: entry["facts"].get(name) for name in ("module", "jetpack", "tensorrt")}
    for name, value in {"virtual": str(entry["virtual"]).lower(), **facts}.items():
        if value is not None:
            xml.SubElement(properties, "property", name=name, value=_clean(str(value)))
    cases = [_task(host, step) for step in entry["steps"]] + [_engine(host, engine) for engine in entry["engines"]]
    failing = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    if entry["error"]:
        lines = text.error_lines(entry["error"])
        if failing:
            detail = (
                failing[-1].find("failure") if failing[-1].find("failure") is not None else failing[-1].find("error")
            )
            assert detail is not None
            detail.text = _clean("\n".join(filter(None, [detail.text, *lines])))
        else:
            cases.append(_case(host, "device", 0.0, entry["status"], lines[0], "\n".join(lines)))
    elif not cases:
        cases.append(_case(host, "device", 0.0, entry["status"], f"the device was {entry['status']}"))
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(sum(1 for case in cases if case.find(tag) is not None)))
    return suite


def _task(host: str, step: Mapping[str, Any]) -> xml.Element:
    return _case(f"{host}.tasks", step["task"], step["duration_s"], step["status"], step["message"])


def _engine(host: str, engine: Mapping[str, Any]) -> xml.Element:
    verdict = engine.get("verdict")
    failed = engine["action"] in ("failed", "blocked") or (verdict is not None and not verdict["passed"])
    name = f"{text.engine_name(engine)} {engine['precision'] or ''}".rstrip()
    detail = "\n".join((verdict or {}).get("reasons") or [])
    status = "failed" if failed else "ok"
    return _case(
        f"{host}.engines", name, engine["build_s"] or 0.0, status, f"{engine['action']}: {engine['reason']}", detail
    )


def _case(classname: str, name: str, duration_s: float, status: str, message: str, detail: str = "") -> xml.Element:
    case = xml.Element("testcase", classname=_clean(classname), name=_clean(name), time=_seconds(duration_s))
    tag = _ELEMENT.get(status)
    if tag:
        xml.SubElement(case, tag, message=_clean(message)).text = _clean(detail) or None
    elif message:
        xml.SubElement(case, "system-out").text = _clean(message)
    return case


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _clean(value: str) -> str:
    return _FORBIDDEN.sub("?", value)
