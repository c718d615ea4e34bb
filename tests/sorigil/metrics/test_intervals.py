"""Bootstrap intervals: known widths, coverage of the truth, determinism."""

from __future__ import annotations

import numpy as np
import pytest

from sorigil.metrics import intervals
from sorigil.metrics.intervals import bootstrap_interval, resampled, resampled_sums


def test_width_is_that_of_the_binomial() -> None:
    right = np.array([1] * 800 + [0] * 200)
    low, high = bootstrap_interval(right, np.ones(1000), samples=4000)
    deviation = (0.8 * 0.2 / 1000) ** 0.5
    assert low == pytest.approx(0.8 - 1.96 * deviation, abs=0.003)
    assert high == pytest.approx(0.8 + 1.96 * deviation, abs=0.003)


def test_it_holds_the_truth_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    held = 0
    for seed in range(200):
        totals = generator.integers(5, 20, size=150)
        errors = generator.binomial(totals, 0.1)
        low, high = bootstrap_interval(errors, totals, samples=300, seed=seed, level=0.9)
        held += low <= 0.1 <= high
    assert 0.82 <= held / 200 <= 0.97


def test_the_same_seed_gives_the_same_interval_whatever_is_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    errors, totals = np.arange(50) % 3, np.full(50, 10)
    first = bootstrap_interval(errors, totals, seed=7)
    assert bootstrap_interval(errors, totals, seed=8) != first
    monkeypatch.setattr(intervals, "DRAWS_AT_ONCE", 120)
    assert bootstrap_interval(errors, totals, seed=7) == first


@pytest.mark.parametrize("rows", [10_000, 25_000])
def test_rows_that_are_equal_are_drawn_together_and_as_often(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    totals = generator.integers(5, 20, size=rows)
    a, b = generator.binomial(totals, 0.1), generator.binomial(totals, 0.12)
    assert 20 * len(np.unique(np.stack([a, b, totals], axis=1), axis=0)) <= rows

    def drawn(order: slice) -> np.ndarray:
        return resampled([a[order], b[order], totals[order]], lambda a_S, b_S, said_S: (b_S - a_S) / said_S)

    together = drawn(slice(None))
    assert np.array_equal(drawn(slice(None, None, -1)), together), "the order of the rows is nothing"
    with monkeypatch.context() as patched:
        patched.setattr(intervals, "DRAWS_AT_ONCE", 1)
        assert drawn(slice(None)) == pytest.approx(together)
    monkeypatch.setattr(intervals, "MANY", rows + 1)
    one_by_one = drawn(slice(None))
    assert not np.array_equal(one_by_one, together)
    assert together.mean() == pytest.approx(one_by_one.mean(), abs=4 * one_by_one.std() / len(one_by_one) ** 0.5)
    assert together.std() == pytest.approx(one_by_one.std(), rel=0.1)


def test_many_rows_that_all_differ_are_drawn_one_by_one() -> None:
    values = np.arange(10_000) / 10_000
    low, high = bootstrap_interval(values, np.ones(10_000))
    assert low < 0.49995 < high and high - low == pytest.approx(2 * 1.96 * 12**-0.5 / 100, rel=0.1)


def test_groups_that_differ_widen_it() -> None:
    errors = np.repeat([0, 10, 0, 10], 100)
    totals = np.full(400, 20)
    speakers = np.repeat(["a", "b", "c", "d"], 100).tolist()
    low, high = bootstrap_interval(errors, totals)
    wide_low, wide_high = bootstrap_interval(errors, totals, groups_N=speakers)
    assert wide_high - wide_low > 4 * (high - low)
    assert wide_low == 0.0 and wide_high == 0.5


def test_groups_of_one_are_the_rows() -> None:
    errors, totals = np.arange(40) % 5, np.full(40, 9)
    assert bootstrap_interval(errors, totals, groups_N=[f"s{i}" for i in range(40)]) == bootstrap_interval(
        errors, totals
    )


@pytest.mark.parametrize("groups", [None, [f"s{i % 7}" for i in range(40)]])
def test_sums_by_code_are_those_of_the_drawn_rows(groups: list[str] | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against copying the rows of each draw; a few draws at a time change nothing."""
    codes, weights = np.arange(40) % 3, np.linspace(-1, 1, 40)
    sums, rows = resampled_sums(codes, weights, 4, samples=20, groups_N=groups)
    places = np.arange(40) if groups is None else np.arange(40) % 7
    drawn = np.random.default_rng(0).integers(0, places.max() + 1, size=(20, places.max() + 1))
    for draw, found, count in zip(drawn, sums, rows, strict=True):
        copied = np.concatenate([np.flatnonzero(places == unit) for unit in draw])
        assert found == pytest.approx(np.bincount(codes[copied], weights[copied], 4))
        assert count == len(copied)
    monkeypatch.setattr(intervals, "DRAWS_AT_ONCE", 100)
    assert np.array_equal(resampled_sums(codes, weights, 4, samples=20, groups_N=groups)[0], sums)


def test_bad_arguments_are_told() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_interval(np.array([]), np.array([]))
    with pytest.raises(ValueError, match="3 groups come with 2 rows"):
        bootstrap_interval(np.ones(2), np.ones(2), groups_N=["a", "b", "c"])
    with pytest.raises(ValueError, match="2 codes come with 3 weights"):
        resampled_sums(np.zeros(2, int), np.ones(3), 1)
    with pytest.raises(ValueError, match="level is 95"):
        bootstrap_interval(np.ones(2), np.ones(2), level=95)
    with pytest.raises(ValueError, match="samples is 0"):
        bootstrap_interval(np.ones(2), np.ones(2), samples=0)
