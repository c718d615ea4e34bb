"""Mel-frequency cepstral coefficients: the cosine transform of a log-mel spectrogram (`librosa.feature.mfcc`).

Its STFT and mel parameters are its own in full, inherited from no neighbour; where they coincide with another
feature's, `compute` does the common work once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
from scipy import fft

from sorigil.features.deltas import check_deltas, with_deltas
from sorigil.features.mel import MelSpec, check_mel

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Mfcc(MelSpec):
    """MFCC: (frames, n_mfcc * (1 + deltas))."""

    FORMAT: ClassVar[int] = 1
    dtype: ClassVar[Literal["float16", "float32"]] = "float16"  # in storage

    kind: Literal["mfcc"] = "mfcc"
    name: str | None = field(default=None, metadata={"identity": False})
    n_mfcc: int = 40
    dct_type: Literal[1, 2, 3] = 2
    dct_norm: Literal["ortho"] | None = "ortho"
    lifter: float = 0.0  # 0: none; else coefficient n is scaled by 1 + lifter / 2 * sin(pi * n / lifter)
    deltas: Literal[0, 1, 2] = 0
    delta_width: int = 9

    def __post_init__(self) -> None:
        check_mel(self)
        check_deltas(self.deltas, self.delta_width)
        if not 1 <= self.n_mfcc <= self.n_mels:
            raise ValueError(f"n_mfcc is {self.n_mfcc}; it must be 1 to n_mels ({self.n_mels})")
        if self.lifter < 0:
            raise ValueError(f"lifter is {self.lifter}; it must be 0 or above")
        if self.dct_type == 1 and self.n_mels < 2:
            raise ValueError("dct_type 1 needs n_mels of at least 2")


def dim(spec: Mfcc) -> int:
    return spec.n_mfcc * (1 + spec.deltas)


def finish(spec: Mfcc, log_mel_TF: Floats) -> Floats:
    """Log-mel values of a whole utterance → the feature."""
    basis = dct_basis(spec.n_mels, spec.n_mfcc, spec.dct_type, spec.dct_norm, spec.lifter)
    return with_deltas(log_mel_TF @ basis, spec.deltas, spec.delta_width)


@lru_cache(maxsize=32)
def dct_basis(n_mels: int, n_mfcc: int, dct_type: int, norm: str | None, lifter: float) -> Floats:
    """The cosine transform and the lifter as one matrix, (n_mels, n_mfcc): a product is faster than scipy's dct."""
    rows = fft.dct(np.eye(n_mels), type=dct_type, norm=norm, axis=0)[:n_mfcc]
    if lifter > 0:
        rows *= (1 + lifter / 2 * np.sin(np.pi * np.arange(1, n_mfcc + 1) / lifter))[:, None]
    basis = np.ascontiguousarray(rows.T, dtype=np.float32)
    basis.flags.writeable = False  # cached: nobody may change it
    return basis
