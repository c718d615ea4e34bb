"""Where leading and trailing silence ends: what `librosa.effects.trim` keeps, from samples in blocks of any size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sorigil.audio.spec import SilenceTrim
from sorigil.features.stft import Framer, StftSpec

FRAME, HOP = 2048, 512  # librosa.effects.trim's defaults
FAINTEST = 1e-10  # of a frame's mean square: amplitude_to_db's amin of 1e-5

Floats = npt.NDArray[np.float32]


class TrimMeter:
    """Finds the frames above the loudest frame's RMS minus `top_db`, fed in blocks of float32 (num_samples,)."""

    def __init__(self, trim: SilenceTrim) -> None:
        self._top_db = trim.top_db
        self._framer = Framer(StftSpec(n_fft=FRAME, win_length=None, hop_length=HOP))
        self._powers: list[Floats] = []
        self._length = 0

    def add(self, samples: Floats) -> None:
        """The next samples."""
        self._length += len(samples)
        self._take(self._framer.add(samples))

    def _take(self, frames: Floats) -> None:
        self._powers.append(np.einsum("tn,tn->t", frames, frames) / np.float32(FRAME))

    def bounds(self) -> tuple[int, int]:
        """The first sample that is kept and the one after the last; ends the stream, which must hold a sample."""
        self._take(self._framer.finish())
        power = np.maximum(np.concatenate(self._powers), FAINTEST)
        loud = np.flatnonzero(10 * np.log10(power / power.max()) > -self._top_db)
        return int(loud[0]) * HOP, min(self._length, (int(loud[-1]) + 1) * HOP)


def trim_bounds(samples: Floats, trim: SilenceTrim) -> tuple[int, int]:
    """The same of a whole utterance."""
    meter = TrimMeter(trim)
    meter.add(samples)
    return meter.bounds()
