"""What result.json says of a run is what happened, and it always fits its schema."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path

import jsonschema
import pytest
import recorded_runs as recorded

from orchestrator import events
from orchestrator.reports.result import ResultCollector, plain, schema

VALIDATOR = jsonschema.Draft202012Validator(schema())


def valid(result: dict) -> dict:
    VALIDATOR.validate(json.loads(json.dumps(result, allow_nan=False)))
    return result


def test_the_schema_is_itself_valid():
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("happened", [recorded.all_well(), recorded.troubled(), recorded.many(50)])
def test_every_recorded_run_fits_the_schema(happened):
    valid(happened[-1].result)


def test_a_result_can_be_asked_for_after_any_event():
    happened = recorded.troubled()
    for length in range(1, len(happened)):
        collector = ResultCollector()
        for event in happened[:length]:
            collector(event)
        valid(collector.result())


def _paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from _paths(item, (*path, key))


# Below these, names are a device's or a model's own, or optional, so that a misspelled one cannot be told.
_OPEN = {"facts", "metrics", "latency_ms", "power", "tolerance", "verdict", "export", "attempts", "rungs"}


def _typo_paths():
    result = recorded.all_well()[-1].result
    result["hosts"] = {"nano-01": result["hosts"]["nano-01"]}
    for path in _paths(result):
        if path and isinstance(path[-1], str) and path[-1] != "nano-01" and not _OPEN & set(map(str, path[:-1])):
            yield path


@pytest.mark.parametrize("path", list(_typo_paths()), ids=lambda path: ".".join(map(str, path)))
def test_the_schema_refuses_a_misspelled_name(path):
    result = recorded.all_well()[-1].result
    broken = copy.deepcopy(result)
    parent = broken
    for key in path[:-1]:
        parent = parent[key]
    parent[f"{path[-1]}x"] = parent.pop(path[-1])
    assert list(VALIDATOR.iter_errors(broken))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("started",), "yesterday"),
        (("hosts", "nano-01", "status"), "fine"),
        (("hosts", "nano-01", "virtual"), "yes"),
        (("hosts", "nano-01", "bytes_pushed"), -1),
        (("hosts", "nano-01", "facts", "ram_bytes"), "8 GiB"),
        (("hosts", "nano-01", "engines", 0, "action"), "compiled"),
        (("hosts", "nano-01", "engines", 0, "opset"), "13"),
        (("hosts", "nano-01", "engines", 0, "latency_ms"), {"p50": 1.0}),
        (("hosts", "nano-01", "engines", 0, "verdict", "metrics", "logits", "nan"), 0.5),
        (("hosts", "nano-01", "error"), "it broke"),
    ],
)
def test_the_schema_refuses_a_wrong_type(path, value):
    result = copy.deepcopy(recorded.all_well()[-1].result)
    parent = result
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    assert list(VALIDATOR.iter_errors(result))


def test_a_run_that_goes_well():
    result = recorded.all_well()[-1].result
    assert result["run"] == "20260921-031500"
    assert result["started"] == "2026-09-21T14:13:20.000Z"
    assert result["controller"]["command"] == "fleet deploy --inventory inventory/lab.yml"
    assert result["summary"]["hosts"] == {"ok": 5, "failed": 0, "unreachable": 0, "skipped": 0}
    assert result["summary"]["engines"] == {"built": 5, "reused": 0, "revalidated": 0, "blocked": 0, "failed": 0}
    assert list(result["hosts"]) == list(recorded.BOARDS)
    nano = result["hosts"]["nano-01"]
    assert (nano["status"], nano["virtual"], nano["error"]) == ("ok", True, None)
    assert nano["bytes_pushed"] == 151_234 + 92_160
    assert nano["facts"]["tensorrt"] == "8.2.1.8"
    assert "virtual" not in nano["facts"]
    assert nano["engines"] == [recorded.engine("nano-01")]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("runs/20260921-031500/artifacts/a/x.engine", "artifacts/a/x.engine"),
        (str(Path("runs/20260921-031500/artifacts/a/x.engine").absolute()), "artifacts/a/x.engine"),
        ("artifacts/a/x.engine", "artifacts/a/x.engine"),
        ("/elsewhere/x.engine", "/elsewhere/x.engine"),
    ],
)
def test_artifacts_are_named_relative_to_the_runs_folder(path, shown):
    happened = recorded.begin(["a"]) + recorded.deploy("a", "nano-01", artifact=path, passport=None)
    engine = recorded.result_of(happened)["hosts"]["a"]["engines"][0]
    assert (engine["artifact"], engine["passport"]) == (shown, None)


def test_tasks_are_counted_as_ansible_counts_them():
    happened = recorded.begin(["a"])
    for status in ("ok", "changed", "changed", "failed", "skipped", "ignored", "unreachable"):
        happened.append(events.TaskFinished(host="a", task="t", module="m", status=status, duration_s=0.1))
    tasks = recorded.result_of(happened)["hosts"]["a"]["tasks"]
    assert tasks == {"ok": 4, "changed": 2, "unreachable": 1, "failed": 1, "skipped": 1, "ignored": 1}


def test_phases_tell_how_long_a_device_was_in_each_state():
    phases = recorded.all_well()[-1].result["hosts"]["nano-01"]["phases"]
    lasted = {phase["state"]: phase["duration_s"] for phase in phases}
    assert lasted["building"] == pytest.approx(4.2)
    assert lasted["benchmarking"] == pytest.approx(2.1)
    assert "ok" not in lasted


def test_an_unreachable_device_has_no_facts_and_its_error():
    device = recorded.troubled()[-1].result["hosts"]["xavier-nx-01"]
    assert device["facts"] == {}
    assert device["error"] == recorded.UNREACHABLE
    assert device["virtual"] is True  # known from the inventory, no session was needed


def test_facts_alone_tell_that_a_device_is_virtual():
    happened = recorded.begin(["a", "b"], virtual=False)
    happened.append(events.FactsGathered(host="a", facts=recorded.facts("nano-01")))
    hosts = recorded.result_of(happened)["hosts"]
    assert (hosts["a"]["virtual"], hosts["b"]["virtual"]) == (True, False)


def test_a_failure_without_an_error_object_is_explained_by_the_task_that_failed():
    happened = [
        *recorded.begin(["a"]),
        events.TaskFinished(
            host="a", task="Copy", module="copy", status="failed", duration_s=0.1, message="no space left"
        ),
        events.HostFinished(host="a", status="failed"),
    ]
    error = recorded.result_of(happened)["hosts"]["a"]["error"]
    assert (error["what"], error["why"]) == ("task failed: Copy", "no space left")


def test_an_interrupted_run_counts_begun_devices_as_failed_and_others_as_skipped():
    happened = [*recorded.begin(["a", "b"]), events.HostState(host="a", state="building")]
    hosts = valid(recorded.result_of(happened))["hosts"]
    assert hosts["a"]["status"] == "failed"
    assert hosts["a"]["error"]["what"] == "not finished"
    assert (hosts["b"]["status"], hosts["b"]["error"]) == ("skipped", None)


def test_notes_are_kept_without_the_debug_ones():
    notes = recorded.all_well()[-1].result["notes"]
    assert [note["level"] for note in notes] == ["info", "warning"]


def test_numbers_that_json_lacks_become_null():
    numpy = pytest.importorskip("numpy")
    value = {
        "l2": math.nan,
        "lInf": math.inf,
        "cos": numpy.float32(0.5),
        "n": numpy.int64(3),
        "shape": (1, 2),
        "path": Path("a/b"),
    }
    assert plain(value) == {"l2": None, "lInf": None, "cos": 0.5, "n": 3, "shape": [1, 2], "path": "a/b"}


def test_an_engine_that_gave_inf_fits_the_schema():
    metrics = recorded.metrics(l2=math.nan, lInf=math.inf, inf=1200)
    verdict = {**recorded.engine()["verdict"], "passed": False, "metrics": {"logits": metrics}}
    happened = recorded.begin(["a"]) + recorded.deploy("a", "nano-01", verdict=verdict)
    engine = valid(recorded.result_of(happened))["hosts"]["a"]["engines"][0]
    assert engine["verdict"]["metrics"]["logits"]["l2"] is None
