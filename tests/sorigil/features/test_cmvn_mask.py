"""Normalisation statistics and SpecAugment's masks."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.features.cmvn import GlobalStats, utterance_cmvn
from sorigil.features.mask import FeatureMask, mask


def features(frames: int, columns: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((frames, columns)) * 7 - 40).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(0, 1000))
def test_merged_statistics_equal_the_whole(lengths: list[int], seed: int) -> None:
    parts = [features(length, seed=seed + index) for index, length in enumerate(lengths)]
    whole = np.concatenate(parts).astype(np.float64)
    merged = GlobalStats.merge_all(GlobalStats.of(part) for part in parts)
    assert merged.count == len(whole)
    if len(whole):
        np.testing.assert_allclose(merged.mean, whole.mean(axis=0), rtol=1e-10)
        np.testing.assert_allclose(merged.m2 / len(whole), whole.var(axis=0), rtol=1e-8, atol=1e-10)


def test_merging_keeps_precision_far_from_zero() -> None:
    values = (1e6 + np.random.default_rng(1).standard_normal((4000, 1))).astype(np.float64)
    merged = GlobalStats.merge_all(GlobalStats.of(part) for part in np.split(values, 40))
    np.testing.assert_allclose(merged.deviation, values.std(axis=0), rtol=1e-6)


def test_global_statistics_normalise_the_set_they_come_from() -> None:
    parts = [features(50, seed=seed) for seed in range(4)]
    stats = GlobalStats.merge_all(map(GlobalStats.of, parts))
    normalised = np.concatenate([stats.apply(part) for part in parts])
    assert normalised.dtype == np.float32
    np.testing.assert_allclose(normalised.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.std(axis=0), 1, rtol=1e-5)


def test_statistics_survive_json() -> None:
    stats = GlobalStats.of(features(9))
    again = GlobalStats.from_json(json.loads(json.dumps(stats.to_json())))
    assert again.count == stats.count
    np.testing.assert_array_equal(again.mean, stats.mean)
    np.testing.assert_array_equal(again.m2, stats.m2)


def test_utterance_normalisation() -> None:
    normalised = utterance_cmvn(features(200).astype(np.float16))
    np.testing.assert_allclose(normalised.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.std(axis=0), 1, rtol=1e-4)
    centred = utterance_cmvn(features(200), variance=False)
    np.testing.assert_allclose(centred.std(axis=0), features(200).std(axis=0), rtol=1e-5)


def test_constant_columns_and_short_utterances_stay_finite() -> None:
    np.testing.assert_array_equal(utterance_cmvn(np.full((9, 2), -100, np.float32)), 0)
    np.testing.assert_array_equal(utterance_cmvn(features(1)), 0)
    assert utterance_cmvn(features(0)).shape == (0, 5)
    with pytest.raises(ValueError, match="at least one"):
        GlobalStats.merge_all([])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60), st.integers(1, 12), st.integers(0, 500))
def test_masks_stay_within_their_limits(frames: int, columns: int, seed: int) -> None:
    plain = features(frames, columns, seed)
    spec = FeatureMask(time_masks=1, time_width=20, time_share=0.5, freq_masks=0)
    masked = mask(plain, spec, np.random.default_rng(seed))
    changed = np.flatnonzero((masked != plain).any(axis=1))
    assert masked.shape == plain.shape and len(changed) <= min(20, frames // 2)
    if len(changed):
        assert changed[-1] - changed[0] + 1 == len(changed)  # one stretch
        np.testing.assert_allclose(masked[changed], np.tile(plain.mean(axis=0), (len(changed), 1)), rtol=1e-4)


def test_masks_are_drawn_from_the_generator_and_do_occur() -> None:
    plain = features(100, 40)
    spec = FeatureMask()
    first, again, other = (mask(plain, spec, np.random.default_rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != plain).any() and (first != other).any()
    assert (plain == features(100, 40)).all()  # the input is left alone


def test_frequency_masks_cover_whole_columns() -> None:
    plain = features(100, 40)
    spec = FeatureMask(time_masks=0, freq_masks=1, freq_width=39)
    masked = mask(plain, spec, np.random.default_rng(0))
    changed = (masked != plain).any(axis=0)
    assert changed.any() and (masked[:, changed].std(axis=0) < 1e-4).all()


@pytest.mark.parametrize("wrong", [{"time_masks": -1}, {"freq_width": -2}, {"time_share": 1.5}])
def test_wrong_values_are_named(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FeatureMask(**wrong)
