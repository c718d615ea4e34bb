"""`prepare` for what is too long to be held: one span of a recording that comes in blocks, the same samples as a result.

Two sweeps. The first measures the span and resamples it into a place that the caller gives (a temporary file); when the
recording has ended, trimming and level are known, and the second sweep gives the prepared audio out in blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import soxr

from sorigil.audio.decode import Decoded
from sorigil.audio.level import LevelMeter, to_int16
from sorigil.audio.pcm import PcmHasher
from sorigil.audio.prepare import Floats, Prepared, check_length, prepare, removed_by_trim
from sorigil.audio.signal import Signal, SignalMeter
from sorigil.audio.spans import checked_span, mix, scaled_place, used_channels, with_margin
from sorigil.audio.spec import AudioSpec, SilenceTrim
from sorigil.audio.statistics import Statistics
from sorigil.audio.trim import TrimMeter
from sorigil.features.long import Rows

BLOCK = 1 << 18  # samples of the second sweep's blocks
FAR = 1 << 62  # the end of a span that goes on to the end, which is not known yet

SetAside = Callable[[], Rows]  # an empty place for float32 samples


@dataclass(frozen=True, kw_only=True, slots=True)
class LongPrepared:
    """One long utterance's prepared audio, in a place aside, and the facts of `Prepared`."""

    num_samples: int
    sample_rate: int
    source_samples: int
    trimmed_samples: int
    peak: float
    rms: float
    clipped_share: float
    dc: float
    pcm_hash: str
    signal: Signal
    gain: float
    first: int  # of the samples that lie aside
    aside: Rows = field(repr=False)

    def pcm(self) -> Iterator[npt.NDArray[np.int16]]:
        """The samples, int16 (num_samples,), in blocks; may be asked for again."""
        for block in self.aside.blocks(BLOCK, self.first, self.first + self.num_samples):
            yield to_int16(block, self.gain)


class LongSpan:
    """The first sweep over one span, `start` and `length` in source samples (None: to the end)."""

    def __init__(
        self,
        spec: AudioSpec,
        sample_rate: int,
        *,
        start: int,
        length: int | None,
        channel: int | None,
        set_aside: SetAside,
    ) -> None:
        self._spec, self._rate = spec, sample_rate
        self._channels = spec.channels if channel is None else channel
        self._start, self._length = start, length
        self._end = FAR if length is None else start + length
        self.low, self.high = with_margin(spec, sample_rate, start, self._end)
        self._statistics = Statistics(exact_mean=spec.remove_dc)
        self._hasher = PcmHasher(sample_rate)
        self._signal = SignalMeter(sample_rate)
        self._resampler = None
        if sample_rate != spec.sample_rate:
            self._resampler = soxr.ResampleStream(sample_rate, spec.sample_rate, 1, "float32", spec.resampler)
        self._aside = set_aside()
        self._undecided = set_aside() if spec.remove_dc else None  # what cannot be resampled before the mean is known

    def close(self) -> None:
        """Give up what was set aside."""
        self._aside.close()
        if self._undecided is not None:
            self._undecided.close()

    def add(self, block: Floats, at: int) -> None:
        """The recording's samples from `at` on, (num_samples, channels); every block in order. Raises: bad_channel."""
        part = overlap(self.low, self.high, at, len(block))
        used = used_channels(block[part], self._channels)
        mono = mix(used)
        inside = overlap(self._start, self._end, at + part.start, len(mono))
        self._statistics.add(mono[inside], used[inside], mono)
        self._signal.add(mono[inside])
        self._hasher.add(mono[inside])
        if self._undecided is not None:
            self._undecided.append(mono)
        else:
            self._resample(mono)

    def _resample(self, mono: Floats, *, last: bool = False) -> None:
        if self._resampler is not None:
            mono = self._resampler.resample_chunk(np.ascontiguousarray(mono), last=last)
        self._aside.append(mono)

    def finish(self, total: int) -> LongPrepared:
        """The recording ended after `total` samples. Raises AudioError: what `prepare` raises."""
        spec, rate = self._spec, self._rate
        start, end = checked_span(total, rate, self._start, self._length)
        check_length(end - start, rate, spec)
        facts = self._statistics.facts(spec.silence_db)
        if self._undecided is not None:
            for block in self._undecided.blocks(BLOCK):
                self._resample(block - np.float32(facts["dc"]))
            self._undecided.close()
        self._resample(np.zeros(0, np.float32), last=True)
        offset = scaled_place(self.low, rate, spec.sample_rate)
        first = scaled_place(start, rate, spec.sample_rate) - offset
        last = min(len(self._aside), scaled_place(end, rate, spec.sample_rate) - offset)
        kept_first, kept_last = self._trimmed(first, last)
        removed = removed_by_trim(last - first, kept_last - kept_first, end - start, rate, spec)
        return LongPrepared(
            num_samples=kept_last - kept_first,
            sample_rate=spec.sample_rate,
            source_samples=end - start,
            trimmed_samples=removed,
            pcm_hash=self._hasher.hexdigest(),
            signal=self._signal.result(),
            gain=self._gain(kept_first, kept_last),
            first=kept_first,
            aside=self._aside,
            **facts,
        )

    def _trimmed(self, first: int, last: int) -> tuple[int, int]:
        if not isinstance(self._spec.trim, SilenceTrim) or first == last:
            return first, last
        meter = TrimMeter(self._spec.trim)
        for block in self._aside.blocks(BLOCK, first, last):
            meter.add(block)
        low, high = meter.bounds()
        return first + low, first + high

    def _gain(self, first: int, last: int) -> float:
        meter = LevelMeter(self._spec.normalize, self._spec.sample_rate)
        for block in self._aside.blocks(BLOCK, first, last):
            meter.add(block)
        return meter.gain()


def overlap(start: int, end: int, at: int, length: int) -> slice:
    """The part of a block of `length`, which begins at `at`, that lies between `start` and `end`."""
    first = min(max(start - at, 0), length)
    return slice(first, max(first, min(end - at, length)))


class ShortSpan:
    """A span of a long recording that can be held: its samples are gathered and given to `prepare`."""

    def __init__(
        self, spec: AudioSpec, sample_rate: int, container: str, *, start: int, length: int, channel: int | None
    ) -> None:
        self._spec, self._rate, self._container = spec, sample_rate, container
        self._start, self._length, self._channel = start, length, channel
        self.low, self.high = with_margin(spec, sample_rate, start, start + length)
        self._held: list[Floats] = []

    def add(self, block: Floats, at: int) -> None:
        """The recording's samples from `at` on, (num_samples, channels); every block in order."""
        part = block[overlap(self.low, self.high, at, len(block))]
        if len(part):
            self._held.append(part.copy())  # not a view: the block is to go

    def finish(self, total: int) -> Prepared:
        """Of the recording there are `total` samples, or at least so many. Raises AudioError as `prepare` does."""
        start, end = checked_span(total, self._rate, self._start, self._length)
        held, self._held = self._held, []
        samples = np.concatenate(held) if held else np.zeros((0, 1), np.float32)
        decoded = Decoded(samples=samples, sample_rate=self._rate, container=self._container)
        return prepare(decoded, self._spec, start - self.low, end - start, self._channel)

    def close(self) -> None:
        self._held = []
