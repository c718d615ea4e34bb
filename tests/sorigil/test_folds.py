"""Folds: every row is in a test set once, groups and classes as asked for, and the spread is that of the formulas."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.folds import KFold, LeaveOneOut, folds_of, spread
from sorigil.split_specs import fields_of
from sorigil.splits import TEST, assign

ROWS = 240


def columns(speakers: int = 8) -> dict[str, list[Any]]:
    keys = [f"k{number}" for number in range(ROWS)]
    return {
        "key": keys,
        "together": keys,
        "split": [None] * ROWS,
        "speaker": [f"s{number % speakers}" for number in range(ROWS)],
        "label": [("a", "b", "b", "c")[number // 8 % 4] for number in range(ROWS)],
    }


def sides(spec: Any, rows: dict[str, list[Any]]) -> dict[str, np.ndarray[Any, Any]]:
    values = rows[spec.field] if isinstance(spec, LeaveOneOut) else []
    return {name: assign(split, rows) for name, split in folds_of(spec, values).items()}


@pytest.mark.parametrize(
    "spec",
    [LeaveOneOut(), LeaveOneOut(field="label", dev=0.3), KFold(k=4), KFold(k=3, group="speaker"),
     KFold(k=5, stratify="label"), KFold(k=2, group="speaker", stratify="label", seed=3)],
)  # fmt: skip
def test_each_row_is_tested_once(spec: Any) -> None:
    tested = np.sum([side == TEST for side in sides(spec, columns()).values()], axis=0)
    assert (tested == 1).all()


def test_leaving_one_out_takes_whole_groups() -> None:
    rows = columns()
    found = sides(LeaveOneOut(dev=0.2), rows)
    assert list(found) == [f"s{number}" for number in range(8)]
    for speaker, side in found.items():
        assert {row for row, one in zip(rows["speaker"], side, strict=True) if one == TEST} == {speaker}
    assert list(sides(LeaveOneOut(only=("s3", "s1")), rows)) == ["s3", "s1"]


def test_stratified_folds_have_their_share_of_every_class() -> None:
    rows = columns()
    labels = np.asarray(rows["label"])
    for side in sides(KFold(k=5, stratify="label"), rows).values():
        for label in "abc":
            share = np.mean(side[labels == label] == TEST)
            assert share == pytest.approx(0.2, abs=1 / np.sum(labels == label))


def test_groups_stay_whole_in_stratified_folds() -> None:
    rows = columns(speakers=24)
    for side in sides(KFold(k=3, group="speaker", stratify="label"), rows).values():
        tested = {row for row, one in zip(rows["speaker"], side, strict=True) if one == TEST}
        assert not tested & {row for row, one in zip(rows["speaker"], side, strict=True) if one != TEST}


def test_the_fields_that_a_fold_looks_at_are_named() -> None:
    (split, *_) = folds_of(KFold(group="site", stratify="label")).values()
    assert fields_of(split) == ("site", "label")


@pytest.mark.parametrize(
    ("spec", "values", "words"),
    [
        (LeaveOneOut(), ["a", "a", None], "the data has only a; there must be at least two"),
        (LeaveOneOut(), [None, ""], "the data has none"),
        (LeaveOneOut(only=("x",)), ["a", "b"], "names the speaker x, not in the data; there are a, b"),
    ],
)
def test_what_cannot_be_left_out(spec: Any, values: list[Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        folds_of(spec, values)


@pytest.mark.parametrize(
    ("make", "words"),
    [(lambda: KFold(k=1), "k is 1; it must be at least 2"), (lambda: KFold(dev=1.0), "dev is 1.0"),
     (lambda: LeaveOneOut(dev=-0.1), "dev is -0.1")],
)  # fmt: skip
def test_ranges(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30))
def test_the_spread_is_that_of_the_formulas(values: list[float]) -> None:
    found = spread(values)
    assert found["mean"] == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert (found["min"], found["max"], found["n"]) == (min(values), max(values), len(values))
    expected = statistics.stdev(values) if len(values) > 1 else None
    assert found["std"] == (None if expected is None else pytest.approx(expected, abs=1e-6))
