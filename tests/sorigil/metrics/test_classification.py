"""Accuracy, F1 and confusion against figures worked out by hand and against scikit-learn."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorigil.metrics.classification import confusion

LABELS = st.sampled_from(["yes", "no", "up", "가"])
PAIRS = st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=30)


def test_by_hand() -> None:
    table = confusion(["a", "a", "a", "b", "b", "c"], ["a", "a", "b", "b", "c", "d"])
    assert table.classes == ("a", "b", "c", "d")
    assert table.counts.tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert table.accuracy == pytest.approx(3 / 6)
    assert table.precisions.tolist() == pytest.approx([1, 1 / 2, 0, 0])
    assert table.recalls.tolist() == pytest.approx([2 / 3, 1 / 2, 0, 0])
    assert table.f1s.tolist() == pytest.approx([4 / 5, 1 / 2, 0, 0])
    assert table.macro_f1 == pytest.approx((4 / 5 + 1 / 2) / 4)  # d is only predicted: F1 0, and it counts
    assert table.per_class()[3] == {"class": "d", "precision": 0.0, "recall": 0.0, "f1": 0.0, "items": 0}


def test_nothing_is_nought() -> None:
    table = confusion([], [])
    assert (table.classes, table.accuracy, table.macro_f1) == ((), 0.0, 0.0)


def test_unequal_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="1 references come with 2 predictions"):
        confusion(["a"], ["a", "b"])


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(max_examples=40, deadline=None)
@given(pairs=PAIRS)
def test_equal_to_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    oracle = pytest.importorskip("sklearn.metrics")
    references, predictions = [list(column) for column in zip(*pairs, strict=True)]
    table = confusion(references, predictions)
    assert table.accuracy == pytest.approx(oracle.accuracy_score(references, predictions))
    assert table.macro_f1 == pytest.approx(oracle.f1_score(references, predictions, average="macro", zero_division=0))
    expected = oracle.confusion_matrix(references, predictions, labels=list(table.classes))
    assert table.counts.tolist() == expected.tolist()
    precisions, recalls, f1s, _ = oracle.precision_recall_fscore_support(
        references, predictions, labels=list(table.classes), zero_division=0
    )
    assert table.precisions.tolist() == pytest.approx(precisions.tolist())
    assert table.recalls.tolist() == pytest.approx(recalls.tolist())
    assert table.f1s.tolist() == pytest.approx(f1s.tolist())
