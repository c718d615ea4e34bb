"""The learning rate over a training."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.training.schedule import learning_rate_at, share_done


@given(st.floats(0, 1), st.floats(0, 0.9))
def test_the_rate_stays_between_zero_and_its_peak(share: float, warmup: float) -> None:
    assert 0 <= learning_rate_at(share, 2e-3, warmup) <= 2e-3 * (1 + 1e-12)


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine() -> None:
    assert learning_rate_at(0.05, 1.0, 0.1) == pytest.approx(0.5)
    assert learning_rate_at(0.1, 1.0, 0.1) == pytest.approx(1.0)
    assert learning_rate_at(0.1 + 0.9 / 4, 1.0, 0.1) == pytest.approx(0.5 * (1 + math.cos(math.pi / 4)))
    assert learning_rate_at(1.0, 1.0, 0.1) == pytest.approx(0.0)
    assert learning_rate_at(0.0, 1.0, 0.0) == pytest.approx(1.0)


def test_the_share_grows_through_epochs_of_different_lengths() -> None:
    shares = [share_done(epoch, step, steps, 3) for epoch, steps in enumerate((4, 2, 5)) for step in range(steps)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] < 1
