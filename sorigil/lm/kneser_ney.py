"""Learn an n-gram model from texts: interpolated modified Kneser-Ney (Chen and Goodman 1998, TR-10-98), nothing pruned.

The conventions are KenLM's (`lmplz`, Heafield et al. 2013), so that the same texts give the same ARPA file: an n-gram that
is not of full length is counted by the units that stand before it, and by its occurrences where it begins a text; unigrams
are interpolated with the uniform distribution over all units but <s>.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sorigil.errors import RequestError
from sorigil.lm.ngram import BEGIN, END, MARKS, ROOT, UNKNOWN, Ints, NGramModel, places

FALLBACK = (0.5, 1.0, 1.5)  # lmplz --discount_fallback


@dataclass(frozen=True, kw_only=True, slots=True)
class _Grams:
    """The n-grams of one length, G of them, in order; the nodes are those of `NGramModel`."""

    first: int  # the node of the first
    parent_G: Ints  # nodes
    unit_G: Ints
    suffix_G: Ints  # nodes
    count_G: Ints  # how often each occurs
    begins_G: NDArray[np.bool_]  # does it begin with <s>?

    def adjusted(self, longer: _Grams | None) -> Ints:
        """By how many units each is preceded, where anything can precede it and longer n-grams say so."""
        if longer is None:
            return self.count_G
        preceded_G = np.bincount(longer.suffix_G - self.first, minlength=len(self.unit_G))
        return np.where(self.begins_G, self.count_G, preceded_G)


def learn(texts: Sequence[Sequence[str]], order: int) -> NGramModel:
    """Return the model of these texts, each a sequence of units.

    The order of the texts does not matter. Where they are too few for discounts of their own, these are 0.5, 1 and 1.5.
    Raises `RequestError` when there is no unit at all, or one is called like a mark (`<s>`).
    """
    if order < 1:
        raise ValueError(f"order is {order}; it must be at least 1")
    units = sorted({unit for text in texts for unit in text})
    if not units:
        raise RequestError("no text holds a single unit: a language model has nothing to learn from")
    if marks := sorted({*MARKS}.intersection(units)):
        raise RequestError(f"a text holds {marks[0]!r}, which is a mark of language models: rename it")
    names = (*MARKS, *units)
    return _estimated(names, _counted(texts, {unit: i for i, unit in enumerate(names)}, order))


def _counted(texts: Sequence[Sequence[str]], ids: dict[str, int], order: int) -> list[_Grams]:
    """The n-grams of each length, as far as there are any, with their adjusted counts."""
    lengths = np.array([len(text) + 2 for text in texts], dtype=np.int64)
    marked = (unit for text in texts for unit in (BEGIN, *map(ids.__getitem__, text), END))
    unit_P = np.fromiter(marked, np.int64, lengths.sum())
    place_P = places(lengths)
    found = [_unigrams(np.bincount(unit_P, minlength=len(ids)))]
    node_P = 1 + unit_P  # of the n-gram of the length at hand that ends here
    for length in range(2, order + 1):
        here = np.flatnonzero(place_P >= length - 1)
        if not len(here):
            break
        keys_G, example_G, gram, count_G = np.unique(
            node_P[here - 1] * len(ids) + unit_P[here], return_index=True, return_inverse=True, return_counts=True
        )
        grams = _Grams(
            first=found[-1].first + len(found[-1].unit_G),
            parent_G=keys_G // len(ids),
            unit_G=keys_G % len(ids),
            suffix_G=node_P[here[example_G]],
            count_G=count_G,
            begins_G=place_P[here[example_G]] == length - 1,
        )
        found.append(grams)
        node_P[here] = grams.first + gram
    return found


def _unigrams(count_G: Ints) -> _Grams:
    all_G = np.arange(len(count_G))
    count_G = np.where(all_G == BEGIN, 0, count_G)
    none_G = np.full(len(count_G), ROOT)
    return _Grams(first=1, parent_G=none_G, unit_G=all_G, suffix_G=none_G, count_G=count_G, begins_G=all_G == BEGIN)


def _estimated(units: tuple[str, ...], grams: list[_Grams]) -> NGramModel:
    """Each length's probabilities, mixed with those of the length below; the lowest are mixed with the same for all."""
    prob_N, backoff_N = np.array([1 / (len(units) - 1)]), np.zeros(0)
    for each, longer in zip(grams, [*grams[1:], None], strict=True):
        count_G = each.adjusted(longer)
        discount_G = np.array([0.0, *_discounts(count_G)])[np.minimum(count_G, 3)]
        total_C = np.bincount(each.parent_G, count_G, minlength=len(prob_N))
        left_C = np.bincount(each.parent_G, discount_G, minlength=len(prob_N))
        backoff_C = np.divide(left_C, total_C, out=np.ones(len(prob_N)), where=total_C > 0)
        prob_G = (count_G - discount_G) / total_C[each.parent_G] + backoff_C[each.parent_G] * prob_N[each.suffix_G]
        backoff_N = np.concatenate([backoff_N, backoff_C[len(backoff_N) :]])
        prob_N = np.concatenate([prob_N, prob_G])
    prob_N[1 + BEGIN] = 0.0  # it is given, never predicted
    prob_N[ROOT] = backoff_N[ROOT] = 1.0
    with np.errstate(divide="ignore"):
        return NGramModel(
            order=len(grams),
            units=units,
            parent_N=np.concatenate([[ROOT], *(each.parent_G for each in grams)]),
            unit_N=np.concatenate([[UNKNOWN], *(each.unit_G for each in grams)]),
            log_prob_N=np.log(prob_N),
            backoff_N=np.log(np.concatenate([backoff_N, np.ones(len(prob_N) - len(backoff_N))])),
        )


def _discounts(count_G: Ints) -> tuple[float, ...]:
    """What is taken from n-grams that were counted once, twice, three times or more (Chen and Goodman, equation 26)."""
    n = np.bincount(count_G[count_G < 5], minlength=5).astype(float)
    if not n[1:4].all():
        return FALLBACK
    y = n[1] / (n[1] + 2 * n[2])
    found = tuple(float(k - (k + 1) * y * n[k + 1] / n[k]) for k in (1, 2, 3))
    return found if all(0 < discount <= k for k, discount in enumerate(found, start=1)) else FALLBACK
