"""Top-k, area, calibration and Brier score of classifiers: scikit-learn's values or the formula's, edges, intervals."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, top_k_accuracy_score

from sorigil.errors import RequestError
from sorigil.metrics import METRICS
from sorigil.metrics.calibration import BINS, calibration_error, reliability

OF_CLASSES = {
    name: metric
    for name, metric in METRICS.items()
    if metric.reads == "probabilities" and "classification" in metric.objectives
}


def some(items: int = 300, classes: int = 7, seed: int = 0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    logits_NC = rng.normal(size=(items, classes))
    truth_N = rng.integers(0, classes, items)
    logits_NC[np.arange(items), truth_N] += 1.5
    probabilities_NC = np.exp(logits_NC) / np.exp(logits_NC).sum(axis=1, keepdims=True)
    return truth_N[:, None] == np.arange(classes), probabilities_NC, [f"class{c}" for c in range(classes)]


@pytest.mark.parametrize("k", [2, 3, 5])
def test_top_k_is_scikit_learns(k: int) -> None:
    truth_NC, probabilities_NC, names = some()
    expected = top_k_accuracy_score(truth_NC.argmax(axis=1), probabilities_NC, k=k)
    assert METRICS[f"top_{k}"].compute(truth_NC, probabilities_NC, names).value == pytest.approx(expected)


def test_of_equal_probabilities_the_first_class_is_the_likelier_as_in_the_answer() -> None:
    even_NC = np.full((3, 3), 1 / 3)
    assert METRICS["top_2"].compute(np.eye(3, dtype=bool), even_NC, list("abc")).value == pytest.approx(2 / 3)
    assert METRICS["top_5"].compute(np.eye(3, dtype=bool), even_NC, list("abc")).value == 1.0


def test_a_class_of_no_probability_is_never_among_the_likeliest() -> None:
    unseen_NC = np.array([[0.6, 0.4, 0.0]])
    assert METRICS["top_3"].compute(np.array([[False, False, True]]), unseen_NC, list("abc")).value == 0.0
    assert METRICS["top_3"].compute(np.array([[False, True, False]]), unseen_NC, list("abc")).value == 1.0


def test_the_area_is_scikit_learns() -> None:
    truth_NC, probabilities_NC, names = some()
    expected = roc_auc_score(truth_NC.argmax(axis=1), probabilities_NC, multi_class="ovr", average="macro")
    assert METRICS["roc_auc"].compute(truth_NC, probabilities_NC, names).value == pytest.approx(expected)


def test_an_area_that_nothing_can_tell_is_chance_without_an_interval() -> None:
    truth_NC = np.zeros((5, 2), dtype=bool)
    truth_NC[:, 0] = True
    score = METRICS["roc_auc"].compute(truth_NC, np.full((5, 2), 0.5), ["a", "b"])
    assert (score.value, score.interval, score.detail) == (0.5, None, {"tags": 0})


def test_calibration_is_guos_formula() -> None:
    truth_NC, probabilities_NC, names = some()
    sure_N, right_N = probabilities_NC.max(axis=1), truth_NC[np.arange(300), probabilities_NC.argmax(axis=1)]
    expected = 0.0
    for b in range(BINS):
        inside = (sure_N > b / BINS) & (sure_N <= (b + 1) / BINS)
        if inside.any():
            expected += inside.mean() * abs(right_N[inside].mean() - sure_N[inside].mean())
    assert METRICS["ece"].compute(truth_NC, probabilities_NC, names).value == pytest.approx(expected)


def test_calibration_by_hand() -> None:
    """Of four answers at 0.9 three are right, one at 0.5 is wrong: (4·|0.75 - 0.9| + 1·|0 - 0.5|) / 5."""
    sure_N, right_N = np.array([0.9, 0.9, 0.9, 0.9, 0.5]), np.array([True, True, True, False, False])
    assert calibration_error(sure_N, right_N) == pytest.approx((0.6 + 0.5) / 5)
    bins = [each for each in reliability(sure_N, right_N) if each.items]
    assert [(each.items, each.confidence, each.right) for each in bins] == [
        (1, 0.5, 0.0),
        (4, pytest.approx(0.9), 0.75),
    ]
    assert all(each.low < (each.confidence or 0) <= each.high for each in bins)


def test_the_edges_of_a_bin() -> None:
    """An upper edge belongs to its bin; 0 and 1 to the first and the last."""
    bins = reliability(np.array([0.0, 1 / 15, 0.99, 1.0]), np.array([True] * 4))
    assert len(bins) == BINS and [each.items for each in bins] == [2, *[0] * 13, 2]
    assert bins[5].confidence is None and bins[5].right is None
    with pytest.raises(ValueError, match="2 confidences come with 1"):
        reliability(np.ones(2), np.array([True]))


def test_the_interval_of_the_calibration_takes_the_bias_off() -> None:
    """Answers that are as sure as they should be: the true error is 0, the estimate never is."""
    rng = np.random.default_rng(0)
    sure_N = rng.uniform(0.5, 1, 400)
    right_N = rng.random(400) < sure_N
    truth_NC = np.stack([right_N, ~right_N], axis=1)
    score = METRICS["ece"].compute(truth_NC, np.stack([sure_N, 1 - sure_N], axis=1), ["a", "b"])
    assert score.interval is not None
    assert score.interval[0] < 0.02 < score.value


def test_brier_is_its_formula_and_its_ends_are_0_and_2() -> None:
    truth_NC, probabilities_NC, names = some()
    expected = np.mean(
        [sum((p - t) ** 2 for p, t in zip(*row, strict=True)) for row in zip(probabilities_NC, truth_NC, strict=True)]
    )
    assert METRICS["brier"].compute(truth_NC, probabilities_NC, names).value == pytest.approx(expected)
    sure_NC = np.eye(2)
    assert METRICS["brier"].compute(sure_NC.astype(bool), sure_NC, ["a", "b"]).value == 0.0
    assert METRICS["brier"].compute(sure_NC.astype(bool), sure_NC[::-1], ["a", "b"]).value == 2.0


@pytest.mark.parametrize("name", OF_CLASSES)
def test_a_score_is_plain_and_both_intervals_come_with_it(name: str) -> None:
    truth_NC, probabilities_NC, names = some()
    groups = [f"speaker{row // 50}" for row in range(300)]
    score = METRICS[name].compute(truth_NC, probabilities_NC, names, groups)
    assert score.metric == name and score.n == 300
    assert score.interval is not None and score.interval[0] < score.interval[1]
    assert score.interval_by_group is not None and score.interval_by_group != score.interval
    if name != "ece":  # whose interval takes a bias off
        assert score.interval[0] < score.value < score.interval[1]
    json.loads(json.dumps(dataclasses.asdict(score), allow_nan=False))


@pytest.mark.parametrize("name", OF_CLASSES)
def test_what_cannot_be_scored_is_told(name: str) -> None:
    compute: Any = METRICS[name].compute
    with pytest.raises(RequestError, match="nothing to score"):
        compute(np.zeros((0, 2), dtype=bool), np.zeros((0, 2)), ["a", "b"])
    with pytest.raises(ValueError, match="shape"):
        compute(np.zeros((2, 2), dtype=bool), np.zeros((1, 2)), ["a", "b"])
    one = compute(np.array([[True, False]]), np.array([[0.9, 0.1]]), ["a", "b"])
    assert one.interval is None and one.interval_by_group is None


def test_an_item_of_two_classes_is_no_classifiers() -> None:
    with pytest.raises(ValueError, match="one class an item"):
        METRICS["top_3"].compute(np.ones((2, 2), dtype=bool), np.full((2, 2), 0.5), ["a", "b"])
