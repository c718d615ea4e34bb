"""Paired bootstrap and matched pairs: against formulas, brute force over all swaps, and how often they cry wolf."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sorigil.metrics.errors import word_error_columns
from sorigil.metrics.intervals import bootstrap_interval
from sorigil.metrics.paired import matched_pairs, paired_bootstrap, pairs_test, segment_differences

TEXTS = st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join)


def test_segments_are_parted_by_two_good_words() -> None:
    reference = "a b c d e f g h"
    #            one segment: b, d (c alone is good between)   another: h
    assert segment_differences([reference], ["a x c x e f g x"], [reference]).tolist() == [-2, -1]
    assert segment_differences([reference], [reference], ["x b c d e f g x"]).tolist() == [1, 1]
    assert segment_differences([reference], ["x b c x e f g h"], ["a b c x e f g h"]).tolist() == [-1, 0]


def test_segments_end_with_their_utterance() -> None:
    assert segment_differences(["a", "a"], ["x", "x"], ["a", "a"]).tolist() == [-1, -1]


def test_what_was_added_has_its_place() -> None:
    assert segment_differences(["a b"], ["x a b x"], ["a b"]).tolist() == [-1, -1]  # two good words between
    assert segment_differences(["a"], ["x a x"], ["a"]).tolist() == [-2]
    assert segment_differences([""], ["x y"], ["x"]).tolist() == [-1]


@settings(deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS, TEXTS), min_size=1, max_size=6))
def test_no_error_is_lost(rows: list[tuple[str, str, str]]) -> None:
    references, a, b = [list(column) for column in zip(*rows, strict=True)]
    errors = [word_error_columns(references, hypotheses).errors.sum() for hypotheses in (a, b)]
    assert segment_differences(references, a, b).sum() == errors[1] - errors[0]


def test_of_right_and_wrong_it_is_mcnemars() -> None:
    differences = np.array([1] * 9 + [-1] * 2 + [0] * 30)
    expected = stats.binomtest(2, 11).pvalue
    assert pairs_test(differences).p_exact == pytest.approx(expected)
    assert pairs_test(differences * 0.7).p_exact == pytest.approx(expected)  # one weight for all changes nothing


def test_weighted_differences_are_swapped_at_random() -> None:
    differences = np.array([1.5, 1.5, 1.5, 1.5, 0.5, 0.5, -0.5, 0.0])
    there = differences[differences != 0]
    sums = np.array(list(itertools.product((1, -1), repeat=len(there)))) @ there
    expected = np.mean(np.abs(sums) >= differences.sum() - 1e-9)
    assert pairs_test(differences).p_exact == pytest.approx(expected, abs=0.02)
    assert pairs_test(-differences).p_exact == pairs_test(differences).p_exact
    assert pairs_test(np.zeros(3)).p_exact == 1


def test_z_is_that_of_gillick_and_cox() -> None:
    differences = np.array([1, 1, 0, 2, -1, 1, 0, 1])
    found = pairs_test(differences)
    expected = differences.mean() / (differences.std(ddof=1) / math.sqrt(8))
    assert found.z == pytest.approx(expected) and found.mean == pytest.approx(5 / 8) and found.segments == 8
    assert found.p == pytest.approx(2 * (1 - 0.5 * (1 + math.erf(abs(expected) / math.sqrt(2)))))


@settings(deadline=None)
@given(differences=st.lists(st.integers(-3, 3), max_size=8))
def test_the_exact_p_counts_all_swaps(differences: list[int]) -> None:
    seen = abs(sum(differences))
    sums = [
        abs(sum(sign * each for sign, each in zip(signs, differences, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    exact = sum(each >= seen for each in sums) / len(sums)
    assert pairs_test(np.array(differences, dtype=np.int64)).p_exact == pytest.approx(exact)


def test_without_a_difference_nothing_is_shown() -> None:
    same = matched_pairs(["a b", "c"], ["a x", "c"], ["a x", "c"])
    assert (same.segments, same.mean, same.p, same.p_exact) == (1, 0.0, 1.0, 1.0)
    none = matched_pairs(["a"], ["a"], ["a"])
    assert (none.segments, none.z, none.p, none.p_exact) == (0, None, 1.0, 1.0)


def test_few_segments_show_nothing_though_the_normal_test_says_so() -> None:
    found = pairs_test(np.array([1, 1, 1, 2]))
    assert found.p < 0.001 < found.p_exact == 0.125


def test_the_paired_interval_is_far_narrower_than_the_single_ones() -> None:
    generator = np.random.default_rng(0)
    hard = generator.integers(0, 10, 400)  # what is hard for A is hard for B
    totals, a = np.full(400, 12), hard
    b = np.maximum(hard - (generator.random(400) < 0.2), 0)
    delta = paired_bootstrap(a, b, totals)
    low, high = bootstrap_interval(a, totals)
    assert delta.value == pytest.approx((b.sum() - a.sum()) / totals.sum())
    assert delta.interval[0] < delta.value < delta.interval[1] < 0 and delta.shown and delta.p < 0.01
    assert delta.interval[1] - delta.interval[0] < (high - low) / 4


def test_equal_systems_are_called_different_about_as_often_as_is_said() -> None:
    generator = np.random.default_rng(3)
    shown = exact = 0
    for seed in range(200):
        totals = generator.integers(5, 15, 60)
        a, b = generator.binomial(totals, 0.2), generator.binomial(totals, 0.2)
        shown += paired_bootstrap(a, b, totals, samples=300, seed=seed).shown
        exact += pairs_test(b - a).p_exact < 0.05
    assert 2 <= shown <= 22 and 2 <= exact <= 20


def test_speakers_are_drawn_whole() -> None:
    a, b, totals = np.repeat([0, 4], 50), np.repeat([4, 0], 50), np.full(100, 10)
    speakers = ["ann"] * 50 + ["ben"] * 50
    by_speaker, by_row = paired_bootstrap(a, b, totals, groups_N=speakers), paired_bootstrap(a, b, totals)
    assert by_speaker.interval == (-0.4, 0.4)
    assert by_row.interval[1] < 0.2 and not by_row.shown


def test_columns_must_match() -> None:
    with pytest.raises(ValueError, match="1 references come with 1 and 2"):
        matched_pairs(["a"], ["a"], ["a", "b"])
    with pytest.raises(ValueError, match="at least one"):
        paired_bootstrap(np.array([]), np.array([]), np.array([]))
