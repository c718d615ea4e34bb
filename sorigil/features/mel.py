"""Mel filter banks and the log-mel spectrogram, equal to librosa's within 1e-4 before storage.

The bank is written out here although librosa has one: importing librosa's costs every worker 0.9 s (it brings numba).
The tests compare the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sorigil.features.deltas import check_deltas, with_deltas
from sorigil.features.stft import StftSpec, check_stft

Floats = npt.NDArray[np.float32]
Scale = Literal["db", "ln", "log10"]

# Slaney's mel scale (Auditory Toolbox, 1998): linear up to 1 kHz, 27 logarithmic steps for each factor of 6.4 above
_LINEAR_HZ, _BREAK_HZ = 200 / 3, 1000.0
_BREAK_MEL, _LOG_STEP = _BREAK_HZ / _LINEAR_HZ, math.log(6.4) / 27
RUN_FILTERS = 16  # a multiple of the columns that matrix products are vectorised over, so that sums keep their order
_UNITS = {"db": 10 / math.log(10), "ln": 1.0, "log10": 1 / math.log(10)}  # of a natural logarithm


@dataclass(frozen=True, kw_only=True, slots=True)
class MelSpec(StftSpec):
    """The parameters of `librosa.feature.melspectrogram` and `power_to_db`, shared by log_mel and mfcc."""

    power: float = 2.0  # exponent of the magnitude: 2 power, 1 amplitude
    n_mels: int = 80
    fmin: float = 0.0  # Hz
    fmax: float | None = None  # Hz; None: half the sample rate
    htk: bool = False  # HTK's mel formula; False: Slaney's
    norm: Literal["slaney"] | None = "slaney"  # divide each filter by its width in Hz
    scale: Scale = "db"  # the scales differ by a factor only
    ref: float | Literal["max"] = 1.0  # the value at 0; max: the utterance's largest
    amin: float = 1e-10  # smaller values count as this
    top_db: float | None = 80.0  # nothing lies further below the maximum than this (in dB, whatever the scale)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogMel(MelSpec):
    """Log-mel spectrogram: (frames, n_mels * (1 + deltas))."""

    FORMAT: ClassVar[int] = 1
    dtype: ClassVar[Literal["float16", "float32"]] = "float16"  # in storage: 0.06 dB apart at 100 dB

    kind: Literal["log_mel"] = "log_mel"
    name: str | None = field(default=None, metadata={"identity": False})
    deltas: Literal[0, 1, 2] = 0
    delta_width: int = 9

    def __post_init__(self) -> None:
        check_mel(self)
        check_deltas(self.deltas, self.delta_width)


def check_mel(spec: MelSpec) -> None:
    """Refuse values outside their range."""
    check_stft(spec)
    if spec.n_mels < 1:
        raise ValueError(f"n_mels is {spec.n_mels}; it must be at least 1")
    if spec.fmin < 0 or (spec.fmax is not None and spec.fmax <= spec.fmin):
        raise ValueError(f"fmin is {spec.fmin} and fmax {spec.fmax}; expected 0 <= fmin < fmax")
    if not spec.power > 0 or not spec.amin > 0:
        raise ValueError(f"power is {spec.power} and amin {spec.amin}; both must be above 0")
    if spec.ref != "max" and not spec.ref > 0:
        raise ValueError(f"ref is {spec.ref}; it must be above 0, or max")
    if spec.top_db is not None and spec.top_db < 0:
        raise ValueError(f"top_db is {spec.top_db}; it must be 0 or above, or null")


def dim(spec: LogMel) -> int:
    return spec.n_mels * (1 + spec.deltas)


def finish(spec: LogMel, log_mel_TF: Floats) -> Floats:
    """Log-mel values of a whole utterance → the feature."""
    return with_deltas(log_mel_TF, spec.deltas, spec.delta_width)


@lru_cache(maxsize=32)
def mel_bank(
    sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float | None, htk: bool, norm: str | None
) -> Floats:
    """Triangular filters (n_fft // 2 + 1, n_mels), transposed from `librosa.filters.mel`, for frames in rows."""
    highest = sample_rate / 2 if fmax is None else fmax
    bins_hz = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    low, high = hz_to_mel(np.array([fmin, highest]), htk)
    edges_hz = mel_to_hz(np.linspace(low, high, n_mels + 2), htk)
    widths_hz = np.diff(edges_hz)
    ramps = edges_hz[:, None] - bins_hz[None, :]
    rising = -ramps[:-2] / widths_hz[:-1, None]
    falling = ramps[2:] / widths_hz[1:, None]
    weights = np.maximum(0, np.minimum(rising, falling))
    if norm == "slaney":
        weights *= 2 / (edges_hz[2:] - edges_hz[:-2])[:, None]
    bank = np.ascontiguousarray(weights.T, dtype=np.float32)
    bank.flags.writeable = False  # cached: nobody may change it
    return bank


def bank_of(spec: MelSpec, sample_rate: int) -> Floats:
    """The filter bank of a spec at a sample rate, (n_fft // 2 + 1, n_mels)."""
    return mel_bank(sample_rate, spec.n_fft, spec.n_mels, spec.fmin, spec.fmax, spec.htk, spec.norm)


def hz_to_mel(hz: npt.NDArray[np.float64], htk: bool) -> npt.NDArray[np.float64]:
    if htk:
        return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))
    above = _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz >= _BREAK_HZ, above, hz / _LINEAR_HZ)


