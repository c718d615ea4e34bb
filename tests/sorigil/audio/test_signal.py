"""The measures against signals whose noise, pauses and bandwidth are known."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio.loudness import loudness
from sorigil.audio.signal import Signal, SignalMeter, bandwidth_hz, measure, silence_share, snr_db, speech_share

RATE = 16000
Floats = np.ndarray


def spoken(
    rng: np.random.Generator, seconds: float = 8.0, rate: int = RATE, share: float = 0.5
) -> tuple[Floats, Floats]:
    """Bursts of harmonics up to the Nyquist frequency with pauses between, and where they are."""
    time = np.arange(round(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * 117 * k * time + rng.uniform(0, 6)) / k for k in range(1, int(rate / 2 / 117)))
    on = (time % 2.0) < 2.0 * share
    return 0.2 * np.asarray(voice) * on, on


def with_noise(rng: np.random.Generator, speech: Floats, db: float) -> Floats:
    """White noise `db` below the mean power of the whole, as mixing tools do."""
    level = np.sqrt(np.mean(speech**2)) * 10 ** (-db / 20)
    return (speech + level * rng.standard_normal(len(speech))).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("db", [0, 5, 10, 20, 30, 50])
def test_the_snr_of_speech_in_noise(db: int, rate: int) -> None:
    rng = np.random.default_rng(db)
    found = measure(with_noise(rng, spoken(rng, rate=rate)[0], db), rate).snr_db
    assert found == pytest.approx(db, abs=1.0)


@pytest.mark.parametrize("db", [10, 20, 30, 50])
@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_the_speech_share_by_energy(db: int, share: float) -> None:
    rng = np.random.default_rng(3)
    speech, _ = spoken(rng, share=share)
    expected = share + 0.2 / 2.0 if share < 0.75 else share + 0.1  # each burst of two seconds hangs on for 200 ms
    assert measure(with_noise(rng, speech, db), RATE).speech_share == pytest.approx(expected, abs=0.03)


def test_silence_is_what_is_far_below_the_speech() -> None:
    rng = np.random.default_rng(0)
    speech, on = spoken(rng)
    assert measure(with_noise(rng, speech, 50), RATE).silence_share == pytest.approx(np.mean(~on), abs=0.02)
    assert measure(with_noise(rng, speech, 20), RATE).silence_share == 0.0, "a noisy pause is not silent"


def test_noise_alone_is_neither_speech_nor_silence() -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(5 * RATE)).astype(np.float32)
    found = measure(noise, RATE)
    assert found.snr_db is not None and found.snr_db < 0
    assert found.speech_share < 0.05 and found.silence_share == 0.0


def test_digital_silence_is_not_taken_for_the_noise() -> None:
    rng = np.random.default_rng(1)
    speech = with_noise(rng, spoken(rng)[0], 15)
    padded = np.concatenate([np.zeros(4 * RATE, np.float32), speech])
    assert measure(padded, RATE).snr_db == pytest.approx(15, abs=1.0)
    assert measure(padded, RATE).silence_share == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize("gain", [0.01, 0.1, 3.0])
def test_the_level_changes_nothing_but_the_loudness(gain: float) -> None:
    rng = np.random.default_rng(2)
    samples = with_noise(rng, spoken(rng)[0], 20)
    one, other = measure(samples, RATE), measure(samples * np.float32(gain) + np.float32(0.05), RATE)
    assert other.lufs == pytest.approx((one.lufs or 0) + 20 * np.log10(gain), abs=0.01)
    assert other.snr_db == pytest.approx(one.snr_db, abs=0.1)
    assert (other.silence_share, other.bandwidth_hz) == (one.silence_share, one.bandwidth_hz)
    assert other.speech_share == pytest.approx(one.speech_share, abs=0.01)


@pytest.mark.parametrize("offset", [0.001, 0.03, 0.5])
def test_a_constant_offset_is_not_sound(offset: float) -> None:
    rng = np.random.default_rng(4)
    plain = np.float32(0.05) * with_noise(rng, spoken(rng)[0], 20)
    expected, found = measure(plain, 16000), measure(plain + np.float32(offset), 16000)
    assert found.snr_db == pytest.approx(expected.snr_db, abs=0.01)
    assert (found.silence_share, found.speech_share) == (expected.silence_share, expected.speech_share)
    assert found.bandwidth_hz == expected.bandwidth_hz


@pytest.mark.parametrize("stored", [16000, 22050, 44100, 48000])
@pytest.mark.parametrize("true", [8000, 11025, 16000])
def test_upsampled_audio_is_found(stored: int, true: int) -> None:
    rng = np.random.default_rng(5)
    speech = with_noise(rng, spoken(rng, rate=true)[0], 40)
    raised = soxr.resample(speech, true, stored)
    as_stored = (np.rint(raised * 32767) / 32768).astype(np.float32)
    found = measure(as_stored, stored).bandwidth_hz
    assert found == pytest.approx(min(true, stored) / 2, rel=0.06)


def test_a_tone_ends_where_it_is() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE).astype(np.float32)
    assert measure(tone, RATE).bandwidth_hz == pytest.approx(1050, abs=100)


@pytest.mark.parametrize("length", [1, 2, 319, 320, 800, 1599, 1600, 3199, 6400])
def test_short_clips(length: int) -> None:
    noise = (0.1 * np.random.default_rng(length).standard_normal(length)).astype(np.float32)
    found = measure(noise, RATE)
    assert (found.snr_db is None) == (length < 3200)
    assert 0 <= found.silence_share <= 1 and 0 <= found.speech_share <= 1
    assert found.lufs == loudness(noise, RATE)
    assert length == 1 or found.bandwidth_hz is not None


def test_nothing_is_to_be_said_of_silence() -> None:
    found = measure(np.full(RATE, 0.25, np.float32), RATE)
    assert found == Signal(lufs=None, snr_db=None, silence_share=1.0, speech_share=0.0, bandwidth_hz=None)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 40_000), max_size=6), st.sampled_from([1000, 11025, 16000]))
def test_blocks_of_any_size_give_the_same_measures(cuts: list[int], rate: int) -> None:
    rng = np.random.default_rng(rate)
    samples = with_noise(rng, spoken(rng, 2.3, rate)[0], 15)
    meter = SignalMeter(rate)
    for piece in np.split(samples, sorted(min(cut, len(samples)) for cut in cuts)):
        meter.add(piece)
    one, other = meter.result(), measure(samples, rate)
    for name in Signal.__dataclass_fields__:
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-4), name


def test_the_estimates_by_hand() -> None:
    powers = np.array([1e-4] * 20 + [1e-2] * 80)  # a fifth of noise
    mean = np.mean(powers)
    assert snr_db(powers) == pytest.approx(10 * np.log10((mean - 1e-4) / 1e-4))
    assert snr_db(powers[:9]) is None and snr_db(np.full(50, 1e-3)) == -20.0
    assert silence_share(np.array([1e-9, 1e-6, 1e-2, 1e-2])) == 0.5
    assert speech_share(np.array([1e-2] * 10 + [1e-6] * 30)) == 0.5, "ten frames, and ten they hang on for"
    spectrum = np.r_[np.full(81, 1.0), np.full(80, 1e-6)]  # of 16 kHz in steps of 50 Hz
    assert bandwidth_hz(spectrum, RATE) == pytest.approx(4100)
