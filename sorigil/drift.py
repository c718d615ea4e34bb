"""How far a version is from the last one: amounts, distributions of lengths and of the signal's measures, speakers, labels, words.

Distributions of numbers are compared by the Kolmogorov-Smirnov statistic, those of names by the total variation distance:
both are 0 for the same and 1 for what has nothing in common, and both are the largest (half the summed) difference in
shares, so one limit suits them all. Pure arithmetic; what a large shift means for a run is `flows.guards`' to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

FEWEST = 30  # values on each side from which a distribution says something


@dataclass(frozen=True, kw_only=True, slots=True)
class DriftSpec:
    """How far a version may be from the last one before it is not published. Null: as far as it likes."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    max_shift: float | None = None  # of any distribution: 0 the same, 1 nothing in common
    max_change: float | None = None  # of items, hours, speakers, words: 0.5 is half more or half less

    def __post_init__(self) -> None:
        if self.max_shift is not None and not 0 < self.max_shift <= 1:
            raise ValueError(f"max_shift is {self.max_shift}; it must be above 0 and at most 1")
        if self.max_change is not None and self.max_change <= 0:
            raise ValueError(f"max_change is {self.max_change}; it must be above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What a version is like: `amounts` by name, `numbers` (known values by name), `names` (how often each value, by name;
    the profiles that are compared list the same values in the same order)."""

    amounts: dict[str, float]
    numbers: dict[str, NDArray[np.float64]]
    names: Mapping[str, NDArray[np.int64]]


def compare(old: Profile, new: Profile) -> dict[str, dict[str, Any]]:
    """`amounts`: what was, what is and by what share it changed; `shifts`: of each distribution the distance, and for
    numbers the medians. What either side knows too little of is left out."""
    amounts = {
        name: {"old": old.amounts[name], "new": value, "change": _change(old.amounts[name], value)}
        for name, value in new.amounts.items()
    }
    shifts: dict[str, Any] = {}
    for name, values in new.numbers.items():
        before, after = (each[np.isfinite(each)] for each in (old.numbers[name], values))
        if min(len(before), len(after)) >= FEWEST:
            medians = {"old": float(np.median(before)), "new": float(np.median(after))}
            shifts[name] = {"shift": kolmogorov_smirnov(before, after), **medians}
    for name, counts in new.names.items():
        if min(old.names[name].sum(), counts.sum()) >= FEWEST:
            shifts[name] = {"shift": total_variation(old.names[name], counts)}
    return {"amounts": amounts, "shifts": shifts}


def too_far(found: dict[str, dict[str, Any]], spec: DriftSpec) -> list[str]:
    """What is beyond the spec's limits, in words."""
    said = []
    for name, row in found["amounts"].items():
        if spec.max_change is not None and row["change"] is not None and abs(row["change"]) > spec.max_change:
            said.append(f"{name} went from {row['old']:g} to {row['new']:g} ({100 * row['change']:+.0f} %)")
    for name, row in found["shifts"].items():
        if spec.max_shift is not None and row["shift"] > spec.max_shift:
            medians = f", median {row['old']:.3g} to {row['new']:.3g}" if "old" in row else ""
            said.append(f"{name} shifted by {row['shift']:.2f}{medians}")
    return said


def kolmogorov_smirnov(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The largest difference between the two samples' cumulative shares (scipy.stats.ks_2samp's statistic, without the
    half second that importing it takes)."""
    both = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(each), both, side="right") / len(each) for each in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def total_variation(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Half the sum of the differences in share, of counts (N,) of the same N values."""
    return float(0.5 * np.abs(one / one.sum() - other / other.sum()).sum())


def _change(old: float, new: float) -> float | None:
    return (new - old) / old if old else None
