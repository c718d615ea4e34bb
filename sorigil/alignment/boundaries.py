"""Where words begin and end between the peaks of a CTC network's tokens: at pauses, else at the quietest moment.

A CTC token is a peak somewhere in its sound, mostly near the beginning, and what is left of a word counts as blank. So a
path says which words follow each other and about when; how the stretches between them are shared out, the sound says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from sorigil.alignment.forced import AlignedWord
from sorigil.audio.segment import Loudness
from sorigil.types import Word

PAUSE_SECONDS = 0.1  # longer than most closures inside a word
REACH_SECONDS = 0.5  # as far as a word may go on after its last token, or begin before its first


def settle(words: Sequence[AlignedWord], loudness: Loudness, start: float, end: float) -> tuple[AlignedWord, ...]:
    """Give the stretches before, between and after the words, which are in order, to the words or to silence.

    A word ends where the first pause after it begins, and begins where the last pause before it ends. Two words without a
    pause between meet at the quietest moment. No word gets shorter, and none leaves the stretch `start` to `end`. Within
    a word each character goes on until the next one begins.
    """
    begins, ends = [word.start for word in words], [word.end for word in words]
    for after in range(len(words) + 1):  # the gap before word number `after`
        left = words[after - 1].end if after else start
        right = words[after].start if after < len(words) else end
        stop, begin = _parted(loudness, left, right, meet=0 < after < len(words))
        if after:
            ends[after - 1] = min(stop, left + REACH_SECONDS)
        if after < len(words):
            begins[after] = max(begin, right - REACH_SECONDS)
    return tuple(
        replace(word, start=begin, end=stop, characters=tuple(_tiled(word.characters, begin, stop)))
        for word, begin, stop in zip(words, begins, ends, strict=True)
    )


def _parted(loudness: Loudness, left: float, right: float, *, meet: bool) -> tuple[float, float]:
    """Where in a gap the sound before it ends, and where the sound after it begins."""
    unit = loudness.frame_seconds
    first, last = int(np.ceil(left / unit)), min(int(right / unit), len(loudness.power))
    if first >= last:
        return left, right
    edges = np.flatnonzero(np.diff(loudness.quiet[first:last].astype(np.int8), prepend=0, append=0))
    long = edges[1::2] - edges[::2] >= PAUSE_SECONDS / unit
    if long.any():
        return (first + edges[::2][long][0]) * unit, (first + edges[1::2][long][-1]) * unit
    if not meet:
        return left, right
    quietest = (first + int(loudness.power[first:last].argmin()) + 0.5) * unit
    return quietest, quietest


def _tiled(characters: Sequence[Word], start: float, end: float) -> Iterator[Word]:
    starts = [start, *(character.start for character in characters[1:])]
    for character, begin, stop in zip(characters, starts, [*starts[1:], end], strict=False):
        yield replace(character, start=begin, end=stop)
