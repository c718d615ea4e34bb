"""Slices: rates of summed counts, a planted weakness is found, and where there is none nothing is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.metrics.contrasts import contrast, score_intervals
from sorigil.metrics.intervals import bootstrap_interval
from sorigil.metrics.parts import Parts, Rows
from sorigil.metrics.slice_columns import Column, categories, numbers, pair
from sorigil.metrics.slice_rules import LEAST
from sorigil.metrics.slices import slices, worst

SPEAKERS = 20


def spoken(seed: int, rows: int = 600, planted: float = 0.0, speakers_differ: float = 0.0):
    """(errors, units, columns, speakers): accents and genders are of speakers, noise and length of utterances. With
    `planted` accent a1 in noise n2 is heard that much worse."""
    random = np.random.default_rng(seed)
    speaker, noise = random.integers(0, SPEAKERS, rows), random.integers(0, 3, rows)
    accent, gender = random.integers(0, 4, SPEAKERS)[speaker], (np.arange(SPEAKERS) % 2)[speaker]
    seconds = random.lognormal(1, 0.7, rows)
    words = np.maximum(1, random.poisson(2.5 * seconds))
    wrong = 0.1 * np.exp(random.normal(0, speakers_differ, SPEAKERS))[speaker] * random.gamma(1.0, 1.0, rows)
    wrong += planted * ((accent == 1) & (noise == 2))
    errors = random.binomial(words, np.clip(wrong, 0, 1))
    names = {"accent": accent, "noise": noise, "gender": gender}
    columns = [categories(name, [f"{name[0]}{value}" for value in values]) for name, values in names.items()]
    return errors, words, [*columns, numbers("seconds", seconds)], [f"s{each}" for each in speaker]


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_slice_is_counted_as_by_hand(data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    rows = data.draw(st.integers(2 * LEAST, 80))
    units, values = random.integers(0, 5, rows), random.choice(["a", "b", "", None], rows)
    errors = random.binomial(units + 1, 0.3)
    found = slices(errors, units, [categories("field", values.tolist())], np.arange(rows))
    expected = [name for name in "ab" if LEAST <= (values == name).sum() <= rows - LEAST]
    assert [row.value for row in found] == expected
    for row in found:
        own = values == row.value
        assert (row.utterances, row.errors, row.units) == (own.sum(), errors[own].sum(), units[own].sum())
        assert row.seconds == np.arange(rows)[own].sum()
        assert row.rate == errors[own].sum() / max(units[own].sum(), 1)
        if units[own].sum() and units[~own].sum():
            assert row.difference == pytest.approx(row.rate - errors[~own].sum() / units[~own].sum())
        assert row.share_of_errors == errors[own].sum() / max(errors.sum(), 1)
        assert row.interval[0] <= row.rate + 1e-12
        assert row.rate <= row.interval[1] + 1e-12


def test_the_interval_of_right_and_wrong_is_wilsons() -> None:
    errors = np.array([1.0] * 7 + [0.0] * 13 + [1.0] * 30)
    rows = Rows(errors_N=errors, units_N=np.ones(50))
    codes = np.repeat([0, 1], [20, 30])
    low, high = score_intervals(rows, Parts(rows, codes, 2).sums)
    z, n, p = 1.959964, 20, 0.35
    middle, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert (low[0], high[0]) == pytest.approx(((middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)))
    assert high[1] == 1.0
    assert low[1] == pytest.approx(30 / (30 + z**2))


def test_of_many_utterances_the_intervals_are_the_bootstraps() -> None:
    errors, words, columns, _ = spoken(3, rows=4000)
    noise = columns[1]
    rows = Rows(errors_N=errors.astype(float), units_N=words.astype(float))
    low, high = score_intervals(rows, Parts(rows, noise.codes_N, 3).sums)
    for code in range(3):
        own = noise.codes_N == code
        expected = bootstrap_interval(errors[own], words[own])
        assert (low[code], high[code]) == pytest.approx(expected, rel=0.03)


def test_the_interval_of_a_difference_is_the_bootstraps() -> None:
    errors, words, columns, _ = spoken(4, rows=3000)
    seconds = columns[3]
    rows = Rows(errors_N=errors.astype(float), units_N=words.astype(float))
    everyone = Parts(rows, np.zeros(3000, np.int64), 1)
    found = contrast(rows, Parts(rows, seconds.codes_N, len(seconds.values)), everyone)
    code = seconds.values.index("2 to 4 s")
    own = seconds.codes_N == code
    random, draws = np.random.default_rng(0), []
    for _ in range(2000):
        drawn = random.integers(0, 3000, 3000)
        mine, other = drawn[own[drawn]], drawn[~own[drawn]]
        draws.append(errors[mine].sum() / words[mine].sum() - errors[other].sum() / words[other].sum())
    assert (found.low_K[code], found.high_K[code]) == pytest.approx(np.quantile(draws, [0.025, 0.975]), abs=0.002)


@pytest.mark.parametrize("speakers_differ", [0.0, 0.4])
def test_a_planted_weakness_is_found_and_ranked_first(speakers_differ: float) -> None:
    found = 0
    for seed in range(10):
        errors, words, columns, speakers = spoken(seed, 1500, planted=0.3, speakers_differ=speakers_differ)
        rows = worst(slices(errors, words, columns, groups_N=speakers))
        found += bool(rows) and (rows[0].column, rows[0].value) == ("accent × noise", "a1 × n2")
    assert found >= 9


def test_where_nothing_is_wrong_mostly_nothing_is_found() -> None:
    """A run in twenty may find something; of 60 seldom more than 7 do (binomial: 0.5 %)."""
    alarms = 0
    for seed in range(60):
        errors, words, columns, speakers = spoken(seed, 400, speakers_differ=0.4 * (seed % 2))
        alarms += any(row.worse for row in slices(errors, words, columns, groups_N=speakers))
    assert alarms <= 7


def test_what_only_two_speakers_do_is_not_blamed_on_their_accent() -> None:
    """Two of twenty speakers mumble, and share an accent with six who do not."""
    random = np.random.default_rng(0)
    speaker = np.repeat(np.arange(20), 50)
    errors = random.binomial(10, np.where(speaker < 2, 0.3, 0.1))
    accent = categories("accent", ["far" if each < 8 else "near" for each in speaker])
    names = [f"s{each:02}" for each in speaker]
    columns = [accent, categories("speaker", names)]
    blind = worst(slices(errors, np.full(1000, 10), columns, pairs=False))
    assert {"far", "s00", "s01"} <= {row.value for row in blind}
    seeing = worst(slices(errors, np.full(1000, 10), columns, groups_N=names, pairs=False))
    assert {row.value for row in seeing} == {"s00", "s01"}


def test_one_voice_is_a_speaker_and_no_accent() -> None:
    """Each of six speakers has an accent of their own, and one of them mumbles."""
    random = np.random.default_rng(3)
    speaker = np.repeat(np.arange(6), 50)
    errors = random.binomial(10, np.where(speaker == 0, 0.5, 0.1))
    names = [f"s{each}" for each in speaker]
    columns = [categories("accent", [f"a{each}" for each in speaker]), categories("speaker", names)]
    found = slices(errors, np.full(300, 10), columns, groups_N=names)
    assert [(row.column, row.value) for row in found if row.worse] == [("speaker", "s0")]
    accents = [row for row in found if row.column == "accent"]
    assert [(row.groups, row.p, row.q) for row in accents] == [(1, None, None)] * 6
    assert accents[0].rate == pytest.approx(0.5, abs=0.05)  # it is a row all the same


@pytest.mark.parametrize("planted, least, most", [(0.3, 15, 20), (0.0, 0, 1)])
def test_a_speaker_who_is_bad_in_noise_alone_is_found(planted: float, least: int, most: int) -> None:
    """What speakers differ by counts as little for a speaker in noise as for a speaker: else 9 of these 20 were found."""
    random, found = np.random.default_rng(0), 0
    for _ in range(20):
        speaker, noise = random.integers(0, 12, 600), random.integers(0, 3, 600)
        rate = 0.2 + random.normal(0, 0.08, 12)[speaker] + planted * ((speaker == 3) & (noise == 0))
        units = random.integers(4, 12, 600)
        names = {"speaker": [f"s{each}" for each in speaker], "noise": [f"n{each}" for each in noise]}
        columns = [categories(name, values) for name, values in names.items()]
        errors = random.binomial(units, np.clip(rate, 0.01, 0.99))
        rows = slices(errors, units, columns, None, names["speaker"])
        found += any(row.value == "s3 × n0" for row in rows)
    assert least <= found <= most


def test_a_bad_value_is_not_named_again_with_each_value_of_another_column() -> None:
    random = np.random.default_rng(1)
    accent, gender = random.integers(0, 3, 3000), random.integers(0, 2, 3000)
    errors = random.binomial(8, np.where(accent == 0, 0.4, 0.1))
    columns = [
        categories("accent", [f"a{each}" for each in accent]),
        categories("gender", [f"g{each}" for each in gender]),
    ]
    assert [(row.column, row.value) for row in worst(slices(errors, np.full(3000, 8), columns))] == [("accent", "a0")]


def test_a_difference_that_is_beyond_chance_and_too_small_to_matter_is_not_named() -> None:
    random = np.random.default_rng(2)
    half = random.integers(0, 2, 400_000)
    errors = random.binomial(10, np.where(half, 0.104, 0.1))
    (better, other) = slices(errors, np.full(400_000, 10), [categories("half", [str(each) for each in half])])
    assert other.q is not None
    assert other.q < 1e-6
    assert not better.worse
    assert not other.worse


@pytest.mark.parametrize("errors", [0, 1])
def test_all_right_or_all_wrong_has_no_worst_slice(errors: int) -> None:
    column = categories("half", ["a", "b"] * 20)
    assert worst(slices(np.full(40, errors), np.ones(40), [column])) == []


def test_columns_without_rows_or_values_are_no_slices() -> None:
    nothing = np.zeros(0)
    assert slices(nothing, nothing, [categories("field", []), numbers("seconds", nothing)]) == []
    assert slices(np.ones(30), np.ones(30), [numbers("snr_db", np.full(30, np.nan))]) == []
    assert slices(np.ones(30), np.ones(30), []) == []


def test_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="accent has 2 rows, the errors have 3"):
        slices([1, 0, 1], [1, 1, 1], [categories("accent", ["a", "b"])])


def test_words_are_sorted_and_empty_ones_not_known() -> None:
    column = categories("lang", ["ko", None, "en", "", "ko"])
    assert column.values == ("en", "ko")
    assert column.codes_N.tolist() == [1, -1, 0, -1, 1]


def test_lengths_have_fixed_edges_and_an_edge_is_in_the_upper_bin() -> None:
    column = numbers("seconds", [0.2, 2.0, 3.99, 4.0, 100.0, math.nan])
    assert [column.values[code] if code >= 0 else None for code in column.codes_N] == [
        "below 0.5 s",
        "2 to 4 s",
        "2 to 4 s",
        "4 to 8 s",
        "from 30 s",
        None,
    ]


def test_few_different_numbers_are_themselves_and_others_are_fifths() -> None:
    assert numbers("year", [2001, 1999, 2001]).values == ("1999", "2001")
    column = numbers("distance", np.arange(1000.0))
    assert column.values == ("below 200", "200 to 400", "400 to 599", "599 to 799", "from 799")
    assert np.bincount(column.codes_N).tolist() == [200, 200, 199, 200, 201]


def test_a_pair_is_known_where_both_are() -> None:
    one, other = (
        Column(name="a", codes_N=np.array([0, 1, -1]), values=("x", "y")),
        categories("b", ["u", "v", "v"]),
    )
    found = pair(one, other)
    assert [found.values[code] if code >= 0 else None for code in found.codes_N] == ["x × u", "y × v", None]


def test_the_speakers_part_in_a_contrast_is_that_of_all_their_shares() -> None:
    """The imbalance by its definition, speaker by speaker, against the sums that need no loop."""
    from sorigil.metrics.contrasts import _imbalance

    random = np.random.default_rng(5)
    units, speaker = random.integers(1, 9, 300).astype(float), random.integers(0, 7, 300)
    errors = random.binomial(units.astype(int), (0.05 * (1 + speaker))).astype(float)
    rows = Rows(errors_N=errors, units_N=units, groups_N=speaker)
    assert rows.variance_of_groups > 0
    around = random.integers(0, 2, 300)
    part = np.where(random.random(300) < 0.2, -1, 3 * around + random.integers(0, 3, 300))
    inside, outside = Parts(rows, part, 6), Parts(rows, around, 2)
    found = _imbalance(rows, inside, outside, np.repeat([0, 1], 3))
    for k in range(6):
        own, rest = part == k, (part != k) & (around == k // 3)
        shares = [np.bincount(speaker[each], units[each], 7) / units[each].sum() for each in (own, rest)]
        assert found[k] == pytest.approx(np.square(shares[0] - shares[1]).sum())
