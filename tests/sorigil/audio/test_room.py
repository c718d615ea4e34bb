"""Made-up rooms against what acoustics says of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio.room import in_room, recorded_response, room_response

RATE = 16000


def decay_seconds(response: np.ndarray) -> float:
    """The reverberation time from the slope between -5 and -25 dB of the remaining energy (Schroeder 1965)."""
    left = np.cumsum(np.square(response[::-1].astype(np.float64)))[::-1]
    level = 10 * np.log10(left / left[0])
    inside = np.flatnonzero((level < -5) & (level > -25))
    slope = np.polyfit(inside / RATE, level[inside], 1)[0]
    return float(-60 / slope)


@pytest.mark.parametrize("t60", [0.2, 0.5, 1.0])
def test_the_tail_dies_away_in_its_time(t60: float) -> None:
    response = room_response(t60, 0.0, RATE, np.random.default_rng(0))
    assert len(response) == round(t60 * RATE)
    assert decay_seconds(response[round(0.002 * RATE) :]) == pytest.approx(t60, rel=0.1)


@settings(max_examples=30)
@given(st.floats(0.01, 2.0), st.floats(-10, 30), st.integers(0, 99))
def test_direct_sound_is_first_and_as_much_louder_as_asked(t60: float, drr_db: float, seed: int) -> None:
    response = room_response(t60, drr_db, RATE, np.random.default_rng(seed)).astype(np.float64)
    assert response[0] == 1 and not response[1 : round(0.002 * RATE)].any()
    assert 10 * np.log10(1 / np.sum(response[1:] ** 2)) == pytest.approx(drr_db, abs=0.01)


def test_a_room_keeps_place_length_and_level_and_is_a_convolution() -> None:
    rng = np.random.default_rng(1)
    samples = rng.standard_normal(3000).astype(np.float32)
    response = room_response(0.1, 3.0, RATE, rng)
    heard = in_room(samples, response)
    assert len(heard) == len(samples) and heard.dtype == np.float32
    assert np.mean(heard**2) == pytest.approx(np.mean(samples**2), rel=1e-4)
    brute = np.asarray(
        [np.dot(samples[max(0, n - len(response) + 1) : n + 1][::-1], response[: n + 1]) for n in range(3000)]
    )
    np.testing.assert_allclose(heard / heard[0], brute / brute[0], atol=1e-3)


def test_silence_and_nothing_stay_what_they_are() -> None:
    response = room_response(0.1, 3.0, RATE, np.random.default_rng(0))
    assert not in_room(np.zeros(100, np.float32), response).any()


def test_of_a_recording_the_heard_part_remains() -> None:
    made = room_response(0.3, 0.0, RATE, np.random.default_rng(2)).astype(np.float64)
    noise = np.random.default_rng(3).standard_normal(RATE) * 1e-6
    noise[200 : 200 + len(made)] += 0.25 * made
    found = recorded_response(noise.astype(np.float32), RATE)
    np.testing.assert_allclose(found, made[: len(found)], atol=1e-4)
    energy = np.square(made)
    assert 1e-7 < energy[len(found) :].sum() / energy.sum() < 1e-5  # the rest is 60 dB below
    np.testing.assert_array_equal(recorded_response(-noise.astype(np.float32), RATE), -found)
    np.testing.assert_array_equal(recorded_response(np.array([0, 0, 0.5, 0], np.float32), RATE), [1.0])


@pytest.mark.parametrize(
    ("samples", "said"),
    [([], "is silent"), ([0.0] * 5, "is silent"), ([0.0, np.nan], "no numbers"), ([np.inf], "no num")],
)
def test_what_is_no_response_is_a_sentence(samples: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        recorded_response(np.array(samples, np.float32), RATE)
