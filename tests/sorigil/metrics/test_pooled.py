"""Several trainings of each of two systems: Student's interval over seeds and utterances, and how often it errs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sorigil.metrics.comparison import Counted
from sorigil.metrics.pooled import pooled, pooled_counts


def counted(rng: np.random.Generator, rate: float, hard_N: np.ndarray) -> Counted:
    wrong_N = (hard_N + rng.normal(size=len(hard_N)) < stats.norm.ppf(rate) * np.sqrt(2)).astype(np.int64)
    return Counted(counts_N=wrong_N, totals_N=np.ones_like(wrong_N))


def test_where_utterances_tell_nothing_it_is_welchs_test() -> None:
    a, b = [0.10, 0.12, 0.11], [0.15, 0.14, 0.18, 0.16]
    found = pooled("wer", a, b, [np.zeros(10)])
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert found is not None and found.better == "a" and found.by_speaker is None
    assert found.delta.p == pytest.approx(expected.pvalue)
    low, high = expected.confidence_interval()
    assert found.delta.interval == pytest.approx((low, high))


def test_where_seeds_do_not_differ_it_is_the_utterances_alone() -> None:
    drawn_S = np.random.default_rng(0).normal(0.05, 0.01, 1000)
    found = pooled("accuracy", [0.8, 0.8], [0.85, 0.85], [drawn_S])
    assert found is not None and found.better == "b"
    margin = 1.959964 * drawn_S.std()
    assert found.delta.interval == pytest.approx((0.05 - margin, 0.05 + margin), rel=1e-4)


def test_one_training_is_not_pooled_and_the_same_ones_differ_by_nothing() -> None:
    assert pooled("wer", [0.1], [0.1, 0.2], [np.zeros(3)]) is None
    same = pooled("wer", [0.1, 0.1], [0.1, 0.1], [np.zeros(3)])
    assert same is not None and (same.delta.interval, same.delta.p, same.better) == ((0, 0), 1, None)


def test_by_speaker_has_their_number_of_freedoms() -> None:
    rng = np.random.default_rng(1)
    hard_N = rng.normal(size=300)
    a, b = [[counted(rng, rate, hard_N) for _ in range(3)] for rate in (0.3, 0.2)]
    found = pooled_counts("wer", a, b, [f"s{n % 3}" for n in range(300)])
    assert found is not None and found.by_speaker is not None
    assert found.a == pytest.approx(np.mean([each.value for each in a])) and found.delta.value < 0
    assert np.ptp(found.delta.interval) > 0 and found.by_speaker.value == found.delta.value


@pytest.mark.slow
def test_two_alike_are_seldom_told_apart_however_few_seeds() -> None:
    """The rates of trainings spread as much as those of samples of utterances."""
    rng = np.random.default_rng(0)
    told = 0
    for _ in range(200):
        hard_N = rng.normal(size=200)
        rates = np.clip(rng.normal(0.2, 0.03, 6), 0.02, 0.9)
        systems = [counted(rng, rate, hard_N) for rate in rates]
        found = pooled_counts("wer", systems[:3], systems[3:])
        told += found is not None and found.better is not None
    assert told <= 20  # 10 on average


def repeated(wrong: list[int]) -> list[Counted]:
    """Two trainings that answered alike."""
    return [Counted(counts_N=np.array(wrong), totals_N=np.ones(len(wrong), np.int64))] * 2


@pytest.mark.parametrize("differ, shown", [(1, None), (5, None), (6, "b")])
def test_a_few_utterances_show_nothing_however_alike_the_seeds_are(differ: int, shown: str | None) -> None:
    """Where all of five utterances speak for B the interval has no width, and two of 2⁵ swaps are as far from 0."""
    for alike in (0, 100):
        found = pooled_counts("wer", repeated([1] * differ + [0] * alike), repeated([0] * (differ + alike)))
        assert found is not None and found.better == shown, alike
        assert found.delta.p == pytest.approx(2 / 2**differ, abs=0.02)


def test_one_speaker_alone_is_no_division_by_zero() -> None:
    found = pooled("wer", [0.1, 0.2], [0.1, 0.3], [np.zeros(3), np.zeros(3)], ["s", "s"])
    assert found is not None and found.by_speaker is not None and found.by_speaker.interval == found.delta.interval
