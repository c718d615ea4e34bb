"""Loudness and true peak against pyloudnorm, the standard's own numbers, and formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio.loudness import LoudnessMeter, TruePeakMeter, k_weighting, loudness, true_peak

Floats = np.ndarray


def sine(hertz: float, level_db: float = 0.0, seconds: float = 3.0, rate: int = 48000, phase: float = 0.0) -> Floats:
    time = np.arange(round(seconds * rate)) / rate
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * hertz * time + phase)).astype(np.float32)


def speechlike(seed: int, seconds: float, rate: int) -> Floats:
    """Coloured noise that comes and goes."""
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.standard_normal(round(seconds * rate)), np.ones(rate // 2000), mode="same")
    bursts = np.repeat(rng.choice([0.001, 0.5, 1.0], math.ceil(seconds / 0.2)), round(0.2 * rate))[: len(noise)]
    return (0.1 * noise * bursts / noise.std()).astype(np.float32)


def test_the_filters_are_those_of_the_standard() -> None:
    """ITU-R BS.1770-4, tables 1 and 2, at 48 kHz."""
    (b, a), (d, c) = k_weighting(48000)
    np.testing.assert_allclose(b, [1.53512485958697, -2.69169618940638, 1.19839281085285], rtol=1e-9)
    np.testing.assert_allclose(a, [1, -1.69065929318241, 0.73248077421585], rtol=1e-9)
    np.testing.assert_allclose(d, [1, -2, 1])
    np.testing.assert_allclose(c, [1, -1.99004745483398, 0.99007225036621], rtol=1e-9)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("level", [0.0, -23.0, -50.0])
def test_a_full_scale_sine_of_997_hz_reads_3_01_below(rate: int, level: float) -> None:
    assert loudness(sine(997.0, level, rate=rate), rate) == pytest.approx(-3.01 + level, abs=0.05)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
@pytest.mark.parametrize("seed", range(4))
def test_loudness_is_pyloudnorms(rate: int, seed: int) -> None:
    pyloudnorm = pytest.importorskip("pyloudnorm")
    samples = speechlike(seed, 7.3, rate)
    expected = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(samples)
    assert loudness(samples, rate) == pytest.approx(expected, abs=0.05)


def test_the_gates_leave_pauses_out() -> None:
    speech = sine(997.0, -20.0)
    quiet = sine(997.0, -45.0, seconds=30.0)  # above -70 LUFS but more than 10 LU below the mean
    for rest in (quiet, np.zeros(480_000, np.float32)):  # blocks that lie in both count in part
        assert loudness(np.concatenate([speech, rest]), 48000) == pytest.approx(-23.01, abs=0.25)


def test_an_offset_is_not_heard() -> None:
    samples = speechlike(1, 3.0, 16000)
    assert loudness(samples + np.float32(0.3), 16000) == pytest.approx(loudness(samples, 16000), abs=1e-3)


@pytest.mark.parametrize("samples", [np.zeros(16000), np.full(16000, 0.5), np.zeros(100), np.zeros(0), [1e-5]])
def test_what_is_not_loud_enough_has_no_loudness(samples: Floats) -> None:
    assert loudness(np.asarray(samples, np.float32), 16000) is None


@pytest.mark.parametrize("seconds", [0.399, 0.25, 0.1, 0.05])
def test_a_short_clip_counts_as_one_block(seconds: float) -> None:
    assert loudness(sine(1000.0, -10.0, seconds, 16000), 16000) == pytest.approx(-13.0, abs=0.1)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 9000), max_size=8), st.integers(0, 3), st.sampled_from([8000, 22050]))
def test_blocks_of_any_size_give_the_same(cuts: list[int], seed: int, rate: int) -> None:
    samples = speechlike(seed, 1.1, rate)
    meter, peak = LoudnessMeter(rate), TruePeakMeter(rate)
    for piece in np.split(samples, sorted(min(cut, len(samples)) for cut in cuts)):
        meter.add(piece)
        peak.add(piece)
    assert meter.lufs() == pytest.approx(loudness(samples, rate), abs=1e-4)
    assert peak.peak() == pytest.approx(true_peak(samples, rate), rel=1e-6)


def test_the_true_peak_is_found_between_the_samples() -> None:
    """A quarter of the rate, at 45°: every sample is 0.707 though the wave reaches 1 (the standard's own example)."""
    fade = np.minimum(1, np.arange(24000) / 2000).astype(np.float32)
    samples = sine(12000.0, 0.0, 0.5, phase=math.pi / 4) * fade * fade[::-1]
    assert np.abs(samples).max() == pytest.approx(0.7071, abs=1e-3)
    assert true_peak(samples, 48000) == pytest.approx(1.0, abs=0.005)
    assert true_peak(samples, 48000) == pytest.approx(np.abs(soxr.resample(samples, 48000, 192000)).max(), rel=1e-3)
