"""A backoff n-gram model in arrays: what is the probability of a unit after those before it.

Units are words, or a recogniser's tokens. The n-grams are a trie of nodes, in the order of their length, then of their
units: node 0 is the empty one; a node's children, its n-grams that are one unit longer, stand side by side. Learned by
`kneser_ney`, read and written by `arpa`, walked by the beam search of `sorigil.decoding`.

Shapes: N nodes, V units, P places in the texts. Probabilities are natural logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

UNKNOWN, BEGIN, END = 0, 1, 2  # the first units of every model
MARKS = ("<unk>", "<s>", "</s>")
ROOT = 0  # the empty n-gram
NONE = -1

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Perplexity:
    """How surprised a model is by texts: `log_prob` over `units`, the end of each text among them."""

    log_prob: float
    units: int
    unknown: int  # units that the model does not know; each is scored as <unk>

    @property
    def value(self) -> float:
        """exp of the mean surprise; NaN of no text at all."""
        return math.exp(-self.log_prob / self.units) if self.units else math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class NGramModel:
    """n-grams of up to `order` units. Of each node: the n-gram without its last unit (`parent_N`), that unit (`unit_N`),
    log probability and backoff, and the longest node that it ends with (`suffix_N`)."""

    order: int
    units: tuple[str, ...]
    parent_N: Ints
    unit_N: Ints
    log_prob_N: Floats
    backoff_N: Floats
    suffix_N: Ints = field(init=False, repr=False)
    first_child_N: Ints = field(
        init=False, repr=False
    )  # N + 1 of them: a node's children end where the next one's begin
    _ids: dict[str, int] = field(init=False, repr=False)
    _keys: Ints = field(init=False, repr=False)  # parent and unit in one number, ascending

    def __post_init__(self) -> None:
        keys = self.parent_N[1:] * len(self.units) + self.unit_N[1:]
        if self.units[: len(MARKS)] != MARKS or (np.diff(keys) <= 0).any():
            raise ValueError("an n-gram model begins with <unk>, <s> and </s>, and its nodes are in order, none twice")
        object.__setattr__(self, "_keys", keys)
        object.__setattr__(self, "_ids", {unit: i for i, unit in enumerate(self.units)})
        nodes = np.arange(len(self.parent_N) + 1)
        object.__setattr__(self, "first_child_N", np.searchsorted(self.parent_N[1:], nodes) + 1)
        object.__setattr__(self, "suffix_N", self._suffixes())

    def ids(self, units: Iterable[str]) -> list[int]:
        """The numbers of these units; `UNKNOWN` of those that the model does not know."""
        return [self._ids.get(unit, UNKNOWN) for unit in units]

    def node_lengths(self) -> Ints:
        """How many units each node has."""
        length_N = np.zeros(len(self.parent_N), dtype=np.int64)
        low, high = 0, 1
        for length in range(1, self.order + 1):
            low, high = high, int(self.first_child_N[high])
            length_N[low:high] = length
        return length_N

    def children(self, nodes: Ints, units: Ints) -> Ints:
        """The node of each n-gram with one unit more; NONE where there is none, or no n-gram."""
        keys = nodes * len(self.units) + units
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where((nodes != NONE) & (self._keys[place] == keys), place + 1, NONE)

    def _suffixes(self) -> Ints:
        suffix_N = np.zeros(len(self.parent_N), dtype=np.int64)
        low, high = 1 + len(self.units), len(self.parent_N)
        while low < high:  # one length after the other: the suffix of the parent, and the unit
            end = int(self.first_child_N[low])
            rest = suffix_N[self.parent_N[low:end]]
            found = self.children(rest, self.unit_N[low:end])
            while (
                found == NONE
            ).any():  # a model may lack the n-gram without its first unit, but never all shorter ones
                missing = found == NONE
                rest = np.where(missing, suffix_N[rest], rest)
                found = np.where(missing, self.children(rest, self.unit_N[low:end]), found)
            suffix_N[low:end] = found
            low = end
        return suffix_N

    def log_probs(self, texts: Sequence[Sequence[str]]) -> list[Floats]:
        """Of each text the log probability of each of its units and, last, of its end."""
        ids = [[BEGIN, *self.ids(text), END] for text in texts]
        lengths = np.array([len(each) for each in ids], dtype=np.int64)
        unit_P = np.fromiter((unit for each in ids for unit in each), np.int64, lengths.sum())
        place_P = places(lengths)
        before_P = np.where(place_P > 0, ROOT, NONE)  # the n-gram before each unit: longer and longer
        found_P = self.children(before_P, unit_P)
        log_prob_P = np.where(found_P == NONE, 0.0, self.log_prob_N[found_P])
        ending_P = 1 + unit_P  # the n-gram of this length that ends here
        for length in range(2, self.order + 1):
            before_P = np.concatenate([[NONE], ending_P[:-1]])
            before_P[place_P < length - 1] = NONE
            found_P = self.children(before_P, unit_P)
            backed_off_P = log_prob_P + np.where(before_P == NONE, 0.0, self.backoff_N[before_P])
            log_prob_P = np.where(found_P == NONE, backed_off_P, self.log_prob_N[found_P])
            ending_P = found_P
        return [each[1:] for each in np.split(log_prob_P, np.cumsum(lengths)[:-1])] if texts else []

    def perplexity(self, texts: Sequence[Sequence[str]]) -> Perplexity:
        """How surprised the model is by these texts."""
        found = self.log_probs(texts)
        unknown = sum(self.ids(text).count(UNKNOWN) for text in texts)
        total = float(sum(each.sum() for each in found))
        return Perplexity(log_prob=total, units=sum(map(len, found)), unknown=unknown)


def places(lengths: Ints) -> Ints:
    """0, 1, 2, … within each text, all texts behind each other."""
    starts = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
