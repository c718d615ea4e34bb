"""Joining windows: nothing doubled, nothing lost, no overlaps."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.decoding.stitch import Window, midpoint, stitch
from sorigil.types import Word


def word(text: str, start: float, end: float, confidence: float = 0.9) -> Word:
    return Word(text=text, start=start, end=end, confidence=confidence)


def test_words_in_the_overlap_are_not_doubled() -> None:
    words = (word("one", 1, 2), word("two", 8, 9), word("three", 11, 12), word("four", 15, 16))
    left = Window(core_start=0, core_end=10, words=words[:3])
    right = Window(core_start=10, core_end=20, words=words[1:])
    assert stitch([right, left]) == words


def test_a_midpoint_on_the_seam_belongs_to_the_later_window() -> None:
    left = Window(core_start=0, core_end=10, words=(word("left", 9.5, 10.5),))
    right = Window(core_start=10, core_end=20, words=(word("right", 9.5, 10.5),))
    assert [w.text for w in stitch([left, right])] == ["right"]


@pytest.mark.parametrize("shift", [-0.04, 0.04])
def test_a_word_placed_a_frame_apart_stays_exactly_once(shift: float) -> None:
    mine, theirs = word("seam", 9.8 - shift, 10.2 - shift, 0.5), word("seam", 9.8 + shift, 10.2 + shift, 0.8)
    left = Window(core_start=0, core_end=10, words=(mine,))
    right = Window(core_start=10, core_end=20, words=(theirs,))
    assert stitch([left, right]) == (theirs,)


def test_repeated_words_away_from_the_seam_stay() -> None:
    words = (word("no", 9.0, 9.3), word("no", 9.5, 9.8), word("no", 10.2, 10.5))
    left = Window(core_start=0, core_end=10, words=words)
    right = Window(core_start=10, core_end=20, words=words)
    assert stitch([left, right]) == words


def test_different_words_that_overlap_are_parted() -> None:
    left = Window(core_start=0, core_end=10, words=(word("a", 9.0, 10.4),))
    right = Window(core_start=10, core_end=20, words=(word("b", 9.7, 11.0),))
    first, second = stitch([left, right])
    assert first.end == second.start
    assert first.start < first.end and second.start < second.end


def test_overlapping_cores_are_refused() -> None:
    with pytest.raises(ValueError, match="cores overlap"):
        stitch([Window(core_start=0, core_end=10, words=()), Window(core_start=9, core_end=20, words=())])


@settings(deadline=None)
@given(
    gaps=st.lists(st.tuples(st.integers(0, 30), st.integers(4, 40)), max_size=40),
    core=st.integers(50, 300),
    margin=st.integers(45, 60),
)
def test_windows_of_one_truth_give_it_back(gaps: list[tuple[int, int]], core: int, margin: int) -> None:
    truth, now = [], 0
    for number, (gap, length) in enumerate(gaps):  # in hundredths of a second
        truth.append(word(f"w{number}", (now + gap) / 100, (now + gap + length) / 100))
        now += gap + length
    windows = []
    for start in range(0, max(now, 1), core):
        low, high = (start - margin) / 100, (start + core + margin) / 100
        heard = tuple(w for w in truth if w.start >= low and w.end <= high)
        windows.append(Window(core_start=start / 100, core_end=(start + core) / 100, words=heard))
    assert stitch(windows) == tuple(truth)


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 1), st.floats(0, 20), st.floats(0.02, 2), st.sampled_from("ab"), st.floats(0, 1)),
        max_size=12,
    )
)
def test_the_result_is_in_order_without_overlaps(rows: list[tuple[int, float, float, str, float]]) -> None:
    sides: list[list[Word]] = [[], []]
    for side, start, length, text, confidence in sorted(rows, key=lambda row: row[1]):
        if not sides[side] or sides[side][-1].end <= start:
            sides[side].append(word(text, start, start + length, confidence))
    windows = [Window(core_start=10.0 * s, core_end=10.0 * s + 10, words=tuple(sides[s])) for s in range(2)]
    for first, second in itertools.pairwise(stitch(windows)):
        assert first.end <= second.start
        assert first.start < first.end and second.start < second.end
        assert midpoint(first) <= midpoint(second)
