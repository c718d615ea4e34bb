"""Slices of a comparison: sums against brute force, what is found where one slice changed, and that chance finds little."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sorigil.metrics.comparison import Counted
from sorigil.metrics.paired import paired_bootstrap, pairs_test
from sorigil.metrics.paired_slices import paired_slices
from sorigil.metrics.slice_columns import Column


def counted(counts: list[int] | np.ndarray, total: int = 5) -> Counted:  # type: ignore[type-arg]
    counts_N = np.asarray(counts)
    return Counted(counts_N=counts_N, totals_N=np.full(len(counts_N), total))


def column(name: str, codes: list[int] | np.ndarray, *values: str) -> Column:  # type: ignore[type-arg]
    return Column(name=name, codes_N=np.asarray(codes), values=values)


def test_a_slice_is_what_its_rows_say() -> None:
    generator = np.random.default_rng(0)
    codes_N = generator.integers(-1, 3, 200)
    a, b = (counted(generator.integers(0, 4, 200)) for _ in range(2))
    rows = paired_slices("wer", a, b, [column("who", codes_N, "ann", "ben", "cem")])
    assert [(row.column, row.value) for row in rows] == [("who", "ann"), ("who", "ben"), ("who", "cem")]
    for k, row in enumerate(rows):
        mine_N = codes_N == k
        a_N, b_N = a.counts_N[mine_N], b.counts_N[mine_N]
        assert row.utterances == mine_N.sum() and row.a == pytest.approx(a_N.sum() / (5 * mine_N.sum()))
        assert row.delta == pytest.approx(row.b - row.a) and row.p == pairs_test(b_N - a_N).p_exact
        drawn = paired_bootstrap(a_N, b_N, np.full(len(a_N), 5)).interval
        assert row.interval == pytest.approx(drawn, abs=0.25 * (drawn[1] - drawn[0]))


@pytest.mark.parametrize(("metric", "says"), [("wer", ("worse", "better")), ("accuracy", ("better", "worse"))])
def test_the_slice_that_changed_is_named_and_no_other(metric: str, says: tuple[str, str]) -> None:
    generator = np.random.default_rng(1)
    codes_N = np.repeat(np.arange(5), 60)
    a_N = generator.integers(0, 2, 300)
    b_N = np.where(codes_N == 2, 1, a_N)
    one = column("room", codes_N, *"vwxyz")
    for first, second, said in ((a_N, b_N, says[0]), (b_N, a_N, says[1])):
        rows = paired_slices(metric, counted(first, 1), counted(second, 1), [one])
        assert {row.value: row.change for row in rows if row.change} == {"x": said}
        assert all(row.q >= row.p for row in rows)


def test_few_lucky_rows_and_small_slices_say_nothing() -> None:
    """Four of four would convince a normal interval; nine rows are no slice, nor is all but nine."""
    codes_N = np.repeat([0, 1, -1], [30, 9, 9])
    a_N = np.array([1] * 4 + [0] * 26 + [1] * 18)
    (row,) = paired_slices("wer", counted(a_N), counted(np.zeros(48, int)), [column("x", codes_N, "many", "few")])
    assert (row.value, row.p, row.change) == ("many", 0.125, None)


def test_chance_is_called_a_change_in_less_than_its_share() -> None:
    cries = 0
    for seed in range(60):
        generator = np.random.default_rng(seed)
        a_N, b_N = generator.integers(0, 2, (2, 400))
        codes = [column(str(name), generator.integers(0, 8, 400), *"abcdefgh") for name in range(3)]
        cries += any(row.change for row in paired_slices("wer", counted(a_N), counted(b_N), codes))
    assert cries <= 60 * 0.05 + 3 * math.sqrt(60 * 0.05 * 0.95)


def test_edges() -> None:
    a = counted([0] * 20)
    rows = paired_slices("wer", a, a, [column("x", [0] * 10 + [1] * 10, "one", "other"), column("y", [0] * 20, "all")])
    assert [(row.value, row.delta, row.interval, row.p, row.change) for row in rows] == [
        ("one", 0, (0, 0), 1, None),
        ("other", 0, (0, 0), 1, None),
    ]
    assert paired_slices("wer", a, a, []) == [] == paired_slices("wer", a, a, [column("x", [-1] * 20, "none")])
    with pytest.raises(ValueError, match="x has 3 rows, the counts have 20"):
        paired_slices("wer", a, a, [column("x", [0] * 3, "all")])
