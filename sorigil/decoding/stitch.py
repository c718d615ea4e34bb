"""Join the words of a long recording's overlapping windows into one list.

Each window is decoded by itself and owns a core; neighbouring cores touch, while the windows reach over them so that
the network has heard what comes before and after. Not a decoder: it only chooses among words already timed.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from sorigil.types import Word

JITTER = 0.1  # seconds by which two windows may place the same word apart: a few frames, far less than any word


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A decoded window: its words, in seconds of the recording, and the core [core_start, core_end) that it owns."""

    core_start: float
    core_end: float
    words: tuple[Word, ...]

    def __post_init__(self) -> None:
        if self.core_end < self.core_start:
            raise ValueError(f"core_end is {self.core_end}; it must not lie before core_start, {self.core_start}")


def midpoint(word: Word) -> float:
    """Return the middle of a word's time, in seconds: what decides whose word it is."""
    return (word.start + word.end) / 2


def stitch(windows: Sequence[Window]) -> tuple[Word, ...]:
    """Keep each window's words whose midpoint falls into its core, in order of time and without overlaps.

    At a seam two windows may place one word a few frames apart, so that neither or both would own it: of two words with
    the same text and midpoints within `JITTER`, exactly one stays, the more confident.
    """
    ordered = sorted(windows, key=lambda window: window.core_start)
    for left, right in itertools.pairwise(ordered):
        if right.core_start < left.core_end:
            raise ValueError(f"cores overlap: [{right.core_start}, …) begins before {left.core_end}")
    kept = [[word for word in window.words if _owned(window, word)] for window in ordered]
    for i in range(len(ordered) - 1):
        _settle_seam(ordered[i], ordered[i + 1], kept[i], kept[i + 1])
    return _without_overlaps(sorted(itertools.chain.from_iterable(kept), key=midpoint))


def _owned(window: Window, word: Word) -> bool:
    return window.core_start <= midpoint(word) < window.core_end


def _settle_seam(left: Window, right: Window, left_kept: list[Word], right_kept: list[Word]) -> None:
    """Among words both windows have near the seam, drop the second of a doubled one and restore a lost one."""
    seam = left.core_end
    for mine in (word for word in left.words if abs(midpoint(word) - seam) <= JITTER):
        for theirs in (word for word in right.words if abs(midpoint(word) - seam) <= JITTER):
            if mine.text != theirs.text or abs(midpoint(mine) - midpoint(theirs)) > JITTER:
                continue
            in_left, in_right = mine in left_kept, theirs in right_kept
            mine_is_better = mine.confidence >= theirs.confidence
            if in_left and in_right:
                (right_kept if mine_is_better else left_kept).remove(theirs if mine_is_better else mine)
            elif not in_left and not in_right:
                left_kept.append(mine if mine_is_better else theirs)


def _without_overlaps(words: list[Word]) -> tuple[Word, ...]:
    """Part neighbours that overlap halfway between their midpoints, which leaves each a stretch of time."""
    parted = list(words)
    for i in range(len(words) - 1):
        if parted[i].end > parted[i + 1].start:
            cut = (midpoint(words[i]) + midpoint(words[i + 1])) / 2
            parted[i] = dataclasses.replace(parted[i], end=min(parted[i].end, cut))
            parted[i + 1] = dataclasses.replace(parted[i + 1], start=max(parted[i + 1].start, cut))
    return tuple(parted)
