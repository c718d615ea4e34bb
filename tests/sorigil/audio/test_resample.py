"""Another rate: the length scales, what fits below half of both rates stays, what does not is gone."""

from __future__ import annotations

import numpy as np
import pytest

from sorigil.audio.resample import resample


def tone(hertz: float, rate: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)).astype(np.float32)


@pytest.mark.parametrize(("rate", "wanted"), [(16_000, 8000), (8000, 16_000), (44_100, 16_000), (8000, 8000)])
def test_a_tone_stays(rate: int, wanted: int) -> None:
    found = resample(tone(1000, rate), rate, wanted)
    assert found.dtype == np.float32 and len(found) == wanted
    inside = slice(wanted // 10, -wanted // 10)
    np.testing.assert_allclose(found[inside], tone(1000, wanted)[inside], atol=1e-3)


def test_what_lies_above_the_new_band_is_gone() -> None:
    assert np.abs(resample(tone(6000, 16_000), 16_000, 8000)[800:-800]).max() < 1e-3


def test_the_band_that_was_not_there_stays_empty() -> None:
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    power = np.abs(np.fft.rfft(resample(noise, 8000, 16_000) * np.hanning(16_000))) ** 2
    assert power[4400:].sum() < 1e-6 * power.sum()
