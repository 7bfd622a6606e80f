"""A verdict passes what is right within tolerance and nothing else."""

import numpy as np
import pytest

from orchestrator.engines.verdicts import Tolerance, judge, measure

RNG = np.random.default_rng(7)
REFERENCE = RNG.normal(size=(200, 10)).astype(np.float32)


def verdict(output, precision="fp16", classes=False, labels=None, **override):
    return judge(
        {"y": output},
        {"y": REFERENCE},
        Tolerance.of(precision, override),
        precision=precision,
        reference_digest="r",
        classes=classes,
        labels=labels,
    )


def test_equal_outputs_pass_with_zero_error():
    result = verdict(REFERENCE, "fp32")
    assert result.passed
    assert result.metrics["y"] == {
        "l0": 0.0, "l1": 0.0, "l2": 0.0, "lInf": 0.0, "cos": pytest.approx(1.0), "nan": 0, "inf": 0, "top1": None,
    }  # fmt: skip


def test_rounding_to_fp16_passes_as_fp16_and_fails_as_fp32():
    rounded = REFERENCE.astype(np.float16).astype(np.float32) * np.float32(1.001)
    assert verdict(rounded, "fp16").passed
    assert not verdict(rounded, "fp32").passed
    assert 1e-5 < verdict(rounded).metrics["y"]["l2"] < 1e-2


@pytest.mark.parametrize(
    ("bad", "name", "word"), [(np.inf, "inf", "1 Inf"), (-np.inf, "inf", "1 Inf"), (np.nan, "nan", "1 NaN")]
)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_one_new_nan_or_inf_fails_at_every_precision(bad, name, word, precision):
    output = REFERENCE.copy()
    output[3, 4] = bad
    result = verdict(output, precision)
    assert not result.passed
    assert result.metrics["y"][name] == 1
    assert any(word in reason for reason in result.reasons)


def test_infinities_that_the_reference_has_too_are_no_difference():
    reference = REFERENCE.copy()
    reference[0, 0] = -np.inf
    numbers = measure(reference, reference, Tolerance.of("fp32"))
    assert (numbers["l0"], numbers["inf"], numbers["lInf"]) == (0.0, 0, 0.0)
    flipped = reference.copy()
    flipped[0, 0] = np.inf
    assert measure(flipped, reference, Tolerance.of("fp32"))["l0"] > 0


def test_a_tenth_of_a_percent_may_lie_outside_and_no_more():
    output = REFERENCE.copy()
    flat = output.reshape(-1)
    flat[:2] += 0.05  # 2 of 2000: exactly 0.1 %
    assert verdict(output).passed
    flat[2] += 0.05
    assert not verdict(output).passed


def test_a_scaled_output_fails_though_its_cosine_is_one():
    result = verdict(REFERENCE * 1.5)
    assert result.metrics["y"]["cos"] == pytest.approx(1.0)
    assert not result.passed


def test_all_zero_and_constant_outputs_fail():
    assert not verdict(np.zeros_like(REFERENCE)).passed
    assert not verdict(np.ones_like(REFERENCE), "int8").passed


def test_top1_and_accuracy_where_there_are_classes():
    labels = REFERENCE.argmax(axis=1)
    output = REFERENCE.copy()
    output[:2] = -output[:2]
    numbers = verdict(output, "int8", classes=True, labels=labels, top1=0.995).metrics["y"]
    assert numbers["top1"] == numbers["accuracy"] == pytest.approx(0.99)
    assert not verdict(output, "int8", classes=True, top1=0.995).passed


def test_a_missing_output_or_another_shape_is_refused():
    with pytest.raises(ValueError, match="no output named y"):
        judge({"z": REFERENCE}, {"y": REFERENCE}, Tolerance.of("fp32"), precision="fp32", reference_digest="r")
    with pytest.raises(ValueError, match="shape"):
        measure(REFERENCE[:5], REFERENCE, Tolerance.of("fp32"))


def test_the_digest_changes_with_tolerance_and_reference_only():
    one = verdict(REFERENCE)
    assert one.digest == verdict(REFERENCE * 2).digest
    assert one.digest != verdict(REFERENCE, rtol=0.5).digest
