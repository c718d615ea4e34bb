"""Two systems side by side: which is said to be better, and what changed between them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.metrics.comparison import COUNTERS, changes, compare, words_changed
from sorigil.metrics.errors import word_errors

WORDS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=6).map(" ".join)


def spoilt(references: list[str], share: float, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [
        " ".join("x" if generator.random() < share else word for word in reference.split()) for reference in references
    ]


@pytest.mark.parametrize("metric", COUNTERS)
def test_the_better_one_is_named_whichever_side_it_stands_on(metric: str) -> None:
    references = ["one two three four five six"] * 80
    good, bad = spoilt(references, 0.1, 1), spoilt(references, 0.3, 2)
    forth, back = compare(metric, references, bad, good), compare(metric, references, good, bad)
    assert (forth.better, back.better) == ("b", "a")
    assert forth.delta.value == pytest.approx(forth.b - forth.a) == pytest.approx(-back.delta.value)
    assert forth.by_speaker is None


def test_a_rare_class_weighs_as_much_as_a_common_one() -> None:
    references = ["common"] * 90 + ["rare"] * 10
    a, b = ["common"] * 100, ["rare"] * 10 + ["common"] * 80 + ["rare"] * 10
    plain, balanced = (compare(metric, references, a, b) for metric in ("accuracy", "balanced_accuracy"))
    assert (plain.a, plain.b, plain.better) == (0.9, 0.9, None)
    assert (balanced.a, balanced.b) == pytest.approx((1 / 2, (80 / 90 + 1) / 2)) and balanced.better == "b"


def test_two_that_are_as_good_are_not_told_apart() -> None:
    references = ["one two three four five six"] * 80
    found = compare("wer", references, spoilt(references, 0.2, 1), spoilt(references, 0.2, 2))
    assert found.better is None


def test_four_lucky_utterances_are_not_enough() -> None:
    """The bootstrap alone would believe them."""
    references = ["a b c"] * 50
    found = compare("wer", references, ["x b c"] * 4 + ["a b c"] * 46, references)
    assert found.delta.shown and found.test.p_exact == 0.125 and found.better is None


def test_speakers_are_compared_too() -> None:
    references = ["a b"] * 6
    found = compare("wer", references, ["x b"] * 6, references, ["ann", "ben"] * 3)
    assert found.by_speaker is not None and found.by_speaker.interval == (-0.5, -0.5)


def test_changes_are_sorted_by_what_was_gained() -> None:
    found = changes(
        ["u1", "u2", "u3", "u4"],
        ["a b", "a b", "a b", "a b"],
        ["a b", "x y", "a y", "a b"],
        ["x b", "a b", "x b", "a b"],
    )
    assert [(change.id, change.gain) for change in found] == [("u2", 2), ("u3", 0), ("u1", -1)]
    mended, broken = words_changed(found)
    assert mended == {"a": 1, "b": 2} and broken == {"a": 2}


@settings(deadline=None)
@given(rows=st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=5))
def test_all_that_changed_is_there(rows: list[tuple[str, str, str]]) -> None:
    references, a, b = [list(column) for column in zip(*rows, strict=True)]
    found = {change.id: change for change in changes(list(map(str, range(len(rows)))), references, a, b)}
    for number, (reference, one, other) in enumerate(rows):
        change = found.get(str(number))
        assert (change is None) == (one == other)
        if change is not None:
            gain = word_errors(reference, one).errors - word_errors(reference, other).errors
            assert change.gain == gain