def mel_to_hz(mel: npt.NDArray[np.float64], htk: bool) -> npt.NDArray[np.float64]:
    if htk:
        return np.asarray(700.0 * (10.0 ** (mel / 2595.0) - 1.0))
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel >= _BREAK_MEL, above, mel * _LINEAR_HZ)


def to_log(
    values: Floats,
    scale: Scale,
    ref: float | Literal["max"],
    amin: float,
    top_db: float | None,
    highest: float | None = None,
) -> Floats:
    """`librosa.power_to_db` (or its natural or decimal logarithm), as a new array.

    Of a whole utterance, or of a part of one whose largest value is `highest`.
    """
    largest = np.float32(values.max() if highest is None else highest)
    reference = max(amin, float(largest) if ref == "max" else ref)
    unit = _UNITS[scale]
    logs = np.maximum(values, np.float32(amin))
    np.log(logs, out=logs)  # of all logarithms the one that numpy vectorises on float32
    logs *= np.float32(unit)
    if reference != 1.0:
        logs -= np.float32(unit * math.log(reference))
    if top_db is not None:
        top = np.log(np.maximum(largest, np.float32(amin))) * np.float32(unit)
        top -= np.float32(unit * math.log(reference))
        np.maximum(logs, top - np.float32(top_db * unit / _UNITS["db"]), out=logs)
    return logs


@dataclass(frozen=True, slots=True)
class MelBank:
    """A filter bank as it is applied: a run of neighbouring filters at a time, over those bins that one of them hears.

    Most of a bank is zeros: a product with the whole of it takes three times as long, and gives the same.
    """

    exponent: float  # of the magnitude
    n_mels: int
    runs: tuple[tuple[slice, slice, Floats], ...]  # filters, bins, weights (bins, filters)

    def apply(self, power_TF: Floats, mels_TM: Floats) -> None:
        """|STFT|² → the mel spectrogram, written to `mels_TM`."""
        values = power_TF if self.exponent == 2 else power_TF ** np.float32(self.exponent / 2)
        for filters, bins, weights in self.runs:
            np.matmul(values[:, bins], weights, out=mels_TM[:, filters])


def applied_bank(spec: MelSpec, sample_rate: int) -> MelBank:
    """The filter bank of a spec, ready to be applied."""
    bank = bank_of(spec, sample_rate)
    runs = []
    for first in range(0, spec.n_mels, RUN_FILTERS):
        filters = slice(first, min(first + RUN_FILTERS, spec.n_mels))
        heard = np.flatnonzero(bank[:, filters].any(axis=1))
        bins = slice(int(heard[0]), int(heard[-1]) + 1) if len(heard) else slice(0)
        runs.append((filters, bins, np.ascontiguousarray(bank[bins, filters])))
    return MelBank(spec.power, spec.n_mels, tuple(runs))


def log_of(spec: MelSpec) -> MelSpec:
    """Only the parameters up to the log-mel values: features with equal ones share these values."""
    return MelSpec(**{item.name: getattr(spec, item.name) for item in fields(MelSpec)})


def mel_of(spec: MelSpec) -> MelSpec:
    """Only the parameters up to the mel spectrogram, the logarithm's set to fixed values."""
    return replace(log_of(spec), scale="db", ref=1.0, amin=1e-10, top_db=None)
