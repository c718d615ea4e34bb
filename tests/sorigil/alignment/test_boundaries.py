"""The stretches between words go to the words, or to silence."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.alignment.boundaries import settle
from sorigil.alignment.forced import AlignedWord
from sorigil.audio.segment import Loudness
from sorigil.types import Word

QUIET = 0.01


def loudness(*stretches: tuple[float, float]) -> Loudness:
    """Stretches of (seconds, power), in frames of 10 ms."""
    power = np.concatenate([np.full(round(seconds * 100), level) for seconds, level in stretches])
    return Loudness(power, power <= QUIET, 0.01)


def word(start: float, end: float) -> AlignedWord:
    middle = (start + end) / 2
    parts = [Word(text="a", start=start, end=middle - 0.01, confidence=1.0)]
    parts.append(Word(text="b", start=middle, end=end, confidence=1.0))
    return AlignedWord(text="ab", start=start, end=end, confidence=0.5, characters=tuple(parts))


def spans(words: tuple[AlignedWord, ...]) -> list[tuple[float, float]]:
    return [(pytest.approx(each.start), pytest.approx(each.end)) for each in words]


def test_words_reach_to_the_pauses_around_them() -> None:
    heard = loudness((0.3, 0), (0.5, 1), (0.3, 0), (0.05, 1), (0.2, 0), (0.4, 1), (0.3, 0))
    found = settle([word(0.4, 0.5), word(1.5, 1.6)], heard, 0.0, 2.05)
    assert spans(found) == [(0.3, 0.8), (1.35, 1.75)]


def test_words_without_a_pause_meet_at_the_quietest_moment() -> None:
    heard = loudness((0.5, 1), (0.05, 0), (0.2, 2), (0.02, 0.5), (0.4, 1))  # 50 ms of closure are no pause
    assert spans(settle([word(0.1, 0.6), word(0.9, 1.0)], heard, 0.0, 1.17)) == [(0.1, 0.755), (0.755, 1.0)]


def test_a_word_does_not_reach_over_everything_that_is_loud() -> None:
    heard = loudness((10, 1))
    heard.power[500] = 0.5
    assert spans(settle([word(2, 2.2), word(8, 8.1)], heard, 0.0, 10.0)) == [(2, 2.7), (7.5, 8.1)]


def test_characters_tile_their_word() -> None:
    (found,) = settle([word(0.4, 0.6)], loudness((0.2, 0), (0.6, 1), (0.2, 0)), 0.0, 1.0)
    first, second = found.characters
    assert (first.start, first.end, second.end) == (found.start, second.start, found.end)
    assert second.start == pytest.approx(0.5)


def test_a_stretch_is_not_left() -> None:
    """Another utterance speaks before and after."""
    heard = loudness((0.5, 0), (2, 1), (0.5, 0))
    assert spans(settle([word(1.5, 1.6)], heard, 1.4, 1.7)) == [(1.5, 1.6)]
    assert settle([], heard, 0.0, 3.0) == ()


@given(
    edges=st.lists(st.integers(0, 299), min_size=2, max_size=20, unique=True).map(sorted),
    levels=st.lists(st.sampled_from([0.0, 0.005, 0.5, 1.0]), min_size=300, max_size=300),
)
def test_words_stay_in_order_and_lose_nothing(edges: list[int], levels: list[float]) -> None:
    power = np.asarray(levels)
    words = [word(start / 100, end / 100) for start, end in zip(edges[::2], edges[1::2], strict=False)]
    found = settle(words, Loudness(power, power <= QUIET, 0.01), 0.0, 3.0)
    for before, after in zip(words, found, strict=True):
        assert 0.0 <= after.start <= before.start + 1e-9
        assert before.end - 1e-9 <= after.end <= 3.0 + 1e-9
    assert all(one.end <= two.start + 1e-9 for one, two in pairwise(found))
