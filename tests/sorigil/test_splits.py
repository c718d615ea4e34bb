"""Splits: speakers stay whole, the test set stays what it is, and nothing depends on the order of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.splits import DEV, TEST, TRAIN, UNUSED, FieldSplit, HashSplit, SpeakerSplit, assign, position

_SPEAKERS = [f"s{number}" for number in range(12)]
_row = st.tuples(
    st.integers(0, 10**6).map(lambda number: f"key{number}"),
    st.sampled_from([*_SPEAKERS, None]),
    st.sampled_from(["train", "test", "dev", "validation", "Train", "unlabelled", "", None]),
)
_rows = st.lists(_row, min_size=1, max_size=60, unique_by=lambda row: row[0])
_spec = st.one_of(
    st.builds(FieldSplit, dev=st.sampled_from([0.0, 0.1, 0.5]), seed=st.integers(0, 3)),
    st.builds(
        SpeakerSplit, test=st.sampled_from([("s0",), ("s1", "s2")]), dev=st.sampled_from([0.0, 0.1, 0.3, ("s3",)]),
        seed=st.integers(0, 3),
    ),
    st.builds(HashSplit, test=st.sampled_from([0.1, 0.4]), dev=st.sampled_from([0.0, 0.1, 0.4]), seed=st.integers(0, 3)),
)  # fmt: skip


def sides(spec: Any, rows: list[Any]) -> dict[str, str]:
    """The side of each key, or nothing where the split is refused."""
    try:
        found = assign(spec, *map(list, zip(*rows, strict=True)))
    except RequestError:
        return {}
    return dict(zip((row[0] for row in rows), found.tolist(), strict=True))


@given(spec=_spec, rows=_rows, order=st.randoms())
def test_the_order_of_rows_does_not_matter(spec: Any, rows: list[Any], order: Any) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)
    assert sides(spec, rows) == sides(spec, shuffled)


@given(spec=_spec, rows=_rows, more=_rows)
def test_no_row_enters_or_leaves_the_test_set_when_others_come(spec: Any, rows: list[Any], more: list[Any]) -> None:
    before = sides(spec, rows)
    known = {row[0] for row in rows}
    after = sides(spec, rows + [row for row in more if row[0] not in known])
    assume(before and after)
    assert {key for key in known if before[key] == TEST} == {key for key in known if after[key] == TEST}


@given(spec=_spec, rows=_rows)
def test_sides_are_what_the_spec_says(spec: Any, rows: list[Any]) -> None:
    found = sides(spec, rows)
    assume(found)
    assert set(found.values()) <= {TRAIN, DEV, TEST, UNUSED} and {TRAIN, TEST} <= set(found.values())
    for key, speaker, given_split in rows:
        if isinstance(spec, FieldSplit):
            name = (given_split or "").lower()
            allowed = {"test": {TEST}, "train": {TRAIN, DEV}, "dev": {DEV}, "validation": {DEV}}.get(name, {UNUSED})
            assert found[key] in allowed, "dev comes out of train, never out of test"
        if isinstance(spec, SpeakerSplit):
            assert (found[key] == TEST) == (speaker in spec.test)
            if isinstance(spec.dev, tuple):
                assert (found[key] == DEV) == (speaker in spec.dev)
    if isinstance(spec, FieldSplit) and any((row[2] or "").lower() in ("dev", "validation") for row in rows):
        assert all(found[row[0]] != DEV or (row[2] or "").lower() in ("dev", "validation") for row in rows)


@given(
    seed=st.integers(0, 20),
    sizes=st.lists(st.integers(1, 3), min_size=20, max_size=40),
    share=st.sampled_from([0.1, 0.2]),
)
def test_enough_speakers_are_kept_whole(seed: int, sizes: list[int], share: float) -> None:
    rows = [
        (f"k{speaker}-{row}", f"s{speaker}", "test" if speaker < 3 else "train")
        for speaker, size in enumerate(sizes)
        for row in range(size)
    ]
    train_rows = sum(sizes[3:])
    assume(max(sizes[3:]) <= share * 1.5 * train_rows)
    for spec in (FieldSplit(dev=share, seed=seed), SpeakerSplit(test=("s0", "s1", "s2"), dev=share, seed=seed)):
        found = sides(spec, rows)
        by_speaker = {row[1]: {found[other[0]] for other in rows if other[1] == row[1]} for row in rows}
        assert all(len(each) == 1 for each in by_speaker.values()), "a speaker is on one side only"
        dev = sum(side == DEV for side in found.values())
        assert share * train_rows <= dev <= share * train_rows + max(sizes[3:])


@given(rows=st.lists(_row, min_size=1, max_size=40, unique_by=lambda row: row[0]))
def test_named_speakers_are_disjoint_between_the_sides(rows: list[Any]) -> None:
    found = sides(SpeakerSplit(test=("s0", "s1"), dev=("s2",)), rows)
    of = {side: {row[1] for row in rows if found.get(row[0]) == side and row[1]} for side in (TRAIN, DEV, TEST)}
    assert not of[TRAIN] & of[TEST] and not of[DEV] & of[TEST] and not of[TRAIN] & of[DEV]


def test_few_speakers_give_dev_rows_by_hash_instead_of_half_the_data() -> None:
    rows = [(f"k{number}", f"s{number % 3}", None) for number in range(600)]
    found = sides(SpeakerSplit(test=("s0",), dev=0.1), rows)
    dev = [row for row in rows if found[row[0]] == DEV]
    assert 20 <= len(dev) <= 60 and {row[1] for row in dev} == {"s1", "s2"}


@given(rows=_rows, more=_rows, seed=st.integers(0, 3))
def test_rows_chosen_by_hash_stay_where_they_are_when_others_come(rows: list[Any], more: list[Any], seed: int) -> None:
    spec = HashSplit(test=0.3, dev=0.3, seed=seed)
    known = {row[0] for row in rows}
    before, after = sides(spec, rows), sides(spec, rows + [row for row in more if row[0] not in known])
    assume(before and after)
    assert before.items() <= after.items()


def test_hash_shares_are_about_what_was_asked_for_and_the_seed_matters() -> None:
    rows = [(f"k{number}", None, None) for number in range(4000)]
    one, other = sides(HashSplit(test=0.2, dev=0.1), rows), sides(HashSplit(test=0.2, dev=0.1, seed=1), rows)
    for found in (one, other):
        counts = {side: sum(value == side for value in found.values()) / 4000 for side in (TRAIN, DEV, TEST)}
        assert counts == pytest.approx({TRAIN: 0.7, DEV: 0.1, TEST: 0.2}, abs=0.025)
    assert one != other


def test_position_is_spread_and_never_changes() -> None:
    places = np.array([position(0, str(number)) for number in range(2000)])
    assert places.min() >= 0 and places.max() < 1 and abs(places.mean() - 0.5) < 0.02
    assert position(7, "key") == pytest.approx(0.4469623401400372, abs=1e-15)


def test_a_split_that_leaves_nothing_is_a_wrong_request() -> None:
    rows = [("a", "s0", "train"), ("b", "s1", "eval"), ("c", "s2", None)]
    columns = [list(column) for column in zip(*rows, strict=True)]
    with pytest.raises(
        RequestError, match=r"by field leaves no test rows of 3 \(the source's splits are: None, eval, train\)"
    ):
        assign(FieldSplit(), *columns)
    with pytest.raises(RequestError, match="split names nobody, who is not in the data; the speakers are s0, s1, s2"):
        assign(SpeakerSplit(test=("nobody",)), *columns)
    with pytest.raises(RequestError, match="split names nobody"):
        assign(SpeakerSplit(test=("s0",), dev=("nobody",)), *columns)
    with pytest.raises(RequestError, match="leaves no train rows"):
        assign(SpeakerSplit(test=("s0", "s1", "s2")), *columns)
    with pytest.raises(RequestError, match="leaves no train rows of 0"):
        assign(HashSplit(test=0.5, dev=0.1), [], [], [])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FieldSplit(dev=1.0), "dev is 1.0; it must be at least 0 and below 1"),
        (lambda: HashSplit(test=-0.1, dev=0.1), "test is -0.1"),
        (lambda: HashSplit(test=0.5, dev=0.5), "together they must be below 1"),
        (lambda: SpeakerSplit(test=()), "test is empty"),
        (lambda: SpeakerSplit(test=("a", "b"), dev=("b",)), "dev names b, who is in test too"),
        (lambda: SpeakerSplit(test=("a",), dev=-0.5), "dev is -0.5"),
    ],
)
def test_specs_outside_their_range(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
