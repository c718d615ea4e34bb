"""SpecAugment's masks: random stretches of frames and of columns are replaced by each column's mean.

Park et al. (2019), "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition", without time
warping. For training rows only; the generator comes from `sorigil.audio.augment.rng_for`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureMask:
    """How many masks, and how wide at most; each width is drawn uniformly from 0 to its limit."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    FORMAT: ClassVar[int] = 1

    time_masks: int = 2
    time_width: int = 20  # frames
    time_share: float = (
        0.2  # of the utterance: one mask is never wider, so short ones keep their words (p in the paper)
    )
    freq_masks: int = 2
    freq_width: int = 15  # columns

    def __post_init__(self) -> None:
        for name in ("time_masks", "time_width", "freq_masks", "freq_width"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 or above")
        if not 0 <= self.time_share <= 1:
            raise ValueError(f"time_share is {self.time_share}; it lies between 0 and 1")


def mask(features_TF: Floats, spec: FeatureMask, rng: np.random.Generator) -> Floats:
    """A masked copy of one utterance's features, (T, F). After normalisation the mean put in is 0."""
    masked = features_TF.copy()
    frames, columns = features_TF.shape
    if frames == 0:
        return masked
    mean_F = features_TF.mean(axis=0, dtype=np.float32).astype(features_TF.dtype)
    for first, last in _stretches(spec.time_masks, min(spec.time_width, int(spec.time_share * frames)), frames, rng):
        masked[first:last] = mean_F
    for first, last in _stretches(spec.freq_masks, min(spec.freq_width, columns), columns, rng):
        masked[:, first:last] = mean_F[first:last]
    return masked


def _stretches(count: int, widest: int, length: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    stretches = []
    for _ in range(count):
        width = int(rng.integers(0, widest, endpoint=True))
        first = int(rng.integers(0, length - width, endpoint=True))
        stretches.append((first, first + width))
    return stretches
