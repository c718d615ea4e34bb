"""How well tags are told apart, from each item's truth and the probabilities it was given.

Average precision and the area under the ROC curve need no threshold; F1 takes 0.5. Macro figures are means over the tags
that can be judged: those that some items have and, for the area, some have not. Each figure's interval is a percentile
bootstrap over items (or groups), in which an item drawn twice weighs two: nothing is sorted again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri

from sorigil.metrics.intervals import Floats, bootstrap_interval, percentiles, weights_of_draws
from sorigil.metrics.probabilities import Truth, check
from sorigil.metrics.score import Score, both_intervals
from sorigil.text.tags import SAID_FROM

SAMPLES = 500  # of the bootstrap of mAP and d'


class Ranking:
    """Each tag's items by falling probability, with where equal probabilities begin and end: made once, weighed often."""

    def __init__(self, truth_NC: Truth, probabilities_NC: Floats) -> None:
        order_NC = np.argsort(-probabilities_NC, axis=0, kind="stable")
        sorted_NC = np.take_along_axis(probabilities_NC, order_NC, axis=0)
        self.order_NC, self.sorted_NC = order_NC, sorted_NC
        self.truth_NC = np.take_along_axis(truth_NC, order_NC, axis=0)
        changes_NC = np.diff(sorted_NC, axis=0) != 0
        edge = np.ones((1, sorted_NC.shape[1]), dtype=bool)
        places_N1 = np.arange(len(sorted_NC))[:, None]
        starts_NC = np.where(np.concatenate([edge, changes_NC]), places_N1, 0)
        self.first_NC = np.maximum.accumulate(starts_NC, axis=0)
        ends_NC = np.where(np.concatenate([changes_NC, edge]), places_N1, len(sorted_NC))
        self.last_NC = np.minimum.accumulate(ends_NC[::-1], axis=0)[::-1]

    def average_precisions(self, weights_N: Floats) -> Floats:
        """Return each tag's average precision, sum of (recall_k - recall_(k-1)) × precision_k over thresholds k; NaN
        where no item has the tag."""
        weights_NC = weights_N[self.order_NC]
        hits_NC = weights_NC * self.truth_NC
        found_NC, said_NC = np.cumsum(hits_NC, axis=0), np.cumsum(weights_NC, axis=0)
        precisions_NC = found_NC / np.maximum(said_NC, 1e-12)
        at_threshold_NC = np.take_along_axis(precisions_NC, self.last_NC, axis=0)
        return _share((hits_NC * at_threshold_NC).sum(axis=0), found_NC[-1])

    def areas(self, weights_N: Floats) -> Floats:
        """Return each tag's area under the ROC curve: how often an item that has it is above one that has it not, equal
        ones counting half; NaN where one of the two is missing."""
        weights_NC = weights_N[self.order_NC]
        others_NC = weights_NC * ~self.truth_NC
        passed_NC = np.cumsum(others_NC, axis=0)
        total_C = passed_NC[-1]
        until_NC = np.take_along_axis(passed_NC, self.last_NC, axis=0)
        before_NC = np.take_along_axis(passed_NC - others_NC, self.first_NC, axis=0)
        below_NC = total_C - (until_NC + before_NC) / 2
        hits_NC = weights_NC * self.truth_NC
        return _share((hits_NC * below_NC).sum(axis=0), hits_NC.sum(axis=0) * total_C)


def mean_average_precision(
    truth_NC: Truth, probabilities_NC: Floats, tags: Sequence[str], groups: Sequence[str] | None = None
) -> Score:
    """Return mAP, the mean of the tags' average precisions (each by itself: `per_tag`)."""
    ranking = _ranking(truth_NC, probabilities_NC)
    precisions_C = ranking.average_precisions(np.ones(len(truth_NC)))
    detail = {"tags": int(np.isfinite(precisions_C).sum())}

    def weighed(weights_N: Floats) -> float:
        return _mean(ranking.average_precisions(weights_N))

    return _score("map", _mean(precisions_C), weighed, truth_NC, groups, detail)


def d_prime(
    truth_NC: Truth, probabilities_NC: Floats, tags: Sequence[str], groups: Sequence[str] | None = None
) -> Score:
    """Return d' = √2 Φ⁻¹(AUC) of the mean area over tags (Gemmeke et al. 2017, AudioSet).

    A mean area of 1 would be infinite: it counts as half of the smallest step below 1 that this many items can show.
    """
    ranking = _ranking(truth_NC, probabilities_NC)
    areas_C = ranking.areas(np.ones(len(truth_NC)))
    pairs = int(np.sum(truth_NC.sum(axis=0) * (~truth_NC).sum(axis=0)))
    detail = {"area": _number(_mean(areas_C)), "tags": int(np.isfinite(areas_C).sum())}

    def weighed(weights_N: Floats) -> float:
        return separation(_mean(ranking.areas(weights_N)), pairs)

    return _score("d_prime", separation(_mean(areas_C), pairs), weighed, truth_NC, groups, detail)


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
        return _mean(ranking.areas(weights_N))

    value = _mean(areas_C) if detail["tags"] else 0.5
    return _score("roc_auc", value, weighed, truth_NC, groups, detail)


def micro_f1(
    truth_NC: Truth, probabilities_NC: Floats, tags: Sequence[str], groups: Sequence[str] | None = None
) -> Score:
    """Return F1 of all decisions together, 2·hits / (tags there + tags said), a tag being said from 0.5 on."""
    said_NC = probabilities_NC >= SAID_FROM
    hits_N = 2 * (said_NC & truth_NC).sum(axis=1)
    totals_N = said_NC.sum(axis=1) + truth_NC.sum(axis=1)
    detail = {"hits": int(hits_N.sum()) // 2, "there": int(truth_NC.sum()), "said": int(said_NC.sum())}
    check(truth_NC, probabilities_NC)
    found = both_intervals(truth_NC, groups, lambda drawn: bootstrap_interval(hits_N, totals_N, groups_N=drawn))
    value = float(hits_N.sum() / max(int(totals_N.sum()), 1))
    return Score(metric="micro_f1", value=value, n=len(truth_NC), detail=detail, **found)


def tag_f1(
    truth_NC: Truth, probabilities_NC: Floats, tags: Sequence[str], groups: Sequence[str] | None = None
) -> Score:
    """Return the mean of the tags' F1 (macro F1), a tag being said from 0.5 on; tags that are neither there nor said are
    left out."""
    check(truth_NC, probabilities_NC)
    said_NC = probabilities_NC >= SAID_FROM
    counts = [each_NC.astype(np.float64) for each_NC in (truth_NC & said_NC, truth_NC, said_NC)]

    def weighed(weights_N: Floats) -> float:
        hits_C, there_C, said_C = (weights_N @ each_NC for each_NC in counts)
        return _mean(_share(2 * hits_C, there_C + said_C))

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


def _mean(values_C: Floats) -> float:
    there = values_C[~np.isnan(values_C)]
    return float(there.mean()) if len(there) else float("nan")


def _share(part_C: Floats, whole_C: Floats) -> Floats:
    shares_C: Floats = np.divide(part_C, whole_C, out=np.full(len(part_C), np.nan), where=whole_C > 0)
    return shares_C


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
