"""Slices of a comparison: sums against brute force, what is found where one slice changed, and that chance finds little."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from sorigil.metrics.comparison import Counted
from sorigil.metrics.paired import paired_bootstrap, pairs_test
from sorigil.metrics.paired_slices import paired_slices
from sorigil.metrics.slice_columns import Column, categories


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
        assert row.delta == pytest.approx(row.b - row.a) and row.groups is None
        units_N = np.full(len(a_N), 5)
        off_N = (b_N - a_N) - row.delta * units_N
        error = np.sqrt(off_N @ off_N * len(a_N) / (len(a_N) - 1)) / units_N.sum()
        freedom = len(a_N) - 1
        half = stats.t.ppf(0.975, freedom) * error
        assert row.interval == pytest.approx((row.delta - half, row.delta + half))
        normal = 2 * stats.t.sf(abs(row.delta) / error, freedom)
        assert row.p == pytest.approx(max(pairs_test(b_N - a_N).p_exact, normal))
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


def spoken(seed: int, speakers: int, differ: float) -> tuple[Counted, Counted, list[Column], list[str]]:
    """B mends much of what some speakers say and breaks as much of what others do; their accent has nothing to do with it."""
    generator = np.random.default_rng(seed)
    who_N = generator.integers(0, speakers, 400)
    gain_S = generator.normal(0, differ, speakers)[who_N]
    a_N = generator.binomial(5, 0.5, 400)
    b_N = generator.binomial(5, np.clip(0.5 + gain_S, 0, 1))
    accent = column("accent", generator.integers(0, 3, speakers)[who_N], *"xyz")
    return counted(a_N), counted(b_N), [accent], [f"s{each}" for each in who_N]


def test_what_single_speakers_gain_is_not_said_of_their_accent() -> None:
    blind, seeing = [], []
    for seed in range(60):
        a, b, accents, speakers = spoken(seed, speakers=12, differ=0.2)
        blind.append(any(row.change for row in paired_slices("wer", a, b, accents)))
        seeing.append(any(row.change for row in paired_slices("wer", a, b, accents, speakers)))
    assert sum(blind) > 30 and sum(seeing) <= 60 * 0.05 + 3 * math.sqrt(60 * 0.05 * 0.95)


def test_one_voice_is_a_speaker_and_no_accent() -> None:
    """B mends all that one of four speakers says, who alone has an accent."""
    names = np.repeat(["ann", "ben", "cem", "dee"], 30).tolist()
    accent = column("accent", [name != "ann" for name in names], "far", "near")
    b_N = np.where(np.array(names) == "ann", 0, 2)
    columns = [accent, categories("speaker", names)]
    rows = paired_slices("wer", counted([2] * 120), counted(b_N), columns, names)
    found = {row.value: row for row in rows}
    assert {value: row.change for value, row in found.items() if row.change} == {"ann": "better"}
    assert (found["far"].groups, found["far"].p, found["far"].q) == (1, None, None) and found["near"].groups == 3
    blind = paired_slices("wer", counted([2] * 120), counted(b_N), [accent])
    assert [(row.value, row.change) for row in blind if row.change] == [("far", "better")]


@pytest.mark.parametrize("differ", [0.0, 0.15])
def test_the_interval_over_speakers_is_that_of_drawing_speakers(differ: float) -> None:
    generator = np.random.default_rng(5)
    who_N = np.repeat(np.arange(60), 30)
    a_N = generator.binomial(5, 0.4, 1800)
    b_N = generator.binomial(5, np.clip(0.4 + generator.normal(0, differ, 60), 0, 1)[who_N])
    names = [f"s{each}" for each in who_N]
    half = column("half", who_N // 30, "one", "other")
    for k, row in enumerate(paired_slices("wer", counted(a_N), counted(b_N), [half], names)):
        mine_N = who_N // 30 == k
        drawn = paired_bootstrap(
            a_N[mine_N], b_N[mine_N], np.full(900, 5), groups_N=[f"s{each}" for each in who_N[mine_N]]
        )
        assert row.groups == 30
        assert row.interval[1] - row.interval[0] == pytest.approx(drawn.interval[1] - drawn.interval[0], rel=0.3)


def test_what_all_speakers_of_an_accent_gain_is_said_of_it() -> None:
    names = [f"s{row % 12}" for row in range(360)]
    accent = column("accent", [row % 12 < 6 for row in range(360)], "near", "far")
    generator = np.random.default_rng(0)
    a_N = generator.binomial(5, 0.4, 360)
    b_N = np.where(accent.codes_N == 1, generator.binomial(5, 0.1, 360), a_N)
    rows = paired_slices("wer", counted(a_N), counted(b_N), [accent], names)
    assert [(row.value, row.change) for row in rows] == [("near", None), ("far", "better")]


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
    with pytest.raises(ValueError, match="groups has 3 rows, the counts have 20"):
        paired_slices("wer", a, a, [], ["ann"] * 3)


def test_a_slice_without_words_has_no_rate_and_is_no_row() -> None:
    """Ten utterances in which nothing was said, and A heard something."""
    heard = np.repeat([1, 0], [10, 20])
    totals = np.repeat([0, 5], [10, 20])
    a, b = (Counted(counts_N=counts, totals_N=totals) for counts in (heard, np.zeros(30, int)))
    words = column("words", np.repeat([0, 1], [10, 20]), "below 1", "from 1")
    assert [row.value for row in paired_slices("wer", a, b, [words])] == ["from 1"]
