"""Warped features: other tempi, other voices, the same sounds in the same order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio.augment import rng_for
from sorigil.features.warp import FeatureWarp, warp


def ramps(frames: int, columns: int) -> np.ndarray:
    """Each value says where it was: frame number + 1000 × column number."""
    return (np.arange(frames)[:, None] + 1000 * np.arange(columns)[None]).astype(np.float32)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 10_000))
def test_any_size_keeps_its_columns_its_range_and_its_ends(frames: int, columns: int, seed: int) -> None:
    spec, rng = FeatureWarp(tempo=0.5, voice=0.5), np.random.default_rng(seed)
    given_TF = ramps(frames, columns)
    warped_TF = warp(given_TF, spec, rng)
    assert warped_TF.dtype == np.float32 and warped_TF.shape[1] == columns
    if frames == 0:
        assert len(warped_TF) == 0
        return
    assert np.exp(-0.5) * frames - 1 <= len(warped_TF) <= max(1, np.exp(0.5) * frames + 1)
    assert warped_TF.min() >= given_TF.min() and warped_TF.max() <= given_TF.max()
    assert (np.diff(warped_TF, axis=0) >= 0).all() and (np.diff(warped_TF, axis=1) >= 0).all()  # nothing out of order
    assert warped_TF[0, 0] == 0
    if len(warped_TF) > 1:
        np.testing.assert_allclose(warped_TF[-1, 0], frames - 1)


def test_nothing_asked_for_changes_nothing() -> None:
    given_TF = ramps(9, 5)
    np.testing.assert_array_equal(warp(given_TF, FeatureWarp(tempo=0, voice=0), rng_for(0, 0, "a")), given_TF)


def test_each_axis_is_stretched_by_its_own_factor() -> None:
    given_TF = ramps(101, 40)
    slower = warp(given_TF, FeatureWarp(tempo=0.4, voice=0), rng_for(0, 0, "a"))
    assert len(slower) != 101
    np.testing.assert_allclose(slower[:, 3], np.linspace(0, 100, len(slower)) + 3000, rtol=1e-5)
    moved = warp(given_TF, FeatureWarp(tempo=0, voice=0.4), rng_for(0, 0, "a"))
    places = moved[0] / 1000
    factor = places[1]
    assert factor != 1
    np.testing.assert_allclose(places, np.minimum(np.arange(40) * factor, 39), rtol=1e-4)


@pytest.mark.parametrize("wrong", [{"tempo": -0.1}, {"voice": 0.6}, {"tempo": float("nan")}])
def test_wrong_values_are_named(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is .*must be 0 to 0.5"):
        FeatureWarp(**wrong)
