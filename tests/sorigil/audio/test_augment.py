"""Waveform augmentation: reproducible, bounded, and each change does what it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio.augment import WaveAugment, augment, rng_for
from sorigil.audio.room import in_room, room_response

RATE = 16000
OFF = WaveAugment(speed_p=0, filter_p=0, gain_p=0, silence_p=0, noise_p=0)


def tone(num_samples: int = RATE) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * 500 * np.arange(num_samples) / RATE)).astype(np.float32)


def change(spec: WaveAugment, samples: np.ndarray | None = None, key: str = "k") -> np.ndarray:
    return augment(tone() if samples is None else samples, RATE, spec, rng_for(1, 0, key))


def rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))


def test_the_generator_depends_on_all_of_its_parts() -> None:
    draws = {rng_for(*parts).random() for parts in [(1, 0, "a"), (2, 0, "a"), (1, 1, "a"), (1, 0, "b"), (1, 0, "a", 1)]}
    assert len(draws) == 5
    assert rng_for(1, 0, "a").random() == rng_for(1, 0, "a", 0).random()
    assert rng_for(7, 3, "utterance").integers(1 << 30) == 374199332  # the same on every machine, for ever


def test_same_draws_same_samples_and_input_left_alone() -> None:
    samples = tone()
    first, second = change(WaveAugment(), samples), change(WaveAugment(), samples)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(samples, tone())
    other = change(WaveAugment(), samples, key="l")
    assert len(other) != len(first) or (other != first).any()


def test_all_off_changes_nothing() -> None:
    np.testing.assert_array_equal(change(OFF), tone())


@pytest.mark.parametrize("speed", [0.78, 1.0, 1.28])
def test_speed_changes_length_and_pitch(speed: float) -> None:
    changed = change(dataclasses.replace(OFF, speed=(speed, speed), speed_p=1))
    assert abs(len(changed) - RATE / speed) <= 1
    spectrum = np.abs(np.fft.rfft(changed * np.hanning(len(changed))))
    assert abs(np.argmax(spectrum) * RATE / len(changed) - 500 * speed) < 2


@pytest.mark.parametrize("snr_db", [3.0, 20.0, 35.0])
def test_noise_has_its_ratio(snr_db: float) -> None:
    changed = change(dataclasses.replace(OFF, noise_db=(snr_db, snr_db), noise_p=1))
    assert abs(20 * np.log10(rms(tone()) / rms(changed - tone())) - snr_db) < 0.1


def test_silence_is_put_around_and_gets_the_noise() -> None:
    spec = dataclasses.replace(OFF, silence=(0.1, 0.1), silence_p=1)
    changed = change(spec)
    assert len(changed) == RATE + 3200
    np.testing.assert_array_equal(changed[1600:-1600], tone())
    assert not changed[:1600].any() and not changed[-1600:].any()
    noisy = change(dataclasses.replace(spec, noise_db=(20.0, 20.0), noise_p=1))
    assert abs(20 * np.log10(rms(tone()) / rms(noisy - changed)) - 20) < 0.1  # of the speech, not of the silence


def test_the_filter_keeps_level_and_length() -> None:
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.05
    changed = change(dataclasses.replace(OFF, filter_p=1), noise)
    assert len(changed) == RATE and abs(rms(changed) / rms(noise) - 1) < 1e-3
    assert abs(np.corrcoef(changed, noise)[0, 1]) < 0.999


def test_tilt_changes_the_slope_and_keeps_level_and_length() -> None:
    noise = np.random.default_rng(3).normal(0, 0.1, RATE).astype(np.float32)
    slopes = []
    for number in range(20):
        changed = change(dataclasses.replace(OFF, tilt=0.8), noise, key=str(number))
        assert len(changed) == len(noise)
        assert rms(changed) == pytest.approx(rms(noise), rel=1e-3)
        power = np.abs(np.fft.rfft(changed)) ** 2
        slopes.append(10 * np.log10(power[6000:].mean() / power[:2000].mean()))
    assert min(slopes) < -3 and max(slopes) > 3


def test_gain() -> None:
    changed = change(dataclasses.replace(OFF, gain_db=(-6.0, -6.0), gain_p=1))
    np.testing.assert_allclose(changed, tone() * 10 ** (-6 / 20), rtol=1e-5)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 10_000), st.sampled_from([1.0, 0.0, 3.0]))
def test_any_length_stays_finite_and_within_full_scale(num_samples: int, seed: int, scale: float) -> None:
    samples = (np.random.default_rng(seed).standard_normal(num_samples) * scale).astype(np.float32)
    changed = augment(samples, RATE, WaveAugment(gain_db=(0, 12)), rng_for(seed, 0, "x"))
    assert changed.dtype == np.float32 and len(changed) >= 1 and np.isfinite(changed).all()
    assert np.abs(changed).max() <= 1 + 1e-6


@pytest.mark.parametrize(
    "wrong",
    [
        {"tilt": 1.0},
        {"tilt": -0.1},
        {"speed": (1.2, 0.8)},
        {"speed": (0.0, 1.0)},
        {"noise_p": 1.5},
        {"silence": (-1.0, 0.0)},
        {"filter": -0.1},
    ],
)
def test_wrong_values_are_named(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        WaveAugment(**wrong)


def test_cropping_takes_from_both_ends_and_never_more_than_half() -> None:
    samples = np.arange(1, 8001, dtype=np.float32) / 8000
    spec = dataclasses.replace(OFF, crop=(0.05, 0.1), crop_p=1.0)
    cropped = augment(samples, RATE, spec, np.random.default_rng(0))
    assert cropped[0] > samples[0] and cropped[-1] < samples[-1]
    assert len(samples) - len(cropped) <= 2 * 0.1 * RATE
    short = augment(
        samples[:100], RATE, dataclasses.replace(OFF, crop=(1.0, 1.0), crop_p=1.0), np.random.default_rng(0)
    )
    assert len(short) == 50


@pytest.mark.parametrize("semitones", [-3.0, 4.0])
def test_pitch_moves_and_tempo_stays(semitones: float) -> None:
    changed = change(dataclasses.replace(OFF, pitch=(semitones, semitones), pitch_p=1))
    assert len(changed) == RATE
    spectrum = np.abs(np.fft.rfft(changed * np.hanning(RATE)))
    assert abs(np.argmax(spectrum) - 500 * 2 ** (semitones / 12)) < 4


def test_a_clip_too_short_for_the_vocoder_is_left_alone() -> None:
    np.testing.assert_array_equal(change(dataclasses.replace(OFF, pitch_p=1), tone(500)), tone(500))


def test_a_room_rings_on_where_the_tone_has_ended() -> None:
    samples = tone()
    samples[RATE // 2 :] = 0
    changed = change(dataclasses.replace(OFF, room_p=1, room_t60=(0.4, 0.4), room_drr_db=(0.0, 0.0)), samples)
    assert len(changed) == RATE
    after = [rms(changed[RATE // 2 + start : RATE // 2 + start + 800]) for start in (0, 1600, 3200)]
    assert after[0] > 0.01 and after[0] > 2 * after[1] > 4 * after[2]  # 60 dB in 0.4 s are 15 dB in each tenth


def test_pitch_and_room_leave_the_draws_of_the_others_alone() -> None:
    """A room that is all direct sound changes nothing, and so shows the other changes as they were."""
    spec = WaveAugment(noise_p=1)
    dry = dataclasses.replace(spec, room_p=1, room_drr_db=(200.0, 200.0))
    np.testing.assert_allclose(change(dry), change(spec), atol=1e-5)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"pitch": (-30.0, 0.0)}, "pitch is"),
        ({"room_t60": (0.0, 0.5)}, "room_t60 is"),
        ({"room_p": 1.5}, r"room_p is 1\.5"),
    ],
)
def test_impossible_rooms_and_pitches_are_refused(values: dict[str, tuple[float, float]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        WaveAugment(**values)  # type: ignore[arg-type]


def test_recorded_rooms_are_drawn_and_heard() -> None:
    rooms = tuple(room_response(0.1, 0.0, 16_000, np.random.default_rng(seed)) for seed in range(3))
    samples = np.random.default_rng(9).standard_normal(4000).astype(np.float32) * np.float32(0.05)
    spec = dataclasses.replace(OFF, rooms="./rooms", rooms_hash="ab", room_p=1.0)
    heard = [in_room(samples, room) for room in rooms]
    seen = set()
    for key in map(str, range(30)):
        found = augment(samples, 16_000, spec, rng_for(0, 0, key), rooms)
        (number,) = (n for n, each in enumerate(heard) if np.array_equal(found, each))
        seen.add(number)
    assert seen == {0, 1, 2}


def test_recorded_rooms_must_be_given_and_asked_for() -> None:
    spec = WaveAugment(rooms="./rooms", room_p=0.5)
    with pytest.raises(ValueError, match=r"recorded rooms of \./rooms are to be heard, but none are given"):
        augment(np.ones(9, np.float32), 16_000, spec, rng_for(0, 0, "a"))
    with pytest.raises(ValueError, match=r"rooms is \./rooms but room_p is 0"):
        WaveAugment(rooms="./rooms")
