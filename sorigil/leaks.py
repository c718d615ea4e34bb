"""What stands on two sides of a split at once: the same sound, stretches of one recording, a speaker.

A model that is tested on what it learned from looks better than it is. Pure arithmetic over columns of numbers; which
rows are the same is `sorigil.duplicates`', and whether a version is refused is `flows.guards`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sorigil.splits import DEV, TEST, TRAIN

Policy = Literal["refuse", "warn", "allow"]
MOST_EXAMPLES = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class LeakSpec:
    """What to do about each kind of leak: publish no version, say so, or nothing."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    duplicates: Policy = "refuse"  # the same sound on two sides
    recordings: Policy = "refuse"  # stretches of one recording on two sides
    speakers: Policy = "warn"  # a speaker of test who is in train or dev too


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """`groups` groups (twins, recordings, speakers) with `items` test or dev items that train or dev has too."""

    kind: str  # duplicates, recordings or speakers
    groups: int
    items: int
    examples: tuple[str, ...]  # "a (train) and b (test)"


def leak(kind: str, group: NDArray[np.int64], sides: NDArray[np.str_], ids: Sequence[str]) -> Leak | None:
    """The groups (N,) that stand on more than one of train, dev and test; a group below 0 is none. None where none does.

    Speakers are held against the test set only: dev rows are carved from train, and share its speakers where they are few.
    """
    looked = (TEST, TRAIN) if kind == "speakers" else (TEST, DEV, TRAIN)
    side = np.full(len(sides), -1)
    for number, name in enumerate(looked):
        side[sides == name] = number
    if kind == "speakers":
        side[sides == DEV] = looked.index(TRAIN)
    rows = np.flatnonzero((side >= 0) & (group >= 0))
    if not len(rows):
        return None
    count = np.zeros((int(group[rows].max()) + 1, len(looked)), np.int64)
    np.add.at(count, (group[rows], side[rows]), 1)
    split = (count > 0).sum(axis=1) > 1
    if not split.any():
        return None
    wide = np.flatnonzero(split)
    items = int(count[wide, :-1].sum())  # all but train's: those that are to be told from it
    return Leak(
        kind=kind,
        groups=len(wide),
        items=items,
        examples=tuple(_example(rows[group[rows] == one], sides, ids) for one in wide[:MOST_EXAMPLES].tolist()),
    )


def _example(rows: NDArray[np.int64], sides: NDArray[np.str_], ids: Sequence[str]) -> str:
    """The first row of each side, train's first."""
    named = {str(sides[row]): f"{ids[row]} ({sides[row]})" for row in rows[::-1].tolist()}
    return " and ".join(named[side] for side in (TRAIN, DEV, TEST) if side in named)
