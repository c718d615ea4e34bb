"""How well tags are told apart, from each item's truth and the probabilities it was given.

Average precision and the area under the ROC curve need no threshold; F1 judges what was said. Macro figures are means over
the tags that can be judged: those that some items have and, for the area, some have not. Each figure's interval is a
percentile bootstrap over items (or groups), in which an item drawn twice weighs two: nothing is sorted again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from sorigil.metrics.intervals import Floats, Numbers, bootstrap_interval, percentiles, weights_of_draws
from sorigil.metrics.probabilities import Truth, check
from sorigil.metrics.score import Score, both_intervals

SAMPLES = 500  # of the bootstrap of mAP and d'


class Ranking:
    """Each tag's items by falling probability: sorted once, weighed often.

    `truth_CN` and `sorted_CN` (the probabilities) are in that order; `last_CN` is the last place of an equal probability.
    P are the pairs of a tag and an item that has it: where its equals begin and end among all items, and among the pairs.
    """

    def __init__(self, truth_NC: Truth, probabilities_NC: Floats) -> None:
        self.order_CN = np.argsort(-probabilities_NC.T, axis=1, kind="stable")
        self.sorted_CN = np.take_along_axis(probabilities_NC.T, self.order_CN, axis=1)
        self.truth_CN = np.take_along_axis(truth_NC.T, self.order_CN, axis=1)
        n_tags, n_items = self.truth_CN.shape
        ends_CN = np.ones((n_tags, n_items), dtype=bool)
        ends_CN[:, :-1] = np.diff(self.sorted_CN, axis=1) != 0
        places_N = np.arange(n_items)
        last_CN = np.where(ends_CN, places_N, n_items)
        self.last_CN = np.minimum.accumulate(last_CN[:, ::-1], axis=1)[:, ::-1]
        starts_CN = np.roll(ends_CN, 1, axis=1)
        first_CN = np.maximum.accumulate(np.where(starts_CN, places_N, 0), axis=1)
        self.tag_P, place_P = np.nonzero(self.truth_CN)
        self.item_P = self.order_CN[self.tag_P, place_P]
        row_P = self.tag_P * (n_items + 1)  # of sums that begin with a 0
        self.first_P = row_P + first_CN[self.tag_P, place_P]
        self.end_P = row_P + self.last_CN[self.tag_P, place_P] + 1
        own_P = row_P + place_P
        self.hits_first_P, self.hits_end_P = np.searchsorted(own_P, self.first_P), np.searchsorted(own_P, self.end_P)
        self.hits_row_P = np.searchsorted(self.tag_P, self.tag_P)

    def average_precisions(self, weights_N: Floats) -> Floats:
        """Return each tag's average precision, sum of (recall_k - recall_(k-1)) × precision_k over thresholds k; NaN
        where no item has the tag."""
        return self.figures(weights_N)[0]

    def areas(self, weights_N: Floats) -> Floats:
        """Return each tag's area under the ROC curve: how often an item that has it is above one that has it not, equal
        ones counting half; NaN where one of the two is missing."""
        return self.figures(weights_N)[1]

    def figures(self, weights_N: Floats) -> tuple[Floats, Floats]:
        """Return `average_precisions` and `areas`, which come of the same sums."""
        n_tags = len(self.order_CN)
        said_CN = np.zeros((n_tags, self.order_CN.shape[1] + 1))
        np.cumsum(weights_N[self.order_CN], axis=1, out=said_CN[:, 1:])
        own_P = weights_N[self.item_P]
        hits_P = np.concatenate([[0.0], np.cumsum(own_P)])
        found_P = hits_P[self.hits_end_P] - hits_P[self.hits_row_P]
        said_P = said_CN.ravel()[self.end_P]
        there_C = np.bincount(self.tag_P, own_P, n_tags)
        precisions_C = np.bincount(self.tag_P, own_P * found_P / np.maximum(said_P, 1e-12), n_tags)
        others_C = said_CN[:, -1] - there_C
        before_P = said_CN.ravel()[self.first_P] - (hits_P[self.hits_first_P] - hits_P[self.hits_row_P])
        below_P = others_C[self.tag_P] - (said_P - found_P + before_P) / 2
        areas_C = np.bincount(self.tag_P, own_P * below_P, n_tags)
        return _share(precisions_C, there_C), _share(areas_C, there_C * others_C)


def mean_average_precision(
    truth_NC: Truth, probabilities_NC: Floats, tags: Sequence[str], groups: Sequence[str] | None = None
) -> Score:
    """Return mAP, the mean of the tags' average precisions (each by itself: `per_tag`)."""
    ranking = _ranking(truth_NC, probabilities_NC)
    precisions_C = ranking.average_precisions(np.ones(len(truth_NC)))
    detail = {"tags": int(np.isfinite(precisions_C).sum())}

    def weighed(weights_N: Floats) -> float:
        return mean_of(ranking.average_precisions(weights_N))

    return _score("map", mean_of(precisions_C), weighed, truth_NC, groups, detail)


