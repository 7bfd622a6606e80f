"""Samples reach the engine in few launches, in its own dtypes, and come back in order."""

import numpy as np
import pytest

from orchestrator.engines.launches import join, raw, spread
from orchestrator.errors import ModelError


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 100, 1000])
def test_at_most_eight_launches_first_and_last_among_them(count):
    chosen = spread(count)
    assert len(chosen) == len(set(chosen)) == min(8, count)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    assert chosen == sorted(chosen)


def test_int64_becomes_int32_before_tensorrt_10_and_must_fit():
    values = np.array([[1], [2]], np.int64)
    (narrow,) = raw({"i": values}, int64_bindings=False)
    assert (narrow.dtype, len(narrow.content)) == ("int32", 8)
    (wide,) = raw({"i": values}, int64_bindings=True)
    assert (wide.dtype, len(wide.content)) == ("int64", 16)
    with pytest.raises(ModelError, match="does not fit"):
        raw({"i": values * 2**40}, int64_bindings=False)


def test_raw_files_are_little_endian_and_contiguous():
    array = np.arange(6, dtype=">f4").reshape(2, 3).T
    (tensor,) = raw({"x": array}, int64_bindings=True)
    back = np.frombuffer(tensor.content, "<f4").reshape(tensor.shape)
    np.testing.assert_array_equal(back, array)


def test_batched_launches_join_along_samples_others_stack():
    a, b = np.ones((2, 3)), np.zeros((1, 3))
    assert join([{"y": a}, {"y": b}], True)["y"].shape == (3, 3)
    assert join([{"y": a[0]}, {"y": b[0]}], False)["y"].shape == (2, 3)
    assert join([{"y": a}, {"y": b}], False)["y"].shape == (9,)
    assert join([{"y": np.float32(1)}, {"y": np.float32(2)}], True)["y"].shape == (2,)
