"""mAP, d' and micro F1 against brute force over thresholds and pairs; what a figure says where it cannot say much."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from sorigil.errors import RequestError
from sorigil.metrics.tagging import Ranking, d_prime, mean_average_precision, micro_f1, roc_auc, separation, tag_f1

ITEMS = st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=12)


def brute_precision(items: list[tuple[bool, int, int]]) -> float:
    """Average precision by its definition: every distinct probability is a threshold."""
    total = sum(weight for truth, _, weight in items if truth)
    value, before = 0.0, 0
    for threshold in sorted({place for _, place, _ in items}, reverse=True):
        hits = sum(weight for truth, place, weight in items if truth and place >= threshold)
        said = sum(weight for _, place, weight in items if place >= threshold)
        if said:
            value += (hits - before) / total * hits / said
        before = hits
    return value


def brute_area(items: list[tuple[bool, int, int]]) -> float:
    """The share of pairs (has it, has it not) in the right order, equal ones half."""
    won = total = 0.0
    for (left, a, w), (right, b, v) in itertools.product(items, repeat=2):
        if left and not right:
            won += w * v * ((a > b) + (a == b) / 2)
            total += w * v
    return won / total


@given(ITEMS)
def test_average_precision_is_that_of_every_threshold(items: list[tuple[bool, int, int]]) -> None:
    truth, places, weights = map(np.array, zip(*items, strict=True))
    (found,) = Ranking(truth[:, None], places[:, None] / 6).average_precisions(weights.astype(float))
    if weights[truth].sum() == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(brute_precision(items))


@given(ITEMS)
def test_the_area_is_that_of_every_pair(items: list[tuple[bool, int, int]]) -> None:
    truth, places, weights = map(np.array, zip(*items, strict=True))
    (found,) = Ranking(truth[:, None], places[:, None] / 6).areas(weights.astype(float))
    if weights[truth].sum() == 0 or weights[~truth].sum() == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(brute_area(items))


def some(items: int = 200, tags: int = 5) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    truth_NC = rng.random((items, tags)) < 0.3
    probabilities_NC = np.clip(rng.random((items, tags)) * 0.7 + 0.3 * truth_NC, 0, 1).round(2)
    return truth_NC, probabilities_NC, [f"tag{number}" for number in range(tags)]


def test_the_figures_are_scikit_learns() -> None:
    truth_NC, probabilities_NC, tags = some()
    precision = mean_average_precision(truth_NC, probabilities_NC, tags)
    assert precision.value == pytest.approx(average_precision_score(truth_NC, probabilities_NC, average="macro"))
    area = roc_auc_score(truth_NC, probabilities_NC, average="macro")
    assert d_prime(truth_NC, probabilities_NC, tags).value == pytest.approx(math.sqrt(2) * NormalDist().inv_cdf(area))
    expected = f1_score(truth_NC, probabilities_NC >= 0.5, average="micro")
    assert micro_f1(truth_NC, probabilities_NC >= 0.5, tags).value == pytest.approx(expected)
    assert roc_auc(truth_NC, probabilities_NC, tags).value == pytest.approx(area)
    expected = f1_score(truth_NC, probabilities_NC >= 0.5, average="macro")
    assert tag_f1(truth_NC, probabilities_NC >= 0.5, tags).value == pytest.approx(expected)


def test_intervals_hold_their_value_and_groups_make_them_wider() -> None:
    truth_NC, probabilities_NC, tags = some()
    groups = [f"speaker{row // 50}" for row in range(200)]
    for metric in (mean_average_precision, d_prime, micro_f1, roc_auc, tag_f1):
        answers_NC = probabilities_NC >= 0.5 if metric in (micro_f1, tag_f1) else probabilities_NC
        score, grouped = metric(truth_NC, answers_NC, tags), metric(truth_NC, answers_NC, tags, groups)
        assert score.interval is not None and score.interval[0] < score.value < score.interval[1]
        assert score.interval == grouped.interval
        assert grouped.interval_by_group not in (None, score.interval)


def test_a_tag_that_no_item_has_is_left_out_of_the_means() -> None:
    truth_NC, probabilities_NC, tags = some()
    more_NC = np.concatenate([truth_NC, np.zeros((200, 1), bool)], axis=1)
    scores_NC = np.concatenate([probabilities_NC, np.full((200, 1), 0.1)], axis=1)
    for metric in (mean_average_precision, d_prime, roc_auc):
        assert metric(more_NC, scores_NC, [*tags, "none"]).value == pytest.approx(
            metric(truth_NC, probabilities_NC, tags).value
        )
    assert (
        tag_f1(more_NC, scores_NC >= 0.5, [*tags, "none"]).value
        == tag_f1(truth_NC, probabilities_NC >= 0.5, tags).value
    )
    assert mean_average_precision(more_NC, scores_NC, [*tags, "none"]).detail == {"tags": 5}


def test_a_perfect_order_has_a_finite_separation() -> None:
    truth_NC = np.array([[True], [True], [False]])
    score = d_prime(truth_NC, np.array([[0.9], [0.8], [0.1]]), ["tag"])
    assert score.value == pytest.approx(math.sqrt(2) * NormalDist().inv_cdf(1 - 1 / 4)) == separation(1.0, 2)
    assert score.detail["area"] == 1
    assert separation(0.5, 10) == pytest.approx(0)


def test_what_nothing_can_tell_has_a_value_that_json_can_carry() -> None:
    """As docs/scoring.md says: of no tags at all, said or there."""
    nothing_NC, unsure_NC, tags = np.zeros((3, 2), bool), np.full((3, 2), 0.1), ["a", "b"]
    expected = {mean_average_precision: 0.0, d_prime: 0.0, roc_auc: 0.5, micro_f1: 0.0, tag_f1: 0.0}
    for metric, value in expected.items():
        answers_NC = nothing_NC if metric in (micro_f1, tag_f1) else unsure_NC
        assert metric(nothing_NC, answers_NC, tags).value == value
    all_NC = ~nothing_NC  # nobody to tell apart from: an area needs both
    assert (roc_auc(all_NC, unsure_NC, tags).value, d_prime(all_NC, unsure_NC, tags).value) == (0.5, 0.0)
    assert mean_average_precision(all_NC, unsure_NC, tags).value == 1.0
    assert micro_f1(nothing_NC, all_NC, tags).value == 0.0 == tag_f1(nothing_NC, all_NC, tags).value


def test_nothing_and_what_does_not_fit_are_refused() -> None:
    with pytest.raises(RequestError, match="nothing to score"):
        micro_f1(np.zeros((0, 2), bool), np.zeros((0, 2), bool), ["a", "b"])
    with pytest.raises(ValueError, match="comes with answers"):
        mean_average_precision(np.zeros((1, 2), bool), np.zeros((1, 3)), ["a", "b"])
