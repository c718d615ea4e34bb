"""Peak, RMS, clipping and mean of a span at its source rate, added up over blocks of any size."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sorigil.audio.level import energy
from sorigil.errors import AudioError

CLIPPED = 0.999  # of full scale: samples at or beyond count as clipped
_ROW = 256  # so many samples of 16 bits, or means of two, are summed in float32 without rounding

Floats = npt.NDArray[np.float32]


class Statistics:
    """Adds up a span, of which there must be a sample before `facts` are asked for.

    `exact_mean` is for a mean that will be subtracted: in whatever blocks the samples come, it is the same.
    """

    def __init__(self, *, exact_mean: bool = False) -> None:
        self._sum_of = _exact_sum if exact_mean else _sum
        self._highest, self._lowest = -math.inf, math.inf
        self._sum = self._energy = 0.0
        self._samples = self._values = self._clipped = self._bad = 0

    def add(self, span: Floats, used: Floats, mono: Floats) -> None:
        """The next samples: of the span, mixed and as (num_samples, channels) before, and with the margin around it.

        What is not finite in the margin would spread in resampling, so it counts.
        """
        total = self._sum_of(mono)
        if not math.isfinite(total):
            self._bad += int(np.count_nonzero(~np.isfinite(mono)))
        if not len(span):
            return
        highest, lowest = float(span.max()), float(span.min())
        self._highest, self._lowest = max(self._highest, highest), min(self._lowest, lowest)
        self._sum += total if len(span) == len(mono) else self._sum_of(span)
        self._energy += _energy(span)
        self._samples += len(span)
        self._values += used.size
        if used.shape[1] > 1:
            highest, lowest = float(used.max()), float(used.min())
        if max(highest, -lowest) >= CLIPPED:
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


def _sum(samples: Floats) -> float:
    """In float32 over rows, in double precision over those: four times faster than all in double precision."""
    rows, rest = _rows(samples)
    with np.errstate(over="ignore"):
        total = float((rows @ np.ones(_ROW, np.float32)).sum(dtype=np.float64)) + float(rest.sum(dtype=np.float64))
    return total if math.isfinite(total) else _exact_sum(samples)


def _exact_sum(samples: Floats) -> float:
    """In double precision, where no finite samples overflow."""
    return float(samples.sum(dtype=np.float64))


def _energy(samples: Floats) -> float:
    """The sum of squares, in the same way: right to 1 in 10 million, which `level.energy` is not content with."""
    rows, rest = _rows(samples)
    with np.errstate(over="ignore"):
        total = float(np.vecdot(rows, rows).sum(dtype=np.float64)) + energy(rest)
    return total if math.isfinite(total) else energy(samples)


def _rows(samples: Floats) -> tuple[Floats, Floats]:
    whole = len(samples) // _ROW * _ROW
    return samples[:whole].reshape(-1, _ROW), samples[whole:]
