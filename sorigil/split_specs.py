"""How rows may be split into train, dev and test: the parameters of each way. `splits.py` carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal


def _share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 0 and below 1")


def _shares(test: float, dev: float) -> None:
    _share("test", test)
    _share("dev", dev)
    if test + dev >= 1:
        raise ValueError(f"test is {test} and dev {dev}; together they must be below 1")


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
        _shares(self.test, self.dev)


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupSplit:
    """Whole groups of rows that share a field's value: named ones, or a share of the groups by a stable hash."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    by: Literal["group"] = "group"
    field: str  # speaker, recording, label, lang, or any extra of the source
    test: float | tuple[str, ...]
    dev: float | tuple[str, ...] = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.test, tuple) and not isinstance(self.dev, tuple):
            return _shares(self.test, self.dev)
        for name, value in (("test", self.test), ("dev", self.dev)):
            if not isinstance(value, tuple):
                _share(name, value)
        if isinstance(self.test, tuple) and isinstance(self.dev, tuple) and (both := set(self.test) & set(self.dev)):
            raise ValueError(
                f"dev names {', '.join(sorted(both))}, which is in test too; a group belongs to one of them"
            )
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class StratifiedSplit:
    """The same shares of every class (or of any field's values); with `group`, whole groups, each counted in the class
    that most of its rows have."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    by: Literal["stratified"] = "stratified"
    field: str = "label"
    group: str = ""
    test: float
    dev: float
    seed: int = 0

    def __post_init__(self) -> None:
        _shares(self.test, self.dev)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldSplit:
    """Cross-validation: fold number `fold` of `folds` is the test set. A row (or a group) is in the same fold for ever,
    unless `stratify` has the folds counted out, so that each has its share of every class."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    by: Literal["fold"] = "fold"
    folds: int
    fold: int  # from 0
    group: str = ""  # whole groups of rows that share this field's value
    stratify: str = ""  # the same shares of each of this field's values in every fold
    dev: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise ValueError(f"folds is {self.folds}; it must be at least 2")
        if not 0 <= self.fold < self.folds:
            raise ValueError(f"fold is {self.fold}; it must be 0 to {self.folds - 1}, below folds")
        _share("dev", self.dev)


SplitSpec = FieldSplit | SpeakerSplit | HashSplit | GroupSplit | StratifiedSplit | FoldSplit


def fields_of(spec: SplitSpec) -> tuple[str, ...]:
    """The fields beyond key, together, speaker and split that a split looks at."""
    return tuple(name for part in ("field", "group", "stratify") if (name := getattr(spec, part, "")))
