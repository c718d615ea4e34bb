"""The level of prepared audio: the gain that a `normalize` asks for, and the rounding to int16.

The gain is one number for the whole utterance. A `LevelMeter` finds it block by block, so that a long recording can be
swept once to measure it and once to scale it.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from sorigil.audio.loudness import LoudnessMeter, TruePeakMeter
from sorigil.audio.spec import LoudnessNormalize, NoNormalize, Normalize, PeakNormalize, RmsNormalize

FULL_SCALE = 32768.0  # int16 samples are divided by this
FAINTEST = 1e-30  # an amplitude; keeps silence from dividing by zero

Floats = npt.NDArray[np.float32]


class LevelMeter:
    """Finds the gain of one utterance, fed in blocks of any size of float32 (num_samples,)."""

    def __init__(self, normalize: Normalize, sample_rate: int) -> None:
        self._normalize = normalize
        self._highest = 0.0
        self._energy = 0.0
        self._length = 0
        by_loudness = isinstance(normalize, LoudnessNormalize)
        self._loudness = LoudnessMeter(sample_rate) if by_loudness else None
        self._true_peak = TruePeakMeter(sample_rate) if by_loudness else None

    def add(self, samples: Floats) -> None:
        """The next samples."""
        if not len(samples) or isinstance(self._normalize, NoNormalize):
            return
        self._highest = max(self._highest, float(samples.max()), -float(samples.min()))
        if isinstance(self._normalize, RmsNormalize):
            self._energy += energy(samples)
            self._length += len(samples)
        if self._loudness is not None and self._true_peak is not None:
            self._loudness.add(samples)
            self._true_peak.add(samples)

    def gain(self) -> float:
        """The factor for everything that was added; never so large that a sample clips (but for kind none)."""
        if isinstance(self._normalize, NoNormalize):
            return 1.0
        limit = (FULL_SCALE - 1) / FULL_SCALE / max(self._highest, FAINTEST)
        if isinstance(self._normalize, LoudnessNormalize):
            return min(self._gain_by_loudness(self._normalize), limit)
        level = 10 ** (self._normalize.level_db / 20)
        if isinstance(self._normalize, PeakNormalize):
            return float(level * limit)
        mean_square = self._energy / max(1, self._length)
        return float(min(level / max(math.sqrt(mean_square), FAINTEST), limit))

    def _gain_by_loudness(self, normalize: LoudnessNormalize) -> float:
        assert self._loudness is not None and self._true_peak is not None
        highest = 10 ** (normalize.true_peak_db / 20) / max(self._true_peak.peak(), FAINTEST)
        found = self._loudness.lufs()
        return float(min(1.0 if found is None else 10 ** ((normalize.lufs - found) / 20), highest))


def gain(samples: Floats, normalize: Normalize, sample_rate: int) -> float:
    """The factor that brings float32 (num_samples,) to the level asked for."""
    meter = LevelMeter(normalize, sample_rate)
    meter.add(samples)
    return meter.gain()


def to_int16(samples: Floats, factor: float) -> npt.NDArray[np.int16]:
    """Scale and round to the nearest of the 65,536 levels, without dither."""
    scaled = samples * np.float32(factor * FULL_SCALE)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1, out=scaled)
    return scaled.astype(np.int16)


def energy(samples: Floats) -> float:
    """The sum of squares, in double precision."""
    return float(np.einsum("n,n->", samples, samples, dtype=np.float64))


def rms(samples: Floats) -> float:
    """The root mean square."""
    return math.sqrt(energy(samples) / len(samples))
