"""Which rows are for training, for development and for the test.

Test or not depends on the row itself and on the spec alone, so a row never changes that side as data grows, and the order
of rows never matters. Development rows are carved out of train, never out of test: whole speakers where there are enough
of them that one is not more than about the share asked for, else single rows by a stable hash. Shares that are counted (of
whole speakers, of each class) are exact instead: as data grows, rows at the edge of such a share may change sides. What
has one name in the column `together` (stretches of a recording, near-duplicates) is never parted by a hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sorigil.errors import RequestError
from sorigil.split_specs import FoldSplit, GroupSplit, HashSplit, SpeakerSplit, SplitSpec, StratifiedSplit

TRAIN, DEV, TEST, UNUSED = "train", "dev", "test", "unused"
# What sources call these; anything else (a row without words: `unlabelled`) is in no split.
NAMES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("dev", "valid", "validation", "val", "eval"), DEV),
    **dict.fromkeys(("test", "testing"), TEST),
}
_SPEAKER_SLACK = 1.5  # a speaker may hold this many times the share asked for


Column = Sequence[str | None]
Rows = Mapping[str, Column]  # by name: key, together, speaker, split, and the fields that the spec asks for


def position(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on nothing but the seed and the name."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big") / 2**64


def assign(spec: SplitSpec, rows: Rows) -> NDArray[np.str_]:
    """The split of each row: "train", "dev", "test" or "unused".

    Raises:
        RequestError: a named speaker or group is not in the data, or the split leaves train or test empty.
    """
    sides = sides_of(spec, rows)
    for side in (TRAIN, TEST):
        if not np.any(sides == side):
            known = ", ".join(sorted({str(name) for name in rows["split"]})) or "nothing"
            raise RequestError(
                f"split: by {spec.by} leaves no {side} rows of {len(sides)} (the source's splits are: {known})"
            )
    return sides


def sides_of(spec: SplitSpec, rows: Rows) -> NDArray[np.str_]:
    """As `assign`, where a side may be empty."""
    if isinstance(spec, HashSplit):
        return _by_position(rows["together"], spec.test, spec.dev, spec.seed)
    if isinstance(spec, SpeakerSplit):
        return _by_names("speaker", rows["speaker"], spec.test, spec.dev, spec.seed, rows)
    if isinstance(spec, GroupSplit):
        return _by_group(spec, rows)
    if isinstance(spec, StratifiedSplit):
        return _stratified(spec, rows)
    if isinstance(spec, FoldSplit):
        return _by_fold(spec, rows)
    sides = np.asarray([NAMES.get((name or "").lower(), UNUSED) for name in rows["split"]], dtype="<U6")
    if not np.any(sides == DEV):
        _carve_dev(sides, spec.dev, spec.seed, rows)
    return sides


def _by_position(names: Column, test: float, dev: float, seed: int) -> NDArray[np.str_]:
    places = np.asarray([position(seed, str(name)) for name in names])
    return np.where(places < test, TEST, np.where(places < test + dev, DEV, TRAIN))


def groups_of(rows: Rows, field: str) -> list[str]:
    """Each row's group; a row without one stands for itself."""
    if not field:
        return [str(name) for name in rows["together"]]
    return [f"{field}={value}" if value else str(own) for value, own in zip(rows[field], rows["together"], strict=True)]


def _by_group(spec: GroupSplit, rows: Rows) -> NDArray[np.str_]:
    if isinstance(spec.test, tuple):
        return _by_names(spec.field, rows[spec.field], spec.test, spec.dev, spec.seed, rows)
    groups = groups_of(rows, spec.field)
    if isinstance(spec.dev, tuple):
        sides = _by_position(groups, spec.test, 0.0, spec.seed)
        sides[np.isin(np.asarray(rows[spec.field], dtype=object), spec.dev)] = DEV
        return sides
    return _by_position(groups, spec.test, spec.dev, spec.seed)


