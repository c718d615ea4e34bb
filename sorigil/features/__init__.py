"""Features of prepared audio: every spec asked for, in one pass over the samples, with one STFT where they agree.

`compute` is the only way features are made: cached shards and the on-the-fly road both call it; `long.py` does the same
for what is too long to be held. To add a feature: one file like `spectrogram.py`, and its lines in `FeatureSpec` and
`FEATURES` below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigil.features import mel, mfcc, spectrogram, stft
from sorigil.features.mel import LogMel, MelSpec
from sorigil.features.mfcc import Mfcc
from sorigil.features.spectrogram import Spectrogram

__all__ = [
    "FeatureSpec",
    "LogMel",
    "Mfcc",
    "Spectrogram",
    "compute",
    "dim",
    "num_frames",
    "problems",
    "storage_dtype",
]

Floats = npt.NDArray[np.float32]
FeatureSpec = LogMel | Mfcc | Spectrogram


@dataclass(frozen=True, slots=True)
class Feature:
    """How a kind of feature is made of a whole utterance's log-mel values (a MelSpec's) or |STFT|² (any other's)."""

    finish: Callable[[Any, Floats], Floats]
    dim: Callable[[Any], int]


FEATURES: dict[str, Feature] = {
    "log_mel": Feature(mel.finish, mel.dim),
    "mfcc": Feature(mfcc.finish, mfcc.dim),
    "spectrogram": Feature(spectrogram.finish, spectrogram.dim),
}


def compute(specs: Sequence[FeatureSpec], samples: Floats, sample_rate: int) -> list[Floats]:
    """Each spec's feature of one utterance, float32 (num_frames, dim), C-contiguous, no two sharing memory.

    `samples` is float32 (num_samples,) at `sample_rate` Hz. Raises AudioError: no_samples, or too_short where
    center is false and one window does not fit (librosa raises there too). With center, one sample is enough.
    """
    results: list[Floats] = [np.empty(0, np.float32)] * len(specs)
    for group in plan(tuple(specs), sample_rate):
        power, mels = _sweep(group, samples)
        logs = [log_values(key, mels[bank]) for bank, key in group.logs]
        for index, spec, log in group.members:
            feature = FEATURES[spec.kind].finish(spec, power if log is None else logs[log])
            if any(feature is other for other in results):
                feature = feature.copy()
            results[index] = np.ascontiguousarray(feature)
    return results


def num_frames(spec: FeatureSpec, num_samples: int) -> int:
    """Rows of the feature of an utterance of `num_samples`; 0 where `compute` would raise."""
    return stft.num_frames(spec, num_samples)


def dim(spec: FeatureSpec) -> int:
    """Columns of the feature."""
    return FEATURES[spec.kind].dim(spec)


def storage_dtype(spec: FeatureSpec) -> np.dtype[Any]:
    """The type it is stored in; `compute` itself gives float32."""
    return np.dtype(spec.dtype)


def problems(spec: FeatureSpec, sample_rate: int) -> list[str]:
    """What is wrong with a spec at this sample rate, as sentences; for checking a configuration before a run."""
    if not isinstance(spec, MelSpec):
        return []
    if spec.fmax is not None and spec.fmax > sample_rate / 2:
        return [f"fmax is {spec.fmax} Hz but audio at {sample_rate} Hz holds nothing above {sample_rate / 2} Hz"]
    empty = int(np.count_nonzero(~mel.bank_of(spec, sample_rate).any(axis=0)))
    if empty:
        return [f"{empty} of {spec.n_mels} mel filters hold no frequency bin; lower n_mels or raise n_fft"]
    return []


@dataclass(frozen=True, slots=True)
class Group:
    """Features that share one STFT, and what is computed from it on the way to them."""

    stft: stft.StftSpec
    banks: tuple[mel.MelBank, ...]  # one for each mel spectrogram
    logs: tuple[tuple[int, MelSpec], ...]  # which mel spectrogram, the logarithm's parameters
    members: tuple[tuple[int, FeatureSpec, int | None], ...]  # place in the request, spec, which logs (None: the power)
    keep_power: bool


@lru_cache(maxsize=16)
def plan(specs: tuple[FeatureSpec, ...], sample_rate: int) -> tuple[Group, ...]:
    """Who shares what. Cached, because a plan costs as much as the arithmetic of a short clip."""
    transforms = dict.fromkeys(stft.stft_of(spec) for spec in specs)
    return tuple(_group(shared, specs, sample_rate) for shared in transforms)


def _group(shared: stft.StftSpec, specs: tuple[FeatureSpec, ...], sample_rate: int) -> Group:
    mine = [(index, spec) for index, spec in enumerate(specs) if stft.stft_of(spec) == shared]
    logs = list(dict.fromkeys(mel.log_of(spec) for _, spec in mine if isinstance(spec, MelSpec)))
    mels = list(dict.fromkeys(mel.mel_of(log) for log in logs))
    return Group(
        stft=shared,
        banks=tuple(mel.applied_bank(each, sample_rate) for each in mels),
        logs=tuple((mels.index(mel.mel_of(log)), log) for log in logs),
        members=tuple(
            (index, spec, logs.index(mel.log_of(spec)) if isinstance(spec, MelSpec) else None) for index, spec in mine
        ),
        keep_power=any(not isinstance(spec, MelSpec) for _, spec in mine),
    )


def _sweep(group: Group, samples: Floats) -> tuple[Floats, list[Floats]]:
    """One pass over the samples: |STFT|² (empty where nobody wants it) and each mel spectrogram."""
    framed = stft.framed(group.stft, samples)
    frames = len(framed)
    power = np.empty((frames if group.keep_power else 0, stft.num_bins(group.stft)), dtype=np.float32)
    mels = [np.empty((frames, bank.n_mels), dtype=np.float32) for bank in group.banks]
    for rows, block in stft.power_blocks(group.stft, framed):
        for bank, values in zip(group.banks, mels, strict=True):
            bank.apply(block, values[rows])
        if group.keep_power:
            power[rows] = block
    return power, mels


def log_values(key: MelSpec, values: Floats, highest: float | None = None) -> Floats:
    """The logarithms of mel values of a whole utterance, or of a part of one whose largest value is `highest`."""
    return mel.to_log(values, key.scale, key.ref, key.amin, key.top_db, highest)
