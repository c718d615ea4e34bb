"""Peak, RMS, clipping and mean against numpy in double precision, however the samples come."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sorigil.audio.spans import mix
from sorigil.audio.statistics import Statistics
from sorigil.errors import AudioError


def recording(seed: int, num_samples: int, channels: int) -> NDArray[np.float32]:
    """Noise of 16 bits with an offset, as any decoder brings it."""
    steps = np.random.default_rng(seed).integers(-20_000, 32_768, (num_samples, channels))
    return (steps / 32_768).astype(np.float32)


def added(samples: NDArray[np.float32], cuts: list[int], *, exact_mean: bool = False) -> dict[str, float]:
    statistics = Statistics(exact_mean=exact_mean)
    for block in np.split(samples, sorted(cut % (len(samples) + 1) for cut in cuts)):
        statistics.add(mix(block), block, mix(block))
    return statistics.facts(-math.inf)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 16), st.integers(1, 3000), st.integers(1, 3), st.lists(st.integers(0, 3000), max_size=3))
def test_facts_are_those_of_double_precision(seed: int, num_samples: int, channels: int, cuts: list[int]) -> None:
    samples = recording(seed, num_samples, channels)
    mono = mix(samples).astype(np.float64)
    facts = added(samples, cuts)
    assert facts["peak"] == np.abs(mono).max()
    assert facts["rms"] == pytest.approx(np.sqrt(np.mean(mono**2)), rel=2e-7)
    assert facts["clipped_share"] == np.mean(np.abs(samples) >= 0.999)
    if channels < 3:  # what 16 bits hold is summed without rounding
        assert facts["dc"] == mono.sum() / num_samples
    assert facts["dc"] == pytest.approx(mono.mean(), abs=1e-7)


def test_an_exact_mean_is_the_same_in_any_blocks() -> None:
    samples = (np.random.default_rng(4).standard_normal((5000, 1)) * 0.1 + 0.2).astype(np.float32)
    means = {np.float32(added(samples, cuts, exact_mean=True)["dc"]) for cuts in ([], [1], [700, 2999], [4000, 4001])}
    assert means == {np.float32(samples.mean(dtype=np.float64))}


def test_samples_far_beyond_full_scale_do_not_overflow() -> None:
    facts = added(np.full((1000, 1), 1e38, np.float32), [])
    assert (facts["peak"], facts["rms"], facts["dc"]) == pytest.approx((1e38, 1e38, 1e38), rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [3, 700, 999])
def test_what_is_not_finite_is_counted(bad: float, place: int) -> None:
    samples = recording(1, 1000, 2)
    samples[place, 1] = bad
    with pytest.raises(AudioError, match="1 samples are NaN"):
        added(samples, [])


def test_what_is_not_finite_in_the_margin_counts_too() -> None:
    samples = recording(1, 1000, 1)
    samples[900] = np.nan
    statistics = Statistics()
    statistics.add(samples[:500, 0], samples[:500], samples[:, 0])
    with pytest.raises(AudioError, match="1 samples are NaN"):
        statistics.facts(-80.0)
