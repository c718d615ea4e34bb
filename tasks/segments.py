"""Recordings into utterances, where the AudioSpec says so: a piece for each stretch of speech or
between pauses, in each channel asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from sorigil.audio.decode import Decoded, Floats, LongRecording
from sorigil.audio.segment import QuietFinder
from sorigil.audio.spans import mix, used_channels
from sorigil.audio.spec import AudioSpec, PauseSegment, Segment, SpeechSegment
from sorigil.audio.speech import SpeechFinder
from sorigil.errors import AudioError
from tasks.rows import Item

BLOCK = 1 << 20  # samples of a short recording that are looked at at once


def segment_pieces(audio: AudioSpec, items: Sequence[Item], recording: Decoded | LongRecording) -> list[Item]:
    """The utterances that `items` become; an item with a span of its own stays as it is. Uses a LongRecording up.

    A piece has `start` and `seconds`, `piece` and `pieces`; the first of a channel has `left_out_samples`, the length of
    what is in no piece. A channel without speech is a piece with a `problem`.
    """
    searches = [_Search(audio, item, recording.sample_rate) for item in items]
    total = 0
    for block in _blocks(recording):
        total += len(block)
        for search in searches:
            search.add(block)
    found = [(item, search.pieces(total)) for item, search in zip(items, searches, strict=True)]
    counts: dict[str, int] = {}
    for item, pieces in found:
        counts[item["place"]] = counts.get(item["place"], 0) + len(pieces)
    return [
        _named(item, piece, number, counts[item["place"]])
        for item, pieces in found
        for number, piece in enumerate(pieces, 1)
    ]


def _named(item: Item, piece: Item, number: int, count: int) -> Item:
    """The piece with its name: `0001`, of a channel `ch0-0001`; an item that stays whole keeps its own."""
    if count == 1:
        return {**piece, "piece": None, "pieces": None}
    channel = item.get("piece")
    return {**piece, "piece": f"{channel}-{number:04d}" if channel else f"{number:04d}", "pieces": count}


def _blocks(recording: Decoded | LongRecording) -> Iterable[Floats]:
    if isinstance(recording, LongRecording):
        return recording
    return (recording.samples[first : first + BLOCK] for first in range(0, recording.num_samples, BLOCK))


class _Pauses:
    """The stretches between pauses."""

    def __init__(self, segment: PauseSegment, sample_rate: int) -> None:
        self._segment = segment
        self._finder = QuietFinder(sample_rate)

    def add(self, samples: Floats) -> None:
        self._finder.add(samples)

    def spans(self, total: int) -> list[tuple[int, int]]:
        """Start and end of each, in samples; together they are the whole of `total`."""
        spec = self._segment
        windows = self._finder.windows(
            max_seconds=spec.max_seconds,
            min_seconds=spec.min_seconds,
            search_seconds=(spec.max_seconds - spec.min_seconds) / 2,
            pause_seconds=spec.pause_seconds,
            overlap_seconds=0.0,
        )
        return [(window.core_start, window.core_end) for window in windows]


def _finder(segment: Segment, sample_rate: int) -> SpeechFinder | _Pauses:
    if isinstance(segment, PauseSegment):
        return _Pauses(segment, sample_rate)
    assert isinstance(segment, SpeechSegment)
    return SpeechFinder(segment, sample_rate)


class _Search:
    """The utterances of one item."""

    def __init__(self, audio: AudioSpec, item: Item, sample_rate: int) -> None:
        self._item, self._rate = item, sample_rate
        self._channels = audio.channels if item["channel"] is None else item["channel"]
        whole = not item["start"] and item["seconds"] is None
        self._finder = _finder(audio.segment, sample_rate) if whole else None

    def add(self, block: Floats) -> None:
        if self._finder is None:
            return
        try:
            mono = mix(used_channels(block, self._channels))
        except AudioError:
            self._finder = None  # `prepare` will say what is wrong
            return
        if np.isfinite(mono).all():
            self._finder.add(mono)
        else:
            self._finder = None

    def pieces(self, total: int) -> list[Item]:
        if self._finder is None:
            return [self._item]
        spans = self._finder.spans(total)
        if not spans:
            return [{**self._item, "problem": AudioError("no_speech", "no stretch of speech was found in it")}]
        found = [
            {**self._item, "start": start / self._rate, "seconds": (end - start) / self._rate} for start, end in spans
        ]
        found[0]["left_out_samples"] = total - sum(end - start for start, end in spans)
        return found
