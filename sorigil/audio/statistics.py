"""Peak, RMS, clipping and mean of a span at its source rate, added up over blocks of any size."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sorigil.audio.level import energy
from sorigil.errors import AudioError

CLIPPED = 0.999  # of full scale: samples at or beyond count as clipped

Floats = npt.NDArray[np.float32]


class Statistics:
    """Adds up a span, of which there must be a sample before `facts` are asked for."""

    def __init__(self) -> None:
        self._highest, self._lowest = -math.inf, math.inf
        self._sum = self._energy = 0.0
        self._samples = self._values = self._clipped = self._bad = 0

    def add(self, span: Floats, used: Floats, mono: Floats) -> None:
        """The next samples: of the span, mixed and as (num_samples, channels) before, and with the margin around it.

        What is not finite in the margin would spread in resampling, so it counts.
        """
        total = float(mono.sum(dtype=np.float64))
        if not math.isfinite(total):  # in float64 no sum of finite samples overflows
            self._bad += int(np.count_nonzero(~np.isfinite(mono)))
        if not len(span):
            return
        self._highest, self._lowest = max(self._highest, float(span.max())), min(self._lowest, float(span.min()))
        self._sum += total if len(span) == len(mono) else float(span.sum(dtype=np.float64))
        self._energy += energy(span)
        self._samples += len(span)
        self._values += used.size
        if max(float(used.max()), -float(used.min())) >= CLIPPED:
            self._clipped += int(np.count_nonzero(np.abs(used) >= CLIPPED))

    def facts(self, silence_db: float) -> dict[str, float]:
        """`peak`, `rms`, `clipped_share` and `dc`. Raises AudioError: not_finite, silent (below `silence_db`)."""
        if self._bad:
            raise AudioError("not_finite", f"{self._bad} samples are NaN or infinite")
        dc = self._sum / self._samples
        swing = max(self._highest - dc, dc - self._lowest)  # a constant is as silent as zeros
        if swing < 10 ** (silence_db / 20):
            level = f"{20 * math.log10(swing):.1f}" if swing > 0 else "-inf"
            raise AudioError("silent", f"its peak is {level} dBFS, below {silence_db} dBFS")
        return {
            "peak": max(self._highest, -self._lowest),
            "rms": math.sqrt(self._energy / self._samples),
            "clipped_share": self._clipped / self._values,
            "dc": dc,
        }
