"""The features of recordings too long to be held: what `compute` gives, from samples that come in blocks.

Two sweeps. The first computes the power or mel spectrogram, which waits in a place that the caller gives (a temporary
file); the second knows the largest value of the whole and finishes the features, some thousand frames at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sorigil.errors import AudioError
from sorigil.features import FEATURES, FeatureSpec, Group, log_values, plan, spectrogram, stft
from sorigil.features.spectrogram import Spectrogram

Floats = npt.NDArray[np.float32]
FRAMES = 3000  # of a block of the result


class Rows(Protocol):
    """Rows of numbers set aside, appended and read back in order."""

    def append(self, rows: npt.NDArray[Any]) -> None: ...

    def blocks(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[npt.NDArray[Any]]: ...

    def __len__(self) -> int: ...

    def close(self) -> None: ...


SetAside = Callable[[int], Rows]  # the number of columns → an empty place for float32 rows


def compute_long(
    specs: Sequence[FeatureSpec], blocks: Iterable[Floats], sample_rate: int, set_aside: SetAside
) -> Iterator[tuple[int, Iterator[Floats]]]:
    """Yield each spec's place and its feature, float32 (some frames, dim) at a time, to be used up before the next.

    `blocks` are the samples, float32 (num_samples,) at `sample_rate` Hz. Raises AudioError as `compute` does.
    """
    sweeps = [_Sweep(group, set_aside) for group in plan(tuple(specs), sample_rate)]
    try:
        for block in blocks:
            for sweep in sweeps:
                sweep.add(block)
        for sweep in sweeps:
            sweep.finish()
        for sweep in sweeps:
            for index, spec, log in sweep.group.members:
                yield index, sweep.feature(spec, log)
    finally:
        for sweep in sweeps:
            sweep.close()


class _Aside:
    """What waits for the second sweep, and its largest value."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.highest = 0.0

    def append(self, rows: Floats) -> None:
        self.rows.append(rows)
        self.highest = max(self.highest, float(rows.max()))

    def read(self, first: int, last: int) -> Floats:
        (values,) = self.rows.blocks(last - first, first, last)
        return values


class _Sweep:
    """The features that share one STFT."""

    def __init__(self, group: Group, set_aside: SetAside) -> None:
        self.group = group
        self._framer = stft.Framer(group.stft)
        self._mels = [_Aside(set_aside(bank.n_mels)) for bank in group.banks]
        self._power = _Aside(set_aside(stft.num_bins(group.stft))) if group.keep_power else None
        self._samples = 0
        self._frames = 0

    def add(self, samples: Floats) -> None:
        self._samples += len(samples)
        self._take(self._framer.add(samples))

    def finish(self) -> None:
        self._take(self._framer.finish())
        if not self._samples:
            raise AudioError("no_samples", "there is no sample to compute a feature from")
        if not self._frames:
            detail = f"{self._samples} samples are fewer than one window of {self.group.stft.n_fft}"
            raise AudioError("too_short", f"{detail}; use center: true to pad")

    def _take(self, frames: Floats) -> None:
        self._frames += len(frames)
        for _, power in stft.power_blocks(self.group.stft, frames):
            for bank, aside in zip(self.group.banks, self._mels, strict=True):
                mels = np.empty((len(power), bank.n_mels), np.float32)
                bank.apply(power, mels)
                aside.append(mels)
            if self._power is not None:
                self._power.append(power)

    def feature(self, spec: FeatureSpec, log: int | None) -> Iterator[Floats]:
        """The second sweep over one feature. Neighbouring frames, which deltas look at, are read along and dropped."""
        reach = 0 if isinstance(spec, Spectrogram) or not spec.deltas else spec.delta_width
        size = max(FRAMES, reach)
        for first in range(0, self._frames, size):
            last = min(self._frames, first + size)
            low, high = max(0, first - reach), min(self._frames, last + reach)
            yield np.ascontiguousarray(self._finished(spec, log, low, high)[first - low : last - low])

    def _finished(self, spec: FeatureSpec, log: int | None, low: int, high: int) -> Floats:
        if log is None:
            assert isinstance(spec, Spectrogram) and self._power is not None
            return spectrogram.finish(spec, self._power.read(low, high), self._power.highest)
        bank, key = self.group.logs[log]
        mels = self._mels[bank]
        return FEATURES[spec.kind].finish(spec, log_values(key, mels.read(low, high), mels.highest))

    def close(self) -> None:
        for aside in (*self._mels, self._power):
            if aside is not None:
                aside.rows.close()
