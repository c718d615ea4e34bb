"""What a recording is like, from its samples alone: loudness, silence, speech, noise, and the bandwidth in use.

For looking at a dataset and for filters over it; nothing that is computed from the audio depends on these. A `SignalMeter`
is fed in blocks, so a recording of any length takes no more memory than a minute of it (and 4 bytes for each 20 ms).
The estimates ask for no model: speech is told by its energy alone, noise by the quietest frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft

from sorigil.audio.loudness import LoudnessMeter, Tiles

Floats = npt.NDArray[np.float32]

TILE_SECONDS = 0.1
TILE_FRAMES = 5  # of 20 ms
FLOOR = 1e-10  # mean square, -100 dBFS: below 16-bit quantisation, as good as digital silence
FEWEST_FRAMES = 10  # fewer say nothing about noise
NOISE_SHARE = 0.1  # the quietest tenth of the frames is taken for noise
LOUD_SHARE = 0.95
SILENCE_DB = 40.0  # below the loud frames
SPEECH_DB = 25.0  # below the loud frames speech is lost
ABOVE_NOISE_DB = 5.0
HANG_FRAMES = 10  # 200 ms of ITU-T P.56: a gap within a word or between two is speech too
BAND_HZ = 100.0
BAND_DB = 50.0  # below the strongest band


@dataclass(frozen=True, kw_only=True, slots=True)
class Signal:
    """The measures of one utterance; None where it is too short or too quiet for one."""

    lufs: float | None  # integrated loudness
    snr_db: float | None
    silence_share: float
    speech_share: float
    bandwidth_hz: float | None


class SignalMeter:
    """Measures one channel at its own rate, before any scaling, fed in blocks of any size."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._loudness = LoudnessMeter(sample_rate)
        self._frame = max(1, round(TILE_SECONDS * sample_rate) // TILE_FRAMES)
        self._tiles = Tiles(self._frame * TILE_FRAMES, self._measure)
        self._powers: list[npt.NDArray[np.float64]] = []
        self._spectrum: npt.NDArray[np.float64] = np.zeros(_window_size(sample_rate) // 2 + 1)

    def add(self, samples: Floats) -> None:
        """The next samples, float32 (num_samples,), full scale ±1."""
        self._loudness.add(samples)
        self._tiles.add(samples)

    def _measure(self, tiles: Floats) -> None:
        self._powers.append(_frame_powers(tiles.reshape(-1, self._frame)))
        self._spectrum += _power_spectrum(tiles, self._rate)

    def result(self) -> Signal:
        """The measures of everything that was added."""
        rest, frame = self._tiles.rest, self._frame
        last = _frame_powers(rest[: len(rest) // frame * frame].reshape(-1, frame))
        powers = np.maximum(np.concatenate([*self._powers, last]), FLOOR)
        spectrum = self._spectrum if self._powers else _power_spectrum(rest[np.newaxis], self._rate)
        return Signal(
            lufs=self._loudness.lufs(),
            snr_db=snr_db(powers),
            silence_share=silence_share(powers),
            speech_share=speech_share(powers),
            bandwidth_hz=bandwidth_hz(spectrum, self._rate),
        )


def measure(samples: Floats, sample_rate: int) -> Signal:
    """The measures of float32 (num_samples,)."""
    meter = SignalMeter(sample_rate)
    meter.add(samples)
    return meter.result()


def snr_db(powers: npt.NDArray[np.float64]) -> float | None:
    """Signal-to-noise ratio from the mean squares of 20-ms frames: 10 lg((mean - noise) / noise).

    Noise is the tenth percentile over frames that hold anything, after the quantile-based noise estimation of Stahl,
    Fischer and Bippus (ICASSP 2000); digital silence, which is padding or a gate, is left out. Speech without a pause
    has no such frames: its SNR comes out too low. Bounded to -20 to 100 dB; None with fewer than ten frames.
    """
    audible = powers[powers > FLOOR]
    if len(audible) < FEWEST_FRAMES:
        return None
    noise = _quantile(audible, NOISE_SHARE)
    signal = float(audible.sum()) / len(audible) - noise
    return min(100.0, max(-20.0, 10 * math.log10(signal / noise))) if signal > 0 else -20.0


def silence_share(powers: npt.NDArray[np.float64]) -> float:
    """Share of the 20-ms frames more than 40 dB below the loud ones (their 95th percentile), 0 to 1."""
    if not len(powers):
        return 0.0
    limit = _quantile(powers, LOUD_SHARE) * 10 ** (-SILENCE_DB / 10)
    return np.count_nonzero(powers <= max(limit, FLOOR)) / len(powers)


def speech_share(powers: npt.NDArray[np.float64]) -> float:
    """Share of the 20-ms frames that hold speech, by energy: an activity factor as in ITU-T P.56, 0 to 1.

    A frame is active that lies within 25 dB of the loud ones and 5 dB above the noise, or up to 200 ms behind such a
    frame. It cannot tell speech from other sounds that come and go, and misses speech in noise as loud as itself.
    """
    if not len(powers):
        return 0.0
    noise, loud = _quantile(powers, NOISE_SHARE), _quantile(powers, LOUD_SHARE)
    active = powers > max(noise * 10 ** (ABOVE_NOISE_DB / 10), loud * 10 ** (-SPEECH_DB / 10))
    places = np.arange(len(powers))
    last_active = np.maximum.accumulate(np.where(active, places, -HANG_FRAMES - 1))
    return np.count_nonzero(places - last_active <= HANG_FRAMES) / len(powers)


def bandwidth_hz(spectrum: npt.NDArray[np.float64], sample_rate: int) -> float | None:
    """The highest frequency in use: the upper edge of the highest 100-Hz band within 50 dB of the strongest.

    `spectrum` is a long-term power spectrum (bins from 0 to half the rate). The definition is that of NeMo's speech data
    processor (EstimateBandwidth). Telephone speech stored at 44.1 kHz has 4 kHz. None for silence.
    """
    width = sample_rate / 2 / (len(spectrum) - 1)
    per_band = max(1, round(BAND_HZ / width))
    first, sizes = _bands(len(spectrum), per_band)
    bands = np.add.reduceat(spectrum, first) / sizes
    if not bands.max() > 0:
        return None
    highest = int(np.flatnonzero(bands >= bands.max() * 10 ** (-BAND_DB / 10))[-1])
    return float(min((highest + 1) * per_band * width, sample_rate / 2))


@lru_cache(maxsize=32)
def _bands(bins: int, per_band: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The first bin of each band, and how many it has."""
    first = np.arange(0, bins, per_band)
    return first, np.diff(first, append=bins)


def _quantile(values: npt.NDArray[np.float64], share: float) -> float:
    """The value at that share of the ranks; numpy's own costs more than all else on a short clip."""
    rank = round(share * (len(values) - 1))
    return float(np.partition(values, rank)[rank])


def _frame_powers(frames: Floats) -> npt.NDArray[np.float64]:
    """The variance of each row: a constant offset is not sound."""
    if not len(frames):
        return np.empty(0)
    size = np.float64(frames.shape[1])
    means = _means(frames)
    squares, offsets = np.vecdot(frames, frames) / size, means[:, 0].astype(np.float64) ** 2
    powers: npt.NDArray[np.float64] = squares - offsets
    cancelled = np.flatnonzero(offsets > squares / 2)  # most of the digits, too
    if len(cancelled):
        centred = frames[cancelled] - means[cancelled]
        powers[cancelled] = np.vecdot(centred, centred) / size
    return powers


def _means(rows: Floats) -> Floats:
    """The mean of each row, (rows, 1), as a product: several times faster than numpy's mean."""
    size = rows.shape[1]
    return (rows @ np.full(size, 1 / size, np.float32))[:, np.newaxis]


def _window_size(sample_rate: int) -> int:
    """The power of two nearest above 20 ms; shorter than a tile at every rate."""
    return 1 << math.ceil(math.log2(0.02 * sample_rate))


def _power_spectrum(tiles: Floats, sample_rate: int) -> npt.NDArray[np.float64]:
    """The sum over tiles of |FFT|² of the beginning of each, its mean removed, under a Hann window."""
    size = _window_size(sample_rate)
    windows = tiles[:, :size]
    shaped = windows - _means(windows)
    shaped *= _hann(windows.shape[1])
    parts = fft.rfft(shaped, n=size, axis=1).view(np.float32)  # real and imaginary parts in turn
    power = np.einsum("tn,tn->n", parts, parts)
    return np.asarray(power[0::2] + power[1::2], np.float64)


@lru_cache(maxsize=1024)  # of clips shorter than a tile there are many lengths
def _hann(length: int) -> Floats:
    """A symmetric window without zeros at its ends; shorter than usual for a clip that is no whole tile."""
    shape = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(length) + 0.5) / length)).astype(np.float32)
    shape.flags.writeable = False  # cached: nobody may change it
    return shape
