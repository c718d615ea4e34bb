"""Which rows of a dataset a pipeline uses, and for what: the filter by length, and the ways to split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

_FORBID: dict[str, Any] = {"extra": "forbid"}


def _share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 0 and below 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterSpec:
    """Which utterances to leave out, by length. What is left out is counted, never lost."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    min_seconds: float | None = None
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.min_seconds is not None and self.min_seconds < 0:
            raise ValueError(f"min_seconds is {self.min_seconds}; it must be at least 0")
        if self.max_seconds is not None and self.max_seconds <= (self.min_seconds or 0):
            raise ValueError(
                f"max_seconds is {self.max_seconds}; it must be above min_seconds ({self.min_seconds or 0})"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldSplit:
    """The source says each row's split; `dev` is the share of train set aside where the source has no dev rows."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    by: Literal["field"] = "field"
    dev: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _share("dev", self.dev)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeakerSplit:
    """Whole speakers: those of `test` are the test set; `dev` names speakers too, or a share of the rest."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

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

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

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
