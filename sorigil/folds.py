"""Several splits of the same rows, so that each of them is in a test set once: one training and one score for each.

A fold is a `SplitSpec` with a name. What a fold's model learned from, and what its dev rows are, follows from that split
alone; nothing here looks at a score.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from sorigil.errors import RequestError
from sorigil.split_specs import FoldSplit, GroupSplit, SplitSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaveOneOut:
    """Each value of a field in turn is the test set: leave one speaker (or recording, or site) out."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    kind: Literal["leave_one_out"] = "leave_one_out"
    field: str = "speaker"  # speaker, recording, label, lang, or any extra of the source
    only: tuple[str, ...] = ()  # these values; empty: all
    dev: float = 0.1  # share of the other rows
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.dev < 1:
            raise ValueError(f"dev is {self.dev}; it must be at least 0 and below 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class KFold:
    """`k` parts of about the same size, each the test set once."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    kind: Literal["k_fold"] = "k_fold"
    k: int = 5
    group: str = ""  # whole groups of rows that share this field's value
    stratify: str = ""  # the same shares of each of this field's values in every part
    dev: float = 0.1  # share of the other rows
    seed: int = 0

    def __post_init__(self) -> None:
        if self.k < 2:
            raise ValueError(f"k is {self.k}; it must be at least 2")
        if not 0 <= self.dev < 1:
            raise ValueError(f"dev is {self.dev}; it must be at least 0 and below 1")


FoldsSpec = LeaveOneOut | KFold


def folds_of(spec: FoldsSpec, values: Sequence[str | None] = ()) -> dict[str, SplitSpec]:
    """Each fold's split by its name; `values` is the column `field` of `LeaveOneOut`.

    Raises:
        RequestError: a value of `only` is not in the data, or there are fewer than two values.
    """
    if isinstance(spec, KFold):
        common: dict[str, Any] = {"group": spec.group, "stratify": spec.stratify, "dev": spec.dev, "seed": spec.seed}
        return {f"{fold}/{spec.k}": FoldSplit(folds=spec.k, fold=fold, **common) for fold in range(spec.k)}
    known = sorted({value for value in values if value})
    if missing := sorted(set(spec.only) - set(known)):
        there = ", ".join(known) or "nothing"
        raise RequestError(f"folds names the {spec.field} {', '.join(missing)}, not in the data; there are {there}")
    if len(known) < 2:
        seen = f"only {known[0]}" if known else "none"
        raise RequestError(f"folds leaves one {spec.field} out, and the data has {seen}; there must be at least two")
    return {
        value: GroupSplit(field=spec.field, test=(value,), dev=spec.dev, seed=spec.seed) for value in spec.only or known
    }


def spread(values: Sequence[float]) -> dict[str, float | int | None]:
    """Mean, standard deviation (of a sample: divided by n - 1; None for a single value), least, greatest and how many."""
    mean = sum(values) / len(values)
    squares = sum((value - mean) ** 2 for value in values)
    std = math.sqrt(squares / (len(values) - 1)) if len(values) > 1 else None
    return {"mean": mean, "std": std, "min": min(values), "max": max(values), "n": len(values)}
