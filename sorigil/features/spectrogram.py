"""The linear-frequency spectrogram: |STFT|^power, as it is or on a logarithmic scale.

Stored as float32: powers overflow float16 at 65,504.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sorigil.features.mel import to_log
from sorigil.features.stft import StftSpec, check_stft, num_bins

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Spectrogram(StftSpec):
    """Linear spectrogram: (frames, n_fft // 2 + 1).

    With a logarithmic scale the values are those of the power, so `power` makes no difference but to `ref`:
    `librosa.power_to_db` with power 2, `librosa.amplitude_to_db` (amin is squared there) with power 1.
    """

    FORMAT: ClassVar[int] = 1
    dtype: ClassVar[Literal["float16", "float32"]] = "float32"  # in storage

    kind: Literal["spectrogram"] = "spectrogram"
    name: str | None = field(default=None, metadata={"identity": False})
    power: Literal[1, 2] = 1
    scale: Literal["none", "db", "ln", "log10"] = "none"
    ref: float | Literal["max"] = 1.0  # of the magnitude to `power`; used by the logarithmic scales, as is all below
    amin: float = 1e-10  # of the power
    top_db: float | None = 80.0

    def __post_init__(self) -> None:
        check_stft(self)
        if self.power not in (1, 2):
            raise ValueError(f"power is {self.power}; it must be 1 (magnitude) or 2 (power)")
        if not self.amin > 0 or (self.ref != "max" and not self.ref > 0):
            raise ValueError(f"amin is {self.amin} and ref {self.ref}; both must be above 0 (or ref: max)")
        if self.top_db is not None and self.top_db < 0:
            raise ValueError(f"top_db is {self.top_db}; it must be 0 or above, or null")


def dim(spec: Spectrogram) -> int:
    return num_bins(spec)


def finish(spec: Spectrogram, power_TF: Floats, highest: float | None = None) -> Floats:
    """|STFT|² of a whole utterance, or of a part of one whose largest value is `highest` → the feature."""
    if spec.scale == "none":
        return np.sqrt(power_TF) if spec.power == 1 else power_TF
    ref = spec.ref if spec.ref == "max" or spec.power == 2 else spec.ref**2
    return to_log(power_TF, spec.scale, ref, spec.amin, spec.top_db, highest)
