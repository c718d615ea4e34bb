"""Another sample rate for samples that are whole: soxr, with the quality that prepared audio has by default."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def resample(samples: Floats, rate: int, wanted: int, quality: str = "HQ") -> Floats:
    """Samples (N,) at `rate` Hz → float32 at `wanted` Hz. Down, what lies above half of `wanted` is gone; up, the band
    above half of `rate` is empty. Where both are the same the samples as they are."""
    if rate == wanted:
        return samples
    import soxr

    found: Floats = soxr.resample(np.ascontiguousarray(samples), rate, wanted, quality=quality)
    return found
