"""Samples reach the engine in few launches, in its own dtypes, and come back in order."""

import numpy as np
import pytest

from orchestrator.engines.launches import cut, join
from orchestrator.errors import ModelError
from orchestrator.models.spec import Binding, Variant


def dynamic(low=1, high=64):
    return Variant(high, (Binding("x", "float32", (-1, 4), (low, 4), (low, 4), (high, 4)),))


def static(batch):
    return Variant(batch, (Binding("x", "float32", (batch, 4)),))


def through(launches, batched=True):
    """An engine that gives its input back, doubled."""
    outputs = []
    for launch in launches:
        (tensor,) = launch.inputs
        outputs.append({"y": 2 * np.frombuffer(tensor.content, tensor.dtype).reshape(tensor.shape)})
    return join(launches, outputs, batched)["y"]


@pytest.mark.parametrize(
    ("variant", "count", "launches"), [(dynamic(), 360, 6), (static(60), 360, 6), (static(50), 360, 8)]
)
def test_all_samples_come_back_in_order(variant, count, launches):
    x = np.arange(count * 4, dtype=np.float32).reshape(count, 4)
    pieces = cut({"x": x}, variant, int64_bindings=False)
    assert len(pieces) == launches
    np.testing.assert_array_equal(through(pieces), 2 * x)


def test_never_more_than_eight_launches_and_then_evenly_spaced():
    x = np.arange(400, dtype=np.float32).reshape(100, 4)
    pieces = cut({"x": x}, static(1), int64_bindings=False)
    chosen = [s for piece in pieces for s in piece.samples]
    assert (len(pieces), chosen[0], chosen[-1]) == (8, 0, 99)
    np.testing.assert_array_equal(through(pieces), 2 * x[chosen])


def test_a_static_batch_is_padded_and_the_padding_dropped():
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    pieces = cut({"x": x}, static(4), int64_bindings=False)
    assert [p.inputs[0].shape for p in pieces] == [(4, 4), (4, 4)]
    np.testing.assert_array_equal(through(pieces), 2 * x)


def test_without_a_batch_each_sample_is_a_launch():
    variant = Variant(1, (Binding("x", "float32", (4,)), Binding("z", "float32", (2, 2))))
    arrays = {"x": np.ones((3, 4), np.float32), "z": np.ones((3, 2, 2), np.float32)}
    pieces = cut(arrays, variant, int64_bindings=True)
    assert [t.shape for t in pieces[0].inputs] == [(4,), (2, 2)]
    assert len(pieces) == 3


def test_int64_becomes_int32_before_tensorrt_10_and_must_fit():
    variant = Variant(2, (Binding("i", "int64", (2, 1)),))
    values = np.array([[1], [2]], np.int64)
    assert cut({"i": values}, variant, int64_bindings=False)[0].inputs[0].dtype == "int32"
    assert len(cut({"i": values}, variant, int64_bindings=True)[0].inputs[0].content) == 16
    with pytest.raises(ModelError, match="does not fit"):
        cut({"i": values * 2**40}, variant, int64_bindings=False)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({}, "no values for input 'x'"),
        ({"x": np.ones((3, 5))}, "has shape"),
        ({"x": np.ones((0, 4))}, "no samples"),
    ],
)
def test_wrong_inputs_are_named(arrays, what):
    with pytest.raises(ModelError, match=what):
        cut(arrays, static(2), int64_bindings=True)
