"""float16 to the bit as numpy makes it."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from sorigil.features.half import to_half


def assert_as_numpy(values: NDArray[np.float32]) -> None:
    with np.errstate(over="ignore"):
        expected, found = values.astype(np.float16), to_half(values)
    assert found.dtype == np.float16 and found.shape == values.shape
    np.testing.assert_array_equal(found.view(np.uint16), expected.view(np.uint16))


def test_every_float16_and_what_lies_between_two() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    bits = every.view(np.uint32)
    for step in (-0x1001, -0x1000, -0xFFF, -1, 0, 1, 0xFFF, 0x1000, 0x1001):  # half a unit is 0x1000
        assert_as_numpy((bits + np.uint32(step % (1 << 32))).view(np.float32))


def test_a_million_patterns_of_bits() -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 1_000_000, dtype=np.uint32)
    assert_as_numpy(bits.view(np.float32))


@given(arrays(np.float32, array_shapes(max_dims=2, min_side=0), elements=st.floats(width=32)))
def test_any_shape(values: NDArray[np.float32]) -> None:
    assert_as_numpy(values)
    assert_as_numpy(values.T)
