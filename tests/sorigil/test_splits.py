"""Splits: speakers stay whole, the test set stays what it is, and nothing depends on the order of rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.split_specs import FieldSplit, FoldSplit, GroupSplit, HashSplit, SpeakerSplit, StratifiedSplit
from sorigil.splits import DEV, TEST, TRAIN, UNUSED, assign, position, sides_of

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


def columns(rows: list[Any]) -> dict[str, list[Any]]:
    """Key, speaker and split of each row as `assign` wants them; each row is alone unless it says with whom it goes."""
    made = {name: [row[place] for row in rows] for place, name in enumerate(("key", "speaker", "split"))}
    together = [row[3] if len(row) > 3 else row[0] for row in rows]
    labels = [row[4] if len(row) > 4 else None for row in rows]
    return {**made, "together": together, "label": labels}


def sides(spec: Any, rows: list[Any]) -> dict[str, str]:
    """The side of each key, or nothing where the split is refused."""
    try:
        found = assign(spec, columns(rows))
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
    given = columns(rows)
    with pytest.raises(
        RequestError, match=r"by field leaves no test rows of 3 \(the source's splits are: None, eval, train\)"
    ):
        assign(FieldSplit(), given)
    with pytest.raises(RequestError, match="split names nobody, who is not in the data; the speakers are s0, s1, s2"):
        assign(SpeakerSplit(test=("nobody",)), given)
    with pytest.raises(RequestError, match="split names nobody"):
        assign(SpeakerSplit(test=("s0",), dev=("nobody",)), given)
    with pytest.raises(RequestError, match="leaves no train rows"):
        assign(SpeakerSplit(test=("s0", "s1", "s2")), given)
    with pytest.raises(RequestError, match="leaves no train rows of 0"):
        assign(HashSplit(test=0.5, dev=0.1), columns([]))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FieldSplit(dev=1.0), "dev is 1.0; it must be at least 0 and below 1"),
        (lambda: HashSplit(test=-0.1, dev=0.1), "test is -0.1"),
        (lambda: HashSplit(test=0.5, dev=0.5), "together they must be below 1"),
        (lambda: SpeakerSplit(test=()), "test is empty"),
        (lambda: SpeakerSplit(test=("a", "b"), dev=("b",)), "dev names b, who is in test too"),
        (lambda: SpeakerSplit(test=("a",), dev=-0.5), "dev is -0.5"),
        (lambda: GroupSplit(field="site", test=0.7, dev=0.3), "together they must be below 1"),
        (lambda: GroupSplit(field="site", test=("a",), dev=("a",)), "dev names a, which is in test too"),
        (lambda: GroupSplit(field="site", test=("a",), dev=1.5), "dev is 1.5"),
        (lambda: StratifiedSplit(test=0.6, dev=0.4), "together they must be below 1"),
        (lambda: FoldSplit(folds=1, fold=0), "folds is 1; it must be at least 2"),
        (lambda: FoldSplit(folds=5, fold=5), "fold is 5; it must be 0 to 4"),
    ],
)
def test_specs_outside_their_range(make: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


# -- groups, classes, folds ------------------------------------------------------------------------------------------------

_grouped_row = st.tuples(
    st.integers(0, 10**6).map(lambda number: f"key{number}"), st.sampled_from([*_SPEAKERS, None]), st.none(),
    st.sampled_from([f"r{number}" for number in range(30)]), st.sampled_from("abc"),
)  # fmt: skip
_grouped_rows = st.lists(_grouped_row, min_size=1, max_size=80, unique_by=lambda row: row[0])
_never_moving = st.one_of(
    st.builds(HashSplit, test=st.just(0.3), dev=st.sampled_from([0.0, 0.3]), seed=st.integers(0, 3)),
    st.builds(GroupSplit, field=st.just("speaker"), test=st.just(0.3), dev=st.just(0.2), seed=st.integers(0, 3)),
    st.builds(
        FoldSplit, folds=st.just(3), fold=st.integers(0, 2), group=st.sampled_from(["", "speaker"]), seed=st.integers(0, 3)
    ),
)  # fmt: skip


def found_sides(spec: Any, rows: list[Any]) -> dict[str, str]:
    return dict(zip((row[0] for row in rows), sides_of(spec, columns(rows)).tolist(), strict=True))


@given(spec=_never_moving, rows=_grouped_rows, more=_grouped_rows, order=st.randoms())
def test_no_row_ever_changes_sides_and_groups_stay_whole(
    spec: Any, rows: list[Any], more: list[Any], order: Any
) -> None:
    known = {row[0] for row in rows}
    everything = rows + [row for row in more if row[0] not in known]
    order.shuffle(everything)
    after = found_sides(spec, everything)
    assert found_sides(spec, rows).items() <= after.items()
    field = 1 if "speaker" in (getattr(spec, "field", ""), getattr(spec, "group", "")) else 3
    sides_by_group: dict[Any, set[str]] = {}
    for row in everything:
        if row[field] is not None:
            sides_by_group.setdefault(row[field], set()).add(after[row[0]])
    assert all(len(each) == 1 for each in sides_by_group.values())


@given(rows=_grouped_rows, group=st.sampled_from(["", "speaker"]), seed=st.integers(0, 3))
def test_every_row_is_in_exactly_one_test_fold(rows: list[Any], group: str, seed: int) -> None:
    folds = [found_sides(FoldSplit(folds=4, fold=fold, group=group, seed=seed), rows) for fold in range(4)]
    assert all(sum(fold[row[0]] == TEST for fold in folds) == 1 for row in rows)


def test_folds_are_of_like_size_and_each_has_dev_rows() -> None:
    rows = [(f"k{number}", None, None) for number in range(5000)]
    for fold in range(5):
        found = list(found_sides(FoldSplit(folds=5, fold=fold, dev=0.1), rows).values())
        assert found.count(TEST) / 5000 == pytest.approx(0.2, abs=0.02)
        assert found.count(DEV) / 5000 == pytest.approx(0.08, abs=0.02)


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    test=st.sampled_from([0.1, 0.25, 0.5]),
    seed=st.integers(0, 5),
    order=st.randoms(),
)
def test_each_class_has_its_share_to_the_nearest_row(sizes: list[int], test: float, seed: int, order: Any) -> None:
    rows = [
        (f"{label}-{row}", None, None, f"{label}-{row}", str(label))
        for label, size in enumerate(sizes)
        for row in range(size)
    ]
    spec = StratifiedSplit(test=test, dev=0.2, seed=seed)
    found = found_sides(spec, rows)
    for label, size in enumerate(sizes):
        sides = [found[row[0]] for row in rows if row[4] == str(label)]
        assert abs(sides.count(TEST) - test * size) <= 0.5
        assert abs(sides.count(DEV) - 0.2 * size) <= 1
    shuffled = list(rows)
    order.shuffle(shuffled)
    assert found_sides(spec, shuffled) == found


def test_strata_keep_groups_whole() -> None:
    rows = [(f"k{number}", f"s{number // 5}", None, f"k{number}", "ab"[number // 5 % 2]) for number in range(200)]
    found = found_sides(StratifiedSplit(test=0.25, dev=0.25, group="speaker"), rows)
    for speaker in {row[1] for row in rows}:
        assert len({found[row[0]] for row in rows if row[1] == speaker}) == 1
    for label in "ab":
        assert sum(found[row[0]] == TEST for row in rows if row[4] == label) == 25


def test_named_groups_of_any_field() -> None:
    rows = [(f"k{number}", None, None, f"k{number}", "abc"[number % 3]) for number in range(30)]
    found = found_sides(GroupSplit(field="label", test=("a",), dev=("b",)), rows)
    assert {row[4]: found[row[0]] for row in rows} == {"a": TEST, "b": DEV, "c": TRAIN}
    with pytest.raises(RequestError, match="split names z, a label that is not in the data; the labels are a, b, c"):
        assign(GroupSplit(field="label", test=("z",)), columns(rows))
