"""Folds within a split's training rows: settings are compared on them, and the test rows have no say in the choice.

The outer split is any (one of `folds.py`, or a pipeline's own). What it would not part (a speaker, a recording) is not
parted here either, so that the inner question is the outer one, asked of fewer rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sorigil.errors import RequestError
from sorigil.split_specs import FoldSplit, GroupSplit, SpeakerSplit, SplitSpec, StratifiedSplit
from sorigil.splits import DEV, TRAIN, UNUSED, Rows, groups_of, position, sides_of


@dataclass(frozen=True, kw_only=True, slots=True)
class InnerSplit:
    """Part `fold` of `folds` of the training and dev rows of `outer` stands in for dev; its test rows are unused."""

    by: Literal["inner"] = "inner"
    outer: SplitSpec
    folds: int
    fold: int  # from 0


def inner_folds_of(outer: SplitSpec, folds: int) -> dict[str, InnerSplit]:
    """Each inner fold's split by its name."""
    return {f"{fold}/{folds}": InnerSplit(outer=outer, folds=folds, fold=fold) for fold in range(folds)}


def assign_inner(spec: InnerSplit, rows: Rows) -> NDArray[np.str_]:
    """The side of each row: "train", "dev" or "unused".

    Raises:
        RequestError: there are fewer groups of training rows than folds.
    """
    outer = sides_of(spec.outer, rows)
    learned = np.flatnonzero((outer == TRAIN) | (outer == DEV))
    within = {name: [column[row] for row in learned.tolist()] for name, column in rows.items()}
    sides = np.full(len(outer), UNUSED, dtype="<U6")
    sides[learned] = np.where(_parts(spec, within) == spec.fold, DEV, TRAIN)
    return sides


def _parts(spec: InnerSplit, rows: Rows) -> NDArray[np.int64]:
    """The number of each row's part. Whole groups are dealt out class by class, the largest first and equal ones in the
    order of their hashes: each part has its share of the groups of every class, and none is empty."""
    field, stratify = _group(spec.outer), _classes(spec.outer)
    names, unit, size = np.unique(groups_of(rows, field), return_inverse=True, return_counts=True)
    if len(names) < spec.folds:
        what = f"{field}s" if field else "rows"
        raise RequestError(f"inner_folds is {spec.folds}, but there are only {len(names)} {what} to train on")
    classes = np.unique([str(value) for value in rows[stratify]], return_inverse=True)[1] if stratify else None
    places = np.asarray([position(spec.outer.seed, f"inner:{name}") for name in names.tolist()])
    order = np.lexsort((places, -size, np.zeros(len(names)) if classes is None else _commonest(unit, classes)))
    part = np.empty(len(names), np.int64)
    part[order] = np.arange(len(names)) % spec.folds
    return part[unit]


def _commonest(unit: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class that most rows of each unit have."""
    counts = np.zeros((int(unit.max(initial=-1)) + 1, int(classes.max(initial=-1)) + 1), np.int64)
    np.add.at(counts, (unit, classes), 1)
    found: NDArray[np.int64] = counts.argmax(axis=1)
    return found


def _group(split: SplitSpec) -> str:
    """The field whose values the split keeps whole ("": none)."""
    if isinstance(split, SpeakerSplit):
        return "speaker"
    return split.field if isinstance(split, GroupSplit) else getattr(split, "group", "")


def _classes(split: SplitSpec) -> str:
    """The field whose values the split deals out evenly ("": none)."""
    if isinstance(split, StratifiedSplit):
        return split.field
    return split.stratify if isinstance(split, FoldSplit) else ""