def _by_names(
    field: str, values: Column, test: tuple[str, ...], dev: float | tuple[str, ...], seed: int, rows: Rows
) -> NDArray[np.str_]:
    known = {value for value in values if value}
    named = dev if isinstance(dev, tuple) else ()
    missing = sorted({*test, *named} - known)
    if missing:
        who = "who is" if field == "speaker" else f"a {field} that is"
        there = ", ".join(sorted(known)) or "nothing"
        raise RequestError(f"split names {', '.join(missing)}, {who} not in the data; the {field}s are {there}")
    sides = np.asarray([TEST if value in test else DEV if value in named else TRAIN for value in values], dtype="<U6")
    if not isinstance(dev, tuple):
        _carve_dev(sides, dev, seed, rows)
    return sides


def _stratified(spec: StratifiedSplit, rows: Rows) -> NDArray[np.str_]:
    """In each class the groups in the order of their hashes, cut where the shares are full."""
    middle = _place_in_class(groups_of(rows, spec.group), rows[spec.field], spec.seed)
    return np.where(middle <= spec.test, TEST, np.where(middle <= spec.test + spec.dev, DEV, TRAIN))


def _place_in_class(groups: list[str], values: Column, seed: int) -> NDArray[np.float64]:
    """How much of its class lies before the middle of each row's group (0 to 1), the groups in the order of their hashes."""
    names, unit = np.unique(groups, return_inverse=True)
    classes, label = np.unique([str(value) for value in values], return_inverse=True)
    counts = np.zeros((int(unit.max(initial=-1)) + 1, len(classes)), np.int64)
    np.add.at(counts, (unit, label), 1)
    stratum, size = counts.argmax(axis=1), counts.sum(axis=1)
    places = np.asarray([position(seed, name) for name in names.tolist()])
    order = np.lexsort((places, stratum))
    total = np.bincount(stratum, weights=size, minlength=len(classes))
    before = np.cumsum(size[order]) - size[order]
    first = np.concatenate([[0.0], np.cumsum(total)])[stratum[order]]
    middle = np.empty(len(order))
    middle[order] = (before - first + size[order] / 2) / total[stratum[order]]
    return middle[unit]


def _by_fold(spec: FoldSplit, rows: Rows) -> NDArray[np.str_]:
    groups = groups_of(rows, spec.group)
    if spec.stratify:
        place = _place_in_class(groups, rows[spec.stratify], spec.seed)
    else:
        place = np.asarray([position(spec.seed, group) for group in groups])
    fold = (place * spec.folds).astype(np.int64)
    # Another hash than the folds': or dev would be a part of fold 0.
    dev = np.asarray([position(spec.seed, f"dev:{group}") < spec.dev for group in groups], bool)
    return np.where(fold == spec.fold, TEST, np.where(dev, DEV, TRAIN))


def _carve_dev(sides: NDArray[np.str_], share: float, seed: int, rows: Rows) -> None:
    """Turn about `share` of the train rows into dev rows, in place."""
    train = np.flatnonzero(sides == TRAIN)
    if not len(train) or not share:
        return
    groups = _speaker_groups(train, rows["speaker"])
    if groups is None or max(map(len, groups.values())) > share * _SPEAKER_SLACK * len(train):
        sides[[row for row in train.tolist() if position(seed, str(rows["together"][row])) < share]] = DEV
        return
    taken = 0
    for name in sorted(groups, key=lambda speaker: position(seed, speaker)):
        if taken >= share * len(train):
            break
        sides[groups[name]] = DEV
        taken += len(groups[name])


def _speaker_groups(rows: NDArray[np.int64], speakers: Sequence[str | None]) -> dict[str, list[int]] | None:
    """The rows of each speaker, or None where some row's speaker is unknown."""
    groups: dict[str, list[int]] = {}
    for row in rows.tolist():
        speaker = speakers[int(row)]
        if not speaker:
            return None
        groups.setdefault(speaker, []).append(row)
    return groups
