"""Inner folds: every training row is held out once, test rows never, and groups and classes as in the outer split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sorigil.errors import RequestError
from sorigil.inner_folds import assign_inner, inner_folds_of
from sorigil.split_specs import FieldSplit, FoldSplit, GroupSplit, HashSplit, SpeakerSplit, StratifiedSplit
from sorigil.splits import DEV, TEST, TRAIN, UNUSED, sides_of

ROWS = 120


def columns(speakers: int = 6) -> dict[str, list[Any]]:
    keys = [f"k{number}" for number in range(ROWS)]
    return {
        "key": keys,
        "together": [f"r{number // 2}" for number in range(ROWS)],  # two stretches of each recording
        "split": [("train", "train", "dev", "test")[number // 2 % 4] for number in range(ROWS)],
        "speaker": [f"s{number % speakers}" for number in range(ROWS)],
        "label": [("a", "b", "b", "c")[number // 8 % 4] for number in range(ROWS)],
    }


OUTER = [
    FieldSplit(),
    HashSplit(test=0.3, dev=0.2),
    SpeakerSplit(test=("s0",)),
    GroupSplit(field="speaker", test=("s1",), dev=0.25),
    StratifiedSplit(test=0.2, dev=0.1),
    FoldSplit(folds=4, fold=1, stratify="label"),
    FoldSplit(folds=3, fold=0, group="speaker", stratify="label", dev=0),
]


@pytest.mark.parametrize("outer", OUTER)
def test_each_training_row_is_held_out_once_and_no_test_row_is_used(outer: Any) -> None:
    rows = columns()
    sides = sides_of(outer, rows)
    inner = np.asarray([assign_inner(split, rows) for split in inner_folds_of(outer, 3).values()])
    learned = (sides == TRAIN) | (sides == DEV)
    assert (sides[~learned] == TEST).all() and (sides == TEST).any()
    assert ((inner == DEV).sum(axis=0) == learned).all()
    assert ((inner == TRAIN).sum(axis=0) == 2 * learned).all()
    assert (inner[:, ~learned] == UNUSED).all()


@pytest.mark.parametrize("outer", OUTER)
def test_what_the_outer_split_keeps_whole_stays_whole(outer: Any) -> None:
    rows = columns()
    by_speaker = isinstance(outer, SpeakerSplit | GroupSplit) or getattr(outer, "group", "")
    names = rows["speaker" if by_speaker else "together"]
    for split in inner_folds_of(outer, 3).values():
        sides = assign_inner(split, rows)
        held = {name for name, side in zip(names, sides, strict=True) if side == DEV}
        assert held and not held & {name for name, side in zip(names, sides, strict=True) if side == TRAIN}


def test_classes_are_dealt_out_evenly_where_the_outer_split_does() -> None:
    rows = {**columns(), "together": columns()["key"]}
    labels = np.asarray(rows["label"])
    for outer in (StratifiedSplit(test=0.2, dev=0.1), FoldSplit(folds=5, fold=2, stratify="label")):
        parts = [assign_inner(split, rows) for split in inner_folds_of(outer, 4).values()]
        for label in "abc":
            held = [int(((sides == DEV) & (labels == label)).sum()) for sides in parts]
            assert max(held) - min(held) <= 1


@given(st.lists(st.integers(1, 9), min_size=3, max_size=12), st.integers(2, 3), st.integers(0, 5))
def test_no_part_is_empty_however_unequal_the_speakers_are(sizes: list[int], folds: int, seed: int) -> None:
    speaker = [f"s{number}" for number, size in enumerate(sizes) for _ in range(size)]
    keys = [f"k{number}" for number in range(len(speaker))]
    rows = {"key": keys, "together": keys, "split": [None] * len(keys), "speaker": speaker}
    outer = GroupSplit(field="speaker", test=0.0, dev=0.0, seed=seed)  # all rows are for training
    held = [(assign_inner(split, rows) == DEV).sum() for split in inner_folds_of(outer, folds).values()]
    assert min(held) > 0 and sum(held) == len(keys)


def test_parts_do_not_depend_on_the_order_of_rows() -> None:
    rows, outer = columns(), GroupSplit(field="speaker", test=("s1",))
    order = np.random.default_rng(0).permutation(ROWS)
    shuffled = {name: [column[place] for place in order] for name, column in rows.items()}
    for split in inner_folds_of(outer, 2).values():
        assert (assign_inner(split, rows)[order] == assign_inner(split, shuffled)).all()


def test_too_few_groups_are_a_sentence() -> None:
    (split, *_) = inner_folds_of(SpeakerSplit(test=("s0",)), 6).values()
    with pytest.raises(RequestError, match="inner_folds is 6, but there are only 5 speakers to train on"):
        assign_inner(split, columns())
