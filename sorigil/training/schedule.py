"""The learning rate over a training, as a share of its peak: kinds of schedule and their formulas.

A rate is a function of the share of the training that is done, and for the plateau of the dev figures so far; there is
no counter, so a resumed training needs no state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

_FORBID: dict[str, Any] = {"extra": "forbid"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CosineSpec:
    """Linear warm-up, then half a cosine to zero (Loshchilov & Hutter 2017)."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    kind: Literal["cosine"] = "cosine"


@dataclass(frozen=True, kw_only=True, slots=True)
class ConstantSpec:
    """Linear warm-up, then the peak to the end."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    kind: Literal["constant"] = "constant"


@dataclass(frozen=True, kw_only=True, slots=True)
class OneCycleSpec:
    """Half a cosine up from the peak by `start` during the warm-up, half a cosine down to that by `end` (Smith 2018).

    The rates of torch's OneCycleLR; momentum stays as it is.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    kind: Literal["one_cycle"] = "one_cycle"
    start: float = 25.0
    end: float = 1e4

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name} is {getattr(self, name)}; the rate is divided by it: it must be at least 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlateauSpec:
    """Linear warm-up, then the peak, times `factor` each time that more than `patience` epochs brought nothing better."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _FORBID

    kind: Literal["plateau"] = "plateau"
    factor: float = 0.5
    patience: int = 2  # epochs

    def __post_init__(self) -> None:
        if not 0 < self.factor < 1:
            raise ValueError(f"factor is {self.factor}; it must be above 0 and below 1")
        if self.patience < 0:
            raise ValueError(f"patience is {self.patience}; it must be at least 0 epochs")


ScheduleSpec = CosineSpec | ConstantSpec | OneCycleSpec | PlateauSpec


def learning_rate_at(
    share: float, peak: float, warmup: float, schedule: ScheduleSpec | None = None, ranks: Sequence[float] = ()
) -> float:
    """Return the learning rate when `share` (0 to 1) of all steps are done, `warmup` of which rise to `peak`.

    `ranks` are the dev figures of the epochs so far, smaller being better; only the plateau looks at them.
    """
    rest = (share - warmup) / max(1 - warmup, 1e-9)
    if isinstance(schedule, OneCycleSpec):
        low = peak / schedule.start
        return _cosine(low, peak, share / warmup) if share < warmup else _cosine(peak, low / schedule.end, rest)
    if share < warmup:
        return peak * share / warmup
    if isinstance(schedule, ConstantSpec):
        return peak
    if isinstance(schedule, PlateauSpec):
        return peak * float(schedule.factor ** plateaus(ranks, schedule.patience))
    return peak * 0.5 * (1 + math.cos(math.pi * rest))


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * 0.5 * (1 + math.cos(math.pi * share))


def plateaus(ranks: Sequence[float], patience: int) -> int:
    """Return how often more than `patience` epochs in a row brought nothing better, counted anew after each time."""
    best, waited, found = math.inf, 0, 0
    for rank in ranks:
        waited = 0 if rank < best else waited + 1
        best = min(best, rank)
        if waited > patience:
            waited, found = 0, found + 1
    return found


def share_done(epoch: int, step: int, steps: int, epochs: int) -> float:
    """Return the share of the training that is done in the middle of this step (all counted from 0)."""
    return min((epoch + (step + 0.5) / max(steps, 1)) / epochs, 1.0)
