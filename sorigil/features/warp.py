"""Other tempi and other voices out of one utterance's features: both axes are read at stretched places.

`tempo` plays the frames faster or slower without touching the pitch; `voice` moves all columns up or down by one factor,
as a longer or shorter vocal tract does: vocal tract length perturbation (Jaitly & Hinton 2013, "Vocal Tract Length
Perturbation (VTLP) improves speech recognition"), here along the mel axis instead of inside the filter bank. For training
rows only; the generator comes from `sorigil.audio.augment.rng_for`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

LARGEST = 0.5  # of the logarithm of either factor: 0.61 to 1.65


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureWarp:
    """How far at most: each factor is drawn as exp(u), u uniform between minus and plus the limit."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    tempo: float = 0.15
    voice: float = 0.08  # for features along a frequency axis (log_mel, spectrogram); 0 for mfcc

    def __post_init__(self) -> None:
        for name in ("tempo", "voice"):
            if not 0 <= getattr(self, name) <= LARGEST:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 0 to {LARGEST}")


def warp(features_TF: Floats, spec: FeatureWarp, rng: np.random.Generator) -> Floats:
    """A warped copy of one utterance's features, (T, F) -> (T', F) with T' = T × the tempo's factor, at least 1."""
    tempo, voice = np.exp(rng.uniform((-spec.tempo, -spec.voice), (spec.tempo, spec.voice)))
    frames, columns = features_TF.shape
    if frames == 0:
        return features_TF.copy()
    there = np.linspace(0, frames - 1, max(1, round(frames * tempo)))
    slower_TF = _between(features_TF, there)
    return _between(slower_TF.T, np.minimum(np.arange(columns) * voice, columns - 1)).T


def _between(rows_NM: Floats, places: npt.NDArray[np.float64]) -> Floats:
    """The rows at fractional places, each a mixture of the two around it."""
    low = np.minimum(places.astype(np.intp), max(0, len(rows_NM) - 2))
    high = np.minimum(low + 1, len(rows_NM) - 1)
    share = (places - low).astype(np.float32)[:, None]
    mixed: Floats = rows_NM[low] * (1 - share) + rows_NM[high] * share
    return mixed
