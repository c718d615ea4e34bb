"""Which items of a dataset are the same sound: near-duplicates by their acoustic fingerprints, and groups of linked items.

All in columns: an inverted index of the codes proposes pairs, the bits of the frames that stand opposite each other
decide. What becomes of what was found (dropped, kept together, refused) is decided where the version is assembled.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sorigil.audio.acoustic import BITS, HOP, RATE

MOST_SHIFT = 2.0  # seconds: how much later one may begin than the other, and how much longer it may be
MOST_WRONG = 0.15  # of the bits of the frames that stand opposite each other
EXACT_FRAMES = 5  # … which forgive no error: a few frames agree by chance, so among few less is forgiven
FEWEST_FRAMES = 6  # that must stand opposite each other
_SHARE_OF_FRAMES = 0.2  # … and at least this share of the smaller fingerprint
_RICH = 48  # fingerprints of so many codes must have two in common before they are compared
_MOST_HITS = 1 << 24  # equal codes looked at, the rarest first: bounds time and memory
_CHUNK = 1 << 17  # pairs compared at a time

_FRAME, _CODE = np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFF00000000)  # the halves of an entry

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class DuplicatesSpec:
    """What becomes of items that are the same sound. The same bytes are always a duplicate."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    pcm: Literal["drop", "keep"] = "drop"  # the same samples in another container
    near: Literal["none", "keep", "drop"] = "none"  # encoded again, louder, trimmed; none: not looked for

    @property
    def searches_near(self) -> bool:
        return self.near != "none"


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprints:
    """The fingerprints of many items, end to end: `entries` (uint64) from `starts[i]` to `starts[i + 1]` are item i's."""

    entries: NDArray[np.uint64]
    starts: Ints
    seconds: NDArray[np.float64]  # of each item

    @property
    def sizes(self) -> Ints:
        return np.diff(self.starts)


def near_pairs(prints: Fingerprints) -> Ints:
    """Pairs (P, 2) of items that sound the same, each pair once and the lower number first.

    Level, container, rate and up to `MOST_SHIFT` seconds cut off an end do not matter. A shorter excerpt of a longer
    recording is not found.
    """
    if not len(prints.entries):
        return np.zeros((0, 2), np.int64)
    sizes = prints.sizes
    item = np.repeat(np.arange(len(sizes)), sizes)
    hits = list(_hits(prints, item))
    proposed, times = np.unique(np.concatenate(hits) if hits else np.zeros(0, np.uint64), return_counts=True)
    first, second, _ = _unpack(proposed)
    smaller = np.minimum(sizes[first], sizes[second])
    proposed = proposed[times >= np.where(smaller >= _RICH, 2, 1)]
    places = item.astype(np.uint64) << np.uint64(32) | (prints.entries & _FRAME)
    found = [_compared(prints, places, proposed[low : low + _CHUNK]) for low in range(0, len(proposed), _CHUNK)]
    return np.unique(np.concatenate([np.zeros((0, 2), np.int64), *found]), axis=0)


def _hits(prints: Fingerprints, item: Ints) -> Iterator[NDArray[np.uint64]]:
    """Places where two items have the same code, packed as items and shift in frames."""
    index = prints.entries & _CODE | np.arange(len(item), dtype=np.uint64)  # by code, then by item
    index.sort()
    order = (index & _FRAME).astype(np.int64)
    codes = (index >> np.uint64(32)).astype(np.uint32)
    rare = _rare_enough(codes)
    codes, order = codes[rare], order[rare]
    frame = (prints.entries[order] & _FRAME).astype(np.int32)
    item = item[order].astype(np.int32)
    seconds = prints.seconds.astype(np.float32)[item]
    most = round(MOST_SHIFT * RATE / HOP)
    for step in range(1, len(codes)):
        same = codes[step:] == codes[:-step]
        if not same.any():
            return
        same &= np.abs(seconds[step:] - seconds[:-step]) <= MOST_SHIFT
        same &= item[step:] != item[:-step]
        place = np.flatnonzero(same)
        shift = frame[place + step] - frame[place]
        near = np.abs(shift) <= most
        yield _pack(item[place[near]], item[place[near] + step], shift[near])


def _rare_enough(codes: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Of sorted codes: those that several have, the most common ones left out once there are more than `_MOST_HITS`."""
    edges = np.flatnonzero(np.diff(codes, prepend=codes[0] ^ np.uint32(1)))
    counts = np.diff(edges, append=len(codes))
    by_count = np.bincount(counts)
    times = np.arange(len(by_count))
    allowed = (np.cumsum(by_count * (times * (times - 1) // 2)) <= _MOST_HITS) & (times > 1)
    return np.repeat(allowed[counts], counts)


def _pack(first: NDArray[np.int32], second: NDArray[np.int32], shift: NDArray[np.int32]) -> NDArray[np.uint64]:
    """24 bits for each item, 16 for the shift. Of two equal codes the lower item stands first in the index."""
    low = second.astype(np.uint64) << np.uint64(16) | (shift + 0x8000).astype(np.uint64)
    return first.astype(np.uint64) << np.uint64(40) | low


def _unpack(packed: NDArray[np.uint64]) -> tuple[Ints, Ints, Ints]:
    first = (packed >> np.uint64(40)).astype(np.int64)
    second = (packed >> np.uint64(16) & np.uint64(0xFFFFFF)).astype(np.int64)
    return first, second, (packed & np.uint64(0xFFFF)).astype(np.int64) - 0x8000


def _compared(prints: Fingerprints, places: NDArray[np.uint64], proposed: NDArray[np.uint64]) -> Ints:
    """The proposed pairs whose bits agree in the frames that stand opposite each other."""
    first, second, shift = _unpack(proposed)
    sizes = prints.sizes
    lengths = sizes[first]
    pair = np.repeat(np.arange(len(proposed)), lengths)
    mine = np.arange(len(pair)) + np.repeat(prints.starts[first] - (np.cumsum(lengths) - lengths), lengths)
    frame = (places[mine] & _FRAME).astype(np.int64) + shift[pair]
    wanted = second[pair] << 32 | np.maximum(frame, 0)
    theirs = np.minimum(np.searchsorted(places, wanted.astype(np.uint64)), len(places) - 1)
    opposite = (places[theirs] == wanted) & (frame >= 0)
    pair, mine, theirs = pair[opposite], mine[opposite], theirs[opposite]
    wrong = np.bitwise_count((prints.entries[mine] ^ prints.entries[theirs]) >> np.uint64(32))
    frames = np.bincount(pair, minlength=len(proposed))
    wrong_bits = np.bincount(pair, weights=wrong, minlength=len(proposed))
    enough = np.maximum(FEWEST_FRAMES, _SHARE_OF_FRAMES * np.minimum(sizes[first], sizes[second]))
    same = (frames >= enough) & (wrong_bits <= MOST_WRONG * BITS * (frames - EXACT_FRAMES))
    return np.stack([first[same], second[same]], axis=1)


def linked(count: int, pairs: Ints) -> Ints:
    """The group (count,) of each of `count` items, where `pairs` (P, 2) link two each: numbers without meaning."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    groups: Ints = connected_components(links, directed=False)[1].astype(np.int64)
    return groups
