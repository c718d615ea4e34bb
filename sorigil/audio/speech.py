"""Stretches of speech in a recording: where its probability stays high, joined over short gaps, cut to a largest length.

A `SpeechFinder` is fed in blocks, so a recording of any length takes 4 bytes of memory for each 32 ms.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import soxr

from sorigil.audio.spec import SpeechSegment
from sorigil.audio.vad import FRAME_SECONDS, RATES, SpeechProbability

HYSTERESIS = 0.15  # speech goes on while its probability is no further below the threshold (Silero's own rule)
CUT_FROM = (
    0.5  # a stretch that is too long is cut in this last share of the largest length, where speech is least likely
)

Floats = npt.NDArray[np.float32]


class SpeechFinder:
    """Feed it one channel, float32 (num_samples,), at any rate."""

    def __init__(self, segment: SpeechSegment, sample_rate: int) -> None:
        self._segment, self._rate = segment, sample_rate
        rate = sample_rate if sample_rate in RATES else RATES[0]
        self._probability = SpeechProbability(rate)
        self._resampler = soxr.ResampleStream(sample_rate, rate, 1, "float32", "MQ") if rate != sample_rate else None
        self._found: list[Floats] = []

    def add(self, samples: Floats) -> None:
        """The next samples."""
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples))
        self._found.append(self._probability.add(samples))

    def spans(self, total: int) -> list[tuple[int, int]]:
        """Start and end of each stretch in samples of a recording of `total`, in order, none overlapping; ends the stream."""
        if self._resampler is not None:
            self._found.append(
                self._probability.add(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
            )
        self._found.append(self._probability.finish())
        frames = speech_frames(np.concatenate(self._found), self._segment)
        places = np.minimum(np.rint(frames * (FRAME_SECONDS * self._rate)), total).astype(np.int64)
        return [(int(start), int(end)) for start, end in places if start < end]


def speech_frames(probability: Floats, segment: SpeechSegment) -> npt.NDArray[np.float64]:
    """Start and end of each stretch in frames (not always whole ones), (num_stretches, 2)."""
    per_second = 1 / FRAME_SECONDS
    starts, ends = _runs(probability >= segment.threshold - HYSTERESIS)
    loud = np.concatenate([[0], np.cumsum(probability >= segment.threshold)])
    likely = loud[ends] > loud[starts]
    starts, ends = starts[likely], ends[likely]
    apart = starts[1:] - ends[:-1] >= segment.min_silence_seconds * per_second
    starts, ends = starts[np.r_[True, apart][: len(starts)]], ends[np.r_[apart, True][: len(ends)]]
    long = ends - starts >= segment.min_seconds * per_second
    pieces = [
        piece
        for start, end in zip(starts[long], ends[long], strict=True)
        for piece in _cut(probability, int(start), int(end), max(2, int(segment.max_seconds * per_second)))
    ]
    return _padded(
        np.asarray(pieces, np.float64).reshape(-1, 2), segment.padding_seconds * per_second, len(probability)
    )


def _runs(mask: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Starts and ends of the runs of true."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return edges[::2], edges[1::2]


def _cut(probability: Floats, start: int, end: int, longest: int) -> list[tuple[int, int]]:
    """The stretch in pieces of at most `longest` frames, cut where speech is least likely."""
    pieces = []
    while end - start > longest:
        first = start + max(1, int(longest * CUT_FROM))
        at = first + int(np.argmin(probability[first : start + longest + 1]))
        pieces.append((start, at))
        start = at
    return [*pieces, (start, end)]


def _padded(pieces: npt.NDArray[np.float64], padding: float, total: int) -> npt.NDArray[np.float64]:
    """Every stretch widened on both sides, up to the middle between neighbours."""
    middles = (pieces[1:, 0] + pieces[:-1, 1]) / 2
    padded = pieces + np.array([-padding, padding])
    padded[1:, 0] = np.maximum(padded[1:, 0], middles)
    padded[:-1, 1] = np.minimum(padded[:-1, 1], middles)
    return np.asarray(np.clip(padded, 0, total))
