"""Which rows are for training, for development and for the test.

Test or not depends on the row itself and on the spec alone, so a row never changes that side as data grows, and the order
of rows never matters. Development rows are carved out of train, never out of test: whole speakers where there are enough
of them that one is not more than about the share asked for, else single rows by a stable hash. A share in whole speakers
is counted, so as data grows the last speaker of dev may go back to train.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sorigil.errors import RequestError

TRAIN, DEV, TEST, UNUSED = "train", "dev", "test", "unused"
# What sources call these; anything else (a row without words: `unlabelled`) is in no split.
NAMES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("dev", "valid", "validation", "val", "eval"), DEV),
    **dict.fromkeys(("test", "testing"), TEST),
}
_SPEAKER_SLACK = 1.5  # a speaker may hold this many times the share asked for


def _share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 0 and below 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldSplit:
    """The source says each row's split; `dev` is the share of train set aside where the source has no dev rows."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    by: Literal["field"] = "field"
    dev: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _share("dev", self.dev)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeakerSplit:
    """Whole speakers: those of `test` are the test set; `dev` names speakers too, or a share of the rest."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    by: Literal["speaker"] = "speaker"
    test: tuple[str, ...]
    dev: float | tuple[str, ...] = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.test:
            raise ValueError("test is empty; it must name at least one speaker")
        if not isinstance(self.dev, tuple):
            return _share("dev", self.dev)
        if both := sorted(set(self.test) & set(self.dev)):
            raise ValueError(f"dev names {', '.join(both)}, who is in test too; a speaker belongs to one of them")
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class HashSplit:
    """A share of the rows, chosen by a stable hash of their content: a row stays where it is when others come."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    by: Literal["hash"] = "hash"
    test: float
    dev: float
    seed: int = 0

    def __post_init__(self) -> None:
        _share("test", self.test)
        _share("dev", self.dev)
        if self.test + self.dev >= 1:
            raise ValueError(f"test is {self.test} and dev {self.dev}; together they must be below 1")


SplitSpec = FieldSplit | SpeakerSplit | HashSplit


def position(seed: int, name: str) -> float:
    """A number in [0, 1) that depends on nothing but the seed and the name."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big") / 2**64


def assign(
    spec: SplitSpec, keys: Sequence[str], speakers: Sequence[str | None], given: Sequence[str | None]
) -> NDArray[np.str_]:
    """The split of each row: "train", "dev", "test" or "unused".

    Raises:
        RequestError: a named speaker is not in the data, or the split leaves train or test empty.
    """
    if isinstance(spec, HashSplit):
        places = np.asarray([position(spec.seed, key) for key in keys])
        sides = np.where(places < spec.test, TEST, np.where(places < spec.test + spec.dev, DEV, TRAIN))
    elif isinstance(spec, SpeakerSplit):
        sides = _by_speaker(spec, keys, speakers)
    else:
        sides = np.asarray([NAMES.get((name or "").lower(), UNUSED) for name in given], dtype="<U6")
        if not np.any(sides == DEV):
            _carve_dev(sides, spec.dev, spec.seed, keys, speakers)
    for side in (TRAIN, TEST):
        if not np.any(sides == side):
            known = ", ".join(sorted({str(name) for name in given})) or "nothing"
            raise RequestError(
                f"split: by {spec.by} leaves no {side} rows of {len(keys)} (the source's splits are: {known})"
            )
    return sides


def _by_speaker(spec: SpeakerSplit, keys: Sequence[str], speakers: Sequence[str | None]) -> NDArray[np.str_]:
    known = {speaker for speaker in speakers if speaker}
    dev = spec.dev if isinstance(spec.dev, tuple) else ()
    missing = sorted({*spec.test, *dev} - known)
    if missing:
        raise RequestError(
            f"split names {', '.join(missing)}, who is not in the data; the speakers are {', '.join(sorted(known))}"
        )
    sides = np.asarray(
        [TEST if speaker in spec.test else DEV if speaker in dev else TRAIN for speaker in speakers], dtype="<U6"
    )
    if not isinstance(spec.dev, tuple):
        _carve_dev(sides, spec.dev, spec.seed, keys, speakers)
    return sides


def _carve_dev(
    sides: NDArray[np.str_], share: float, seed: int, keys: Sequence[str], speakers: Sequence[str | None]
) -> None:
    """Turn about `share` of the train rows into dev rows, in place."""
    rows = np.flatnonzero(sides == TRAIN)
    if not len(rows) or not share:
        return
    groups = _speaker_groups(rows, speakers)
    if groups is None or max(map(len, groups.values())) > share * _SPEAKER_SLACK * len(rows):
        sides[[row for row in rows.tolist() if position(seed, keys[row]) < share]] = DEV
        return
    taken = 0
    for name in sorted(groups, key=lambda speaker: position(seed, speaker)):
        if taken >= share * len(rows):
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