def d_prime(
    truth_NC: Truth, probabilities_NC: Floats, tags: Sequence[str], groups: Sequence[str] | None = None
) -> Score:
    """Return d' = √2 Φ⁻¹(AUC) of the mean area over tags (Gemmeke et al. 2017, AudioSet).

    A mean area of 1 would be infinite: it counts as half of the smallest step below 1 that this many items can show.
    """
    ranking = _ranking(truth_NC, probabilities_NC)
    areas_C = ranking.areas(np.ones(len(truth_NC)))
    pairs = int(np.sum(truth_NC.sum(axis=0) * (~truth_NC).sum(axis=0)))
    detail = {"area": _number(mean_of(areas_C)), "tags": int(np.isfinite(areas_C).sum())}

    def weighed(weights_N: Floats) -> float:
        return separation(mean_of(ranking.areas(weights_N)), pairs)

    return _score("d_prime", separation(mean_of(areas_C), pairs), weighed, truth_NC, groups, detail)


def roc_auc(
    truth_NC: Truth, probabilities_NC: Floats, tags: Sequence[str], groups: Sequence[str] | None = None
) -> Score:
    """Return the mean area under the ROC curve over tags, or over classes, each against all others.

    Tags and classes that no item has, or all have, cannot be judged and are left out; 0.5 (chance) where all are.
    """
    ranking = _ranking(truth_NC, probabilities_NC)
    areas_C = ranking.areas(np.ones(len(truth_NC)))
    detail = {"tags": int(np.isfinite(areas_C).sum())}

    def weighed(weights_N: Floats) -> float:
        return mean_of(ranking.areas(weights_N))

    value = mean_of(areas_C) if detail["tags"] else 0.5
    return _score("roc_auc", value, weighed, truth_NC, groups, detail)


def micro_f1(truth_NC: Truth, said_NC: Truth, tags: Sequence[str], groups: Sequence[str] | None = None) -> Score:
    """Return F1 of all decisions together, 2·hits / (tags there + tags said); 0 where there are neither."""
    hits_N = 2 * (said_NC & truth_NC).sum(axis=1)
    totals_N = said_NC.sum(axis=1) + truth_NC.sum(axis=1)
    detail = {"hits": int(hits_N.sum()) // 2, "there": int(truth_NC.sum()), "said": int(said_NC.sum())}
    check(truth_NC, said_NC)
    found = both_intervals(truth_NC, groups, lambda drawn: bootstrap_interval(hits_N, totals_N, groups_N=drawn))
    value = float(hits_N.sum() / max(int(totals_N.sum()), 1))
    return Score(metric="micro_f1", value=value, n=len(truth_NC), detail=detail, **found)


def tag_f1(truth_NC: Truth, said_NC: Truth, tags: Sequence[str], groups: Sequence[str] | None = None) -> Score:
    """Return the mean of the tags' F1 (macro F1); tags that are neither there nor said are left out."""
    check(truth_NC, said_NC)
    counts = [each_NC.astype(np.float64) for each_NC in (truth_NC & said_NC, truth_NC, said_NC)]

    def weighed(weights_N: Floats) -> float:
        hits_C, there_C, said_C = (weights_N @ each_NC for each_NC in counts)
        return mean_of(_share(2 * hits_C, there_C + said_C))

    everyone_N = np.ones(len(truth_NC))
    judged = int(np.count_nonzero((truth_NC | said_NC).any(axis=0)))
    return _score("tag_f1", weighed(everyone_N), weighed, truth_NC, groups, {"tags": judged})


def separation(area: float, pairs: int) -> float:
    """Return d' of an area under the ROC curve that was counted from so many pairs; 0 where there are none."""
    if pairs == 0 or np.isnan(area):
        return 0.0
    step = 1 / (2 * pairs)
    return float(np.sqrt(2) * ndtri(np.clip(area, step, 1 - step)))


def _ranking(truth_NC: Truth, probabilities_NC: Floats) -> Ranking:
    check(truth_NC, probabilities_NC)
    return Ranking(truth_NC, probabilities_NC)


def _score(
    metric: str,
    value: float,
    weighed: Callable[[Floats], float],
    truth_NC: Truth,
    groups: Sequence[str] | None,
    detail: dict[str, Any],
) -> Score:
    def drawn(units: Sequence[str] | None) -> tuple[float, float] | None:
        draws = weights_of_draws(len(truth_NC), SAMPLES, units)
        values = np.fromiter(map(weighed, draws), np.float64)
        values = values[np.isfinite(values)]  # a draw may hold no item with any tag
        return percentiles(values, 0.95) if len(values) else None

    found = both_intervals(truth_NC, groups, drawn)
    return Score(metric=metric, value=_number(value) or 0.0, n=len(truth_NC), detail=detail, **found)


def mean_of(values_C: Floats) -> float:
    """Return the mean over the tags that can be judged; NaN where none can."""
    there = values_C[~np.isnan(values_C)]
    return float(there.mean()) if len(there) else float("nan")


def _share(part_C: Numbers, whole_C: Numbers) -> Floats:
    shares_C: Floats = np.divide(part_C, whole_C, out=np.full(len(part_C), np.nan), where=whole_C > 0)
    return shares_C


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
