"""What a deploy does about an engine follows from its key, its passport and its verdict."""

from orchestrator.engines.plan import EnginePlan, Rung, decide

PARTS = {"onnx": "o1", "precision": "fp16", "tensorrt": "8.5.2", "power_mode": "MAXN"}


def rung(precision="fp16", key="k16", unsupported=None, **parts):
    return Rung(precision, key, {**PARTS, "precision": precision, **parts}, "v1", unsupported)


def passport(key="k16", *, passed=True, verdict="v1", present=True, intact=True, failure=None, **more):
    reasons = [] if passed else ["y: 3 Inf where the reference has none"]
    judged = {"digest": verdict, "passed": passed, "samples": 360, "reasons": reasons}
    return {
        key: {
            "present": present,
            "intact": intact,
            "passport": {"model": "m", "batch": 1, "parts": PARTS, "verdict": judged, "failure": failure, **more},
        }
    }


def only(rungs, device, sources=None, **more):
    return decide(rungs, device, sources=sources or {}, model="m", batch=1, **more)


def test_an_engine_with_a_passing_verdict_is_reused():
    (step,) = only([rung()], passport())
    assert step.action == "reuse"
    assert "360 samples" in step.reason


def test_nothing_on_the_device_means_build():
    (step,) = only([rung()], {})
    assert (step.action, step.reason) == ("build", "no engine yet")


def test_force_builds_what_could_be_reused():
    assert only([rung()], passport(), force=True)[0].action == "build"


def test_a_rung_that_failed_its_verdict_is_remembered():
    steps = only([rung(), rung("fp32", "k32")], {**passport(passed=False), **passport("k32")})
    assert [s.action for s in steps] == ["failed", "reuse"]
    plan = EnginePlan("m", 1, 13, steps)
    assert plan.action == "reuse"
    assert "3 Inf" in plan.reason


def test_a_failed_verdict_under_other_tolerances_is_judged_anew():
    assert only([rung()], passport(passed=False, verdict="v0"))[0].action == "revalidate"


def test_another_reference_or_tolerance_revalidates():
    assert only([rung()], passport(verdict="v0"))[0].action == "revalidate"


def test_a_damaged_or_missing_engine_file_is_rebuilt():
    assert only([rung()], passport(intact=False))[0].reason == "the engine file is damaged (its digest differs)"
    assert only([rung()], passport(present=False))[0].action == "build"


def test_a_build_failure_is_remembered_only_where_it_is_permanent():
    permanent = {"what": "the parser lacks Foo", "permanent": True}
    assert only([rung()], passport(present=False, failure=permanent))[0].action == "failed"
    passing = {"what": "killed", "permanent": False}
    assert only([rung()], passport(present=False, failure=passing))[0].action == "build"


def test_the_reason_names_what_changed_since_the_nearest_engine():
    (step,) = only([rung(key="new", tensorrt="10.3.0")], passport())
    assert step.reason == "TensorRT 8.5.2 -> 10.3.0"


def test_changed_weights_are_named_instead_of_the_graph():
    device = passport(sources={"checkpoint": "a", "code": {}})
    (step,) = only([rung(key="new", onnx="o2")], device, {"checkpoint": "b", "code": {}})
    assert step.reason == "weights changed"


def test_a_device_that_can_have_no_rung_is_blocked_with_the_reason():
    plan = EnginePlan("m", 1, 13, only([rung("int8", unsupported="Maxwell has no int8")], {}))
    assert (plan.action, plan.reason) == ("blocked", "int8: Maxwell has no int8")
