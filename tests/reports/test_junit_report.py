"""A CI server sees devices, tasks and engines as tests, with the cause of every failure."""

from __future__ import annotations

from xml.etree import ElementTree as xml

import pytest
import recorded_runs as recorded

from orchestrator import events
from orchestrator.reports.junit import render_junit


def parsed(happened) -> xml.Element:
    return xml.fromstring(render_junit(happened[-1].result))


def suite_of(root: xml.Element, host: str) -> xml.Element:
    return next(suite for suite in root if suite.get("name") == host)


@pytest.mark.parametrize("happened", [recorded.all_well(), recorded.troubled(), recorded.many(50)])
def test_one_suite_per_device_and_the_counts_add_up(happened):
    root = parsed(happened)
    assert [suite.get("name") for suite in root] == list(happened[-1].result["hosts"])
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.get("tests")) == len(cases) > 0
        for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(count)) == sum(case.find(tag) is not None for case in cases)
    for count in ("tests", "failures", "errors", "skipped"):
        assert int(root.get(count)) == sum(int(suite.get(count)) for suite in root)


def test_tasks_and_engines_are_cases():
    suite = suite_of(parsed(recorded.all_well()), "nano-01")
    assert [(case.get("classname"), case.get("name")) for case in suite.findall("testcase")] == [
        ("nano-01.tasks", "Set the power mode"),
        ("nano-01.tasks", "Lock the clocks"),
        ("nano-01.tasks", "Stop the desktop"),
        ("nano-01.tasks", "Deploy the engine"),
        ("nano-01.engines", "digits b8 fp16"),
    ]
    properties = {item.get("name"): item.get("value") for item in suite.iter("property")}
    assert properties["virtual"] == "true"
    assert properties["tensorrt"] == "8.2.1.8"


def test_a_failure_carries_the_three_lines_and_the_log():
    suite = suite_of(parsed(recorded.troubled()), "nano-01")
    text = suite.findall("testcase")[-1].find("failure").text
    for part in recorded.OUT_OF_MEMORY.values():
        assert part in text


def test_an_unreachable_device_is_an_error_of_its_own():
    (case,) = suite_of(parsed(recorded.troubled()), "xavier-nx-01").findall("testcase")
    assert case.get("name") == "device"
    assert recorded.UNREACHABLE["remedy"] in case.find("error").text


def test_an_engine_whose_verdict_failed_is_a_failure_with_its_reasons():
    verdict = {**recorded.engine()["verdict"], "passed": False, "reasons": ["logits: 1200 Inf"]}
    happened = recorded.begin(["a"]) + recorded.deploy("a", "nano-01", verdict=verdict)
    suite = suite_of(parsed(recorded.finish(happened)), "a")
    assert suite.get("failures") == "1"
    assert suite.find("testcase/failure").text == "logits: 1200 Inf"


def test_a_skipped_device_is_skipped():
    (case,) = suite_of(parsed(recorded.finish(recorded.begin(["a"]))), "a").findall("testcase")
    assert case.find("skipped") is not None


def test_bytes_that_xml_cannot_hold_do_not_spoil_the_report():
    happened = recorded.begin(["a"])
    happened.append(
        events.TaskFinished(
            host="a", task="run\x00it", module="m", status="failed", duration_s=0.1, message="\x1b[31m<red>\ud800 ü"
        )
    )
    case = suite_of(parsed(recorded.finish(happened)), "a").find("testcase")
    assert case.get("name") == "run?it"
    assert case.find("failure").get("message") == "?[31m<red>? ü"
