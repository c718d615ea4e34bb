"""Drift: distances against scipy and by hand, and what is beyond a limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from sorigil.drift import DriftSpec, Profile, compare, kolmogorov_smirnov, too_far, total_variation

_values = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


@given(one=_values, other=_values)
def test_the_distance_of_numbers_is_scipys(one: list[float], other: list[float]) -> None:
    with np.errstate(divide="ignore"):  # in its p-value, which is not looked at
        expected = ks_2samp(one, other, method="asymp").statistic
    assert kolmogorov_smirnov(np.array(one), np.array(other)) == pytest.approx(expected, abs=1e-12)


def test_the_distance_of_names() -> None:
    assert total_variation(np.array([1, 1]), np.array([2, 2])) == 0
    assert total_variation(np.array([3, 0]), np.array([0, 1])) == 1
    assert total_variation(np.array([1, 3, 0]), np.array([1, 0, 1])) == pytest.approx(0.75)


def profile(items: int, level: float, label: str) -> Profile:
    values = np.append(np.linspace(0, 1, 40) + level, np.nan)
    return Profile(
        amounts={"items": items, "speakers": 0},
        numbers={"seconds": values, "few": values[:5]},
        names={"label": np.array([40, 0] if label == "a" else [0, 40])},
    )


def test_a_report_says_what_changed_and_limits_say_what_is_too_far() -> None:
    found = compare(profile(100, 0.0, "a"), profile(160, 0.5, "b"))
    assert found["amounts"] == {
        "items": {"old": 100, "new": 160, "change": pytest.approx(0.6)}, "speakers": {"old": 0, "new": 0, "change": None},
    }  # fmt: skip
    assert set(found["shifts"]) == {"seconds", "label"}, "of five values nothing is said"
    assert found["shifts"]["seconds"] == {"shift": 0.5, "old": pytest.approx(0.5), "new": pytest.approx(1.0)}
    assert too_far(found, DriftSpec()) == []
    assert too_far(found, DriftSpec(max_change=0.5, max_shift=0.6)) == [
        "items went from 100 to 160 (+60 %)", "label shifted by 1.00",
    ]  # fmt: skip
    assert too_far(found, DriftSpec(max_shift=0.4))[0] == "seconds shifted by 0.50, median 0.5 to 1"


def test_limits_outside_their_range() -> None:
    with pytest.raises(ValueError, match=r"max_shift is 1.5; it must be above 0 and at most 1"):
        DriftSpec(max_shift=1.5)
    with pytest.raises(ValueError, match="max_change is 0; it must be above 0"):
        DriftSpec(max_change=0)
