"""The acoustic fingerprint: a few hundred bytes that say what a recording sounds like, whatever file it came in.

After Haitsma & Kalker, "A Highly Robust Audio Fingerprinting System" (ISMIR 2002): a frame's code is the signs of how
the energy differences between neighbouring bands change in time. Level, container, rate and trimmed ends change few of
these bits. Here only the `MOST_CODES` frames whose bits are surest are kept, with their times; `sorigil.duplicates`
compares the fingerprints of a whole dataset.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 8000  # Hz; everything is brought to it, so that telephone copies can be found
HOP = 80  # samples: 10 ms
BITS = 20
MOST_CODES = 64
_N_FFT = 1024
_LAG = 6  # frames between the two whose band energies are compared
_BAND_EDGES = np.geomspace(250, 3400, BITS + 2)  # Hz
_FLOOR = 1e-4  # of the frame's energy: below it a band is as good as empty
_GATE_DB = 30.0  # frames so far below the loudest are not listened to
_BLOCK = 256  # frames at a time: they stay in the processor's cache
_PIECE = 1 << 20  # samples resampled at a time, so that hours take no memory


@dataclass(slots=True)
class AcousticFingerprinter:
    """Takes prepared audio piece by piece (`add`) and gives its fingerprint (`finish`). Memory: 16 bytes a frame."""

    sample_rate: int
    _rest: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    _before: NDArray[np.float32] | None = None  # band differences of the last frames
    _resampler: Any = None
    _codes: list[NDArray[np.uint32]] = field(default_factory=list)
    _sureness: list[NDArray[np.float32]] = field(default_factory=list)
    _level: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, samples: NDArray[np.float32], last: bool = False) -> None:
        """The next samples (N,), full scale 1; `last` says that none follow."""
        waiting = np.concatenate([self._rest, self._at_rate(samples, last)])
        if last and len(waiting) < _N_FFT:
            waiting = np.pad(waiting, (0, _N_FFT - len(waiting)))
        while len(waiting) >= _N_FFT + _BLOCK * HOP or (last and len(waiting) >= _N_FFT):
            frames = min(_BLOCK, (len(waiting) - _N_FFT) // HOP + 1)
            self._frames(waiting[: _N_FFT + (frames - 1) * HOP])
            waiting = waiting[frames * HOP :]
        self._rest = waiting

    def finish(self) -> bytes:
        """The fingerprint: little-endian uint64 numbers in order of time, each `code << 32 | frame`. Empty where
        nothing stands out (a steady tone)."""
        if not self._codes:
            return b""
        codes, sureness = np.concatenate(self._codes), np.concatenate(self._sureness)
        level = np.concatenate(self._level)
        heard = np.flatnonzero((level > level.max() - _GATE_DB) & (sureness > 0))
        surest = np.sort(heard[np.argsort(-sureness[heard], kind="stable")[:MOST_CODES]])
        entries = codes[surest].astype("<u8") << np.uint64(32) | surest.astype("<u8")
        return bytes(entries.tobytes())

    def _at_rate(self, samples: NDArray[np.float32], last: bool) -> NDArray[np.float32]:
        if self.sample_rate == RATE:
            return samples
        import soxr

        if self._resampler is None:
            self._resampler = soxr.ResampleStream(self.sample_rate, RATE, 1, dtype="float32", quality="LQ")
        resampled: NDArray[np.float32] = self._resampler.resample_chunk(samples, last=last)
        return resampled

    def _frames(self, samples: NDArray[np.float32]) -> None:
        """Codes of the frames that end in this block; the first `_LAG` frames of a recording have none."""
        bands, total = _band_energies(samples)
        differences = np.diff(np.log(bands + _FLOOR * total[:, None] + 1e-20), axis=1).astype(np.float32)
        level = (10 * np.log10(total + 1e-20)).astype(np.float32)
        known = differences if self._before is None else np.concatenate([self._before, differences])
        self._before = known[-_LAG:]
        if len(known) <= _LAG:
            return
        change = known[_LAG:] - known[:-_LAG]
        self._codes.append(((change > 0) @ (1 << np.arange(BITS, dtype=np.int64))).astype(np.uint32))
        self._sureness.append(np.abs(change).min(axis=1))
        self._level.append(level[-len(change) :])


def _band_energies(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Energies (frames, BITS + 1) of the bands and (frames,) of all together."""
    import scipy.fft

    window = np.hanning(_N_FFT).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, _N_FFT)[::HOP] * window
    spectrum = scipy.fft.rfft(frames, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    edges = np.round(_BAND_EDGES * _N_FFT / RATE).astype(int)
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    return bands, bands.sum(axis=1)


def acoustic_fingerprint(pieces: Iterable[NDArray[np.float32]], sample_rate: int) -> bytes:
    """The fingerprint of audio in pieces, each (num_samples,) float32, full scale 1."""
    fingerprinter = AcousticFingerprinter(sample_rate=sample_rate)
    for piece in pieces:
        for start in range(0, len(piece), _PIECE):
            fingerprinter.add(piece[start : start + _PIECE])
    fingerprinter.add(np.zeros(0, np.float32), last=True)
    return fingerprinter.finish()
