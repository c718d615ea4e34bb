"""Mean and variance normalisation of features: per utterance, or by the statistics of a whole training set.

Applied when features are read for a model, never before they are stored: the global statistics depend on the split,
so they belong to the model bundle.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

MIN_DEVIATION = 1e-5  # a column that varies less (silence, an empty mel filter) is only centred, not blown up


def utterance_cmvn(features_TF: npt.NDArray[Any], *, variance: bool = True) -> Floats:
    """Each column of one utterance to mean 0 and, with `variance`, to standard deviation 1: float32 (T, F)."""
    if len(features_TF) == 0:
        return np.asarray(features_TF, dtype=np.float32)
    stats = GlobalStats.of(features_TF)
    return stats.apply(features_TF, variance=variance)


@dataclass(frozen=True, slots=True, eq=False)
class GlobalStats:
    """Count, mean and sum of squared deviations of each column; parts computed apart merge to the whole.

    Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample variances".
    """

    count: int
    mean: Doubles  # (F,)
    m2: Doubles  # (F,)

    @classmethod
    def empty(cls, dim: int) -> GlobalStats:
        return cls(0, np.zeros(dim), np.zeros(dim))

    @classmethod
    def of(cls, features_TF: npt.NDArray[Any]) -> GlobalStats:
        """Statistics of one utterance, (T, F) of any float type."""
        frames = features_TF.astype(np.float64)
        if len(frames) == 0:
            return cls.empty(features_TF.shape[1])
        mean = frames.mean(axis=0)
        return cls(len(frames), mean, np.square(frames - mean).sum(axis=0))

    def merge(self, other: GlobalStats) -> GlobalStats:
        """Statistics of both together; the order matters to rounding only."""
        count = self.count + other.count
        if count == 0:
            return self
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        return GlobalStats(count, mean, self.m2 + other.m2 + apart**2 * (self.count * other.count / count))

    @staticmethod
    def merge_all(parts: Iterable[GlobalStats]) -> GlobalStats:
        """Statistics of all together; raises ValueError when there are none."""
        merged: GlobalStats | None = None
        for part in parts:
            merged = part if merged is None else merged.merge(part)
        if merged is None:
            raise ValueError("there are no statistics to merge; at least one utterance is needed")
        return merged

    @property
    def deviation(self) -> Doubles:
        """Standard deviation of each column (of the population), (F,); 1 where it hardly varies."""
        deviation = np.sqrt(self.m2 / max(1, self.count))
        return np.where(deviation < MIN_DEVIATION, 1.0, deviation)

    def apply(self, features_TF: npt.NDArray[Any], *, variance: bool = True) -> Floats:
        """Features centred by these statistics and, with `variance`, scaled: float32 (T, F)."""
        centred: Floats = features_TF.astype(np.float32) - self.mean.astype(np.float32)
        if variance:
            centred /= self.deviation.astype(np.float32)
        return centred

    def to_json(self) -> dict[str, Any]:
        """Plain values for a model bundle; exact."""
        return {"count": self.count, "mean": self.mean.tolist(), "m2": self.m2.tolist()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> GlobalStats:
        return cls(int(values["count"]), np.array(values["mean"], np.float64), np.array(values["m2"], np.float64))
