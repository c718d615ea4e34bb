"""Windows over long recordings: they tile, keep their limits, and cut where it is quiet."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.audio.segment import QuietFinder, Window

RATE = 8000


def cut_at_quiet(samples: np.ndarray, rate: int, **limits: float) -> list[Window]:
    finder = QuietFinder(rate)
    finder.add(samples)
    return finder.windows(**limits)


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(int(seconds * RATE)).astype(np.float32) * 0.2


def pause(seconds: float) -> np.ndarray:
    return np.random.default_rng(9).standard_normal(int(seconds * RATE)).astype(np.float32) * 0.001


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.0, 9.0), st.floats(0.0, 1.0)), max_size=8),
    st.sampled_from([(12.0, 3.0, 3.0), (2.0, 0.5, 1.0), (5.0, 0.0, 5.0)]),
)
def test_cores_tile_the_recording(stretches: list[tuple[float, float]], limits: tuple[float, float, float]) -> None:
    samples = np.concatenate([np.zeros(0, np.float32), *(part for a, b in stretches for part in (speech(a), pause(b)))])
    longest, shortest, search = limits
    windows = cut_at_quiet(samples, RATE, max_seconds=longest, min_seconds=shortest, search_seconds=search)
    edges = [0, *(window.core_end for window in windows)]
    assert [window.core_start for window in windows] == edges[:-1] and edges[-1] == len(samples)
    for window in windows:
        assert 0 <= window.start <= window.core_start < window.core_end <= window.end <= len(samples)
        assert window.core_end - window.core_start <= longest * RATE
        assert window.core_start - window.start <= RATE / 2 and window.end - window.core_end <= RATE / 2


def test_it_cuts_in_the_pauses_without_overlap() -> None:
    samples = np.concatenate([speech(5), pause(0.5), speech(4), pause(0.6), speech(6)])
    windows = cut_at_quiet(samples, RATE)
    assert [(window.start, window.end) for window in windows] == [
        (window.core_start, window.core_end) for window in windows
    ]
    cuts = [window.core_end / RATE for window in windows[:-1]]
    assert len(cuts) == 2 and abs(cuts[0] - 5.25) < 0.1 and abs(cuts[1] - 9.8) < 0.1


def test_a_short_gap_serves_when_there_is_no_pause() -> None:
    samples = np.concatenate([speech(10.3), pause(0.1), speech(8)])
    first, second = cut_at_quiet(samples, RATE)
    assert abs(first.core_end / RATE - 10.35) < 0.06 and first.end == first.core_end == second.start


def test_neighbours_overlap_where_nothing_is_quiet() -> None:
    samples = speech(30)
    windows = cut_at_quiet(samples, RATE, overlap_seconds=0.5)
    assert len(windows) >= 3
    for left, right in pairwise(windows):
        assert left.end - left.core_end == right.core_start - right.start == RATE // 2


def test_a_steady_hum_is_not_taken_for_quiet() -> None:
    hum = (0.3 * np.sin(2 * np.pi * 100 * np.arange(RATE * 20) / RATE)).astype(np.float32)
    first, second = cut_at_quiet(hum, RATE)
    assert first.end > first.core_end and second.start < second.core_start


def test_what_fits_is_one_window() -> None:
    (window,) = cut_at_quiet(speech(2.5), RATE)
    assert (window.start, window.end, window.core_start, window.core_end) == (0, 20000, 0, 20000)
    assert cut_at_quiet(np.zeros(0, np.float32), RATE) == []


def test_silence_alone_is_tiled_too() -> None:
    windows = cut_at_quiet(np.zeros(RATE * 40, np.float32), RATE)
    assert windows[-1].core_end == RATE * 40


@pytest.mark.parametrize("wrong", [{"min_seconds": 12.0}, {"search_seconds": 0.0}, {"search_seconds": 13.0}])
def test_limits_that_contradict(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        cut_at_quiet(speech(1), RATE, **wrong)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 60_000), max_size=6), st.integers(0, 60_000))
def test_blocks_of_any_size_give_the_same_windows(cuts: list[int], length: int) -> None:
    samples = np.concatenate([speech(2.1), pause(0.5), speech(3.3), pause(0.4), speech(1.2)])[:length]
    options = {
        "max_seconds": 3.0,
        "min_seconds": 0.5,
        "search_seconds": 1.0,
        "pause_seconds": 0.3,
        "overlap_seconds": 0.2,
    }
    finder = QuietFinder(RATE)
    for block in np.split(samples, sorted(min(cut, length) for cut in cuts)):
        finder.add(block)
    assert finder.windows(**options) == cut_at_quiet(samples, RATE, **options)
