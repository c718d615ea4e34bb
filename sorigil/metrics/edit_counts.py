"""Counts the errors of many pairs of texts at once, compiled, without a Python object for each word: `errors` is what others call.

The alignment is rapidfuzz's, by which `errors` counts few pairs and `align` draws them: the bit-parallel matrix of Hyyrö 2003
("A bit-vector algorithm for computing Levenshtein and Damerau edit distances") and the same way back through it, so that counts
are equal pair by pair. Shapes: N pairs, P code points, U units, B blocks of 64 units of a reference.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sorigil.compiled import compiled

Ints = npt.NDArray[np.int64]
Bits = npt.NDArray[np.uint64]
Points = npt.NDArray[np.uint32]
Flags = npt.NDArray[np.bool_]

MOST_UNITS = 2047  # of a side, without what both begin and end with: with more rapidfuzz divides and ties differ
SLOTS = 4096  # of the hash table of one reference's units: a power of two, at least twice as many as they
UNCOUNTED = -1

ZERO, ONE, ALL = np.uint64(0), np.uint64(1), np.uint64(2**64 - 1)
HASH_START, HASH_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a


def word_counts(references: Sequence[str], hypotheses: Sequence[str]) -> Ints:
    """Return hits, substitutions, deletions, insertions (N, 4) in words; a row of `UNCOUNTED` for a pair that is too long.

    Words are equal where their 64-bit hashes are, as in rapidfuzz.
    """
    return _counted(*_hashed_words(*_points(references, hypotheses), _white_space()))


def character_counts(references: Sequence[str], hypotheses: Sequence[str], spaces: bool) -> Ints:
    """The same in code points; with `spaces`, each stretch of white space between words is one more."""
    return _counted(*_characters(*_points(references, hypotheses), _white_space(), spaces))


def _points(references: Sequence[str], hypotheses: Sequence[str]) -> tuple[Points, Ints]:
    """The code points of all texts, the references first, and where each text ends."""
    texts = [*references, *hypotheses]
    points_P = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    return points_P, np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)))


@functools.cache
def _white_space() -> Flags:
    """Which code points part words, as `str.split` has it; the ideographic space is the highest that does."""
    return np.array([chr(point).isspace() for point in range(0x3001)])


@compiled
def _hashed_words(points_P: Points, ends_T: Ints, white_S: Flags) -> tuple[Bits, Ints]:
    """The words of all texts as 64-bit numbers, and where each text's end."""
    words_U, word_ends_T = np.empty(len(points_P) // 2 + len(ends_T), np.uint64), np.empty_like(ends_T)
    n, place = 0, 0
    for text in range(len(ends_T)):
        word = HASH_START
        while place < ends_T[text]:
            point = points_P[place]
            if point >= len(white_S) or not white_S[point]:
                word = (word ^ np.uint64(point)) * HASH_PRIME
            elif word != HASH_START:
                words_U[n] = word
                n, word = n + 1, HASH_START
            place += 1
        if word != HASH_START:
            words_U[n] = word
            n += 1
        word_ends_T[text] = n
    return words_U[:n], word_ends_T


@compiled
def _characters(points_P: Points, ends_T: Ints, white_S: Flags, spaces: bool) -> tuple[Bits, Ints]:
    """The characters of all texts as they are counted, and where each text's end."""
    kept_U, kept_ends_T = np.empty(len(points_P), np.uint64), np.empty_like(ends_T)
    n, place = 0, 0
    for text in range(len(ends_T)):
        first, due = n, False
        while place < ends_T[text]:
            point = points_P[place]
            if point < len(white_S) and white_S[point]:
                due = spaces and n > first
            else:
                if due:
                    kept_U[n] = np.uint64(32)
                    n, due = n + 1, False
                kept_U[n] = np.uint64(point)
                n += 1
            place += 1
        kept_ends_T[text] = n
    return kept_U[:n], kept_ends_T


@compiled
def _slot(unit: np.uint64, keys_S: Bits, owners_S: Ints, pair: int) -> np.int64:
    """Where this pair's table holds the unit, or would; what other pairs left there is free."""
    slot = np.int64(unit & np.uint64(SLOTS - 1))
    while owners_S[slot] == pair and keys_S[slot] != unit:
        slot = (slot + 1) % SLOTS
    return slot


@compiled
def _up_and_down(
    said_U: Bits, heard_U: Bits, pair: int, keys_S: Bits, owners_S: Ints, masks_SB: Bits, up_UB: Bits, down_UB: Bits
) -> None:
    """Fill, for each unit heard, the bits of the units said at which the distance is one more, or less, than one unit before."""
    n_blocks = (len(said_U) + 63) // 64
    for place in range(len(said_U)):
        slot = _slot(said_U[place], keys_S, owners_S, pair)
        if owners_S[slot] != pair:
            owners_S[slot], keys_S[slot] = pair, said_U[place]
            masks_SB[slot, :n_blocks] = ZERO
        masks_SB[slot, place // 64] |= ONE << np.uint64(place % 64)
    for row in range(len(heard_U)):
        slot = _slot(heard_U[row], keys_S, owners_S, pair)
        known = owners_S[slot] == pair
        higher_in, lower_in = ONE, ZERO
        for block in range(n_blocks):
            up = up_UB[row - 1, block] if row else ALL
            down = down_UB[row - 1, block] if row else ZERO
            same = (masks_SB[slot, block] if known else ZERO) | lower_in
            level = (((same & up) + up) ^ up) | same | down
            higher, lower = down | ~(level | up), level & up
            higher, higher_in = (higher << ONE) | higher_in, higher >> np.uint64(63)
            lower, lower_in = (lower << ONE) | lower_in, lower >> np.uint64(63)
            up_UB[row, block] = lower | ~(level | higher)
            down_UB[row, block] = higher & level


@compiled
def _on_the_way_back(said_U: Bits, heard_U: Bits, up_UB: Bits, down_UB: Bits) -> tuple[int, int]:
    """Substitutions and deletions, from the end: a deletion where it is among the best, else an insertion after which the
    distance without the unit said would be more, else both units at once."""
    substitutions, deletions = 0, 0
    column, row = len(said_U), len(heard_U)
    while row and column:
        block, bit = (column - 1) // 64, np.uint64((column - 1) % 64)
        if (up_UB[row - 1, block] >> bit) & ONE:
            deletions, column = deletions + 1, column - 1
            continue
        row -= 1
        if not row or not (down_UB[row - 1, block] >> bit) & ONE:
            column -= 1
            substitutions += said_U[column] != heard_U[row]
    return substitutions, deletions + column


@compiled
def _counted(units_U: Bits, ends_T: Ints) -> Ints:
    """Count pair by pair: half of the T texts are references, then come the hypotheses."""
    n_pairs = len(ends_T) // 2
    counts_N4 = np.full((n_pairs, 4), UNCOUNTED, np.int64)
    keys_S, owners_S = np.empty(SLOTS, np.uint64), np.full(SLOTS, -1, np.int64)
    n_blocks = MOST_UNITS // 64 + 1
    masks_SB = np.empty((SLOTS, n_blocks), np.uint64)
    up_UB, down_UB = np.empty((2, MOST_UNITS, n_blocks), np.uint64)
    for pair in range(n_pairs):
        said_U = units_U[ends_T[pair - 1] if pair else 0 : ends_T[pair]]
        heard_U = units_U[ends_T[n_pairs + pair - 1] : ends_T[n_pairs + pair]]
        n_said, n_heard = len(said_U), len(heard_U)
        shorter = min(n_said, n_heard)
        start = 0
        while start < shorter and said_U[start] == heard_U[start]:
            start += 1
        end = 0
        while end < shorter - start and said_U[n_said - 1 - end] == heard_U[n_heard - 1 - end]:
            end += 1
        said_U, heard_U = said_U[start : n_said - end], heard_U[start : n_heard - end]
        if max(len(said_U), len(heard_U)) > MOST_UNITS:
            continue
        _up_and_down(said_U, heard_U, pair, keys_S, owners_S, masks_SB, up_UB, down_UB)
        substitutions, deletions = _on_the_way_back(said_U, heard_U, up_UB, down_UB)
        hits = n_said - substitutions - deletions
        counts_N4[pair, 0], counts_N4[pair, 1] = hits, substitutions
        counts_N4[pair, 2], counts_N4[pair, 3] = deletions, n_heard - hits - substitutions
    return counts_N4
