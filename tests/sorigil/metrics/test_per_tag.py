"""Each tag's row against scikit-learn, and the best threshold against trying every one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from sorigil.metrics.per_tag import per_tag, thresholds

ITEMS = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=12)


def test_every_figure_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth_NC = rng.random((200, 4)) < 0.3
    probabilities_NC = np.clip(rng.random((200, 4)) * 0.7 + 0.3 * truth_NC, 0, 1).round(2)
    rows = per_tag(truth_NC, probabilities_NC, ["a", "b", "c", "d"])
    assert [row.tag for row in rows] == ["a", "b", "c", "d"]
    for row, truth_N, probabilities_N in zip(rows, truth_NC.T, probabilities_NC.T, strict=True):
        said_N = probabilities_N >= 0.5
        assert (row.items, row.said) == (truth_N.sum(), said_N.sum())
        assert row.average_precision == pytest.approx(average_precision_score(truth_N, probabilities_N))
        assert row.area == pytest.approx(roc_auc_score(truth_N, probabilities_N))
        assert row.precision == pytest.approx(precision_score(truth_N, said_N))
        assert row.recall == pytest.approx(recall_score(truth_N, said_N))
        assert row.f1 == pytest.approx(f1_score(truth_N, said_N))


@given(ITEMS)
def test_the_best_threshold_is_the_best_of_all(items: list[tuple[bool, int]]) -> None:
    truth_N, places_N = (np.array(column) for column in zip(*items, strict=True))
    (row,) = per_tag(truth_N[:, None], places_N[:, None] / 6, ["tag"])
    if not truth_N.any():
        assert row.best_f1 is None and row.threshold is None and row.recall is None and row.average_precision is None
        return
    found = {place / 6: f1_score(truth_N, places_N >= place) for place in set(places_N.tolist())}
    assert row.best_f1 == pytest.approx(max(found.values()))
    assert row.threshold == max(each for each, value in found.items() if value == pytest.approx(row.best_f1))


@given(ITEMS)
def test_a_chosen_threshold_gives_the_best_f1_and_lies_between_two_items(items: list[tuple[bool, int]]) -> None:
    truth_N, places_N = (np.array(column) for column in zip(*items, strict=True))
    (chosen,) = thresholds(truth_N[:, None], places_N[:, None] / 6)
    if not truth_N.any():
        assert chosen == 0.5
        return
    (row,) = per_tag(truth_N[:, None], places_N[:, None] / 6, ["tag"], np.array([chosen]))
    assert row.f1 == pytest.approx(row.best_f1) and row.said_from == chosen
    below = [place / 6 for place in places_N.tolist() if place / 6 < row.threshold]  # type: ignore[operator]
    assert chosen == pytest.approx((row.threshold + max(below, default=0)) / 2)  # type: ignore[operator]


def test_thresholds_of_several_tags_are_each_its_own() -> None:
    truth_NC = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=bool)
    probabilities_NC = np.array([[0.4, 0.1, 0.9], [0.3, 0.9, 0.1], [0.1, 0.7, 0.1], [0.0, 0.1, 0.1]])
    assert thresholds(truth_NC, probabilities_NC) == pytest.approx([0.2, 0.8, 0.5])


def test_a_tag_that_is_neither_there_nor_said_has_no_figures() -> None:
    (row,) = per_tag(np.zeros((3, 1), bool), np.full((3, 1), 0.1), ["none"])
    assert (row.items, row.said) == (0, 0)
    figures = (row.average_precision, row.area, row.precision, row.recall, row.f1, row.best_f1, row.threshold)
    assert figures == (None,) * 7
