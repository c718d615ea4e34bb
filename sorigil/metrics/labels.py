"""What a classifier is scored by, from two columns of labels: accuracy, and the means over classes.

The counting is in `classification`. F1 over all decisions together (micro) is the accuracy where each item has one label,
so it has no name of its own here; for tags it has (`tagging`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sorigil.metrics.classification import Confusion, confusion, f1, label_codes
from sorigil.metrics.intervals import Floats, bootstrap_interval, percentiles, resampled_sums, summed
from sorigil.metrics.score import Column, Interval, Score, both_intervals, check_columns

ByClass = Callable[[Floats, Floats, Floats], Floats]  # hits, items and predictions by draw and class -> a mean a draw


def accuracy(references: Column, hypotheses: Column, groups: Column | None = None) -> Score:
    """Share of the right labels. `detail` holds the confusion matrix and each class's precision and recall."""
    check_columns(references, hypotheses)
    table = confusion(references, hypotheses)
    right_N = np.array([r == h for r, h in zip(references, hypotheses, strict=True)], dtype=np.int64)
    found = both_intervals(
        right_N, groups, lambda drawn: bootstrap_interval(right_N, np.ones_like(right_N), groups_N=drawn)
    )
    detail = {
        "right": int(right_N.sum()),
        "classes": list(table.classes),
        "confusion": table.counts.tolist(),
        "per_class": table.per_class(),
    }
    return Score(metric="accuracy", value=table.accuracy, n=len(references), detail=detail, **found)


def balanced_accuracy(references: Column, hypotheses: Column, groups: Column | None = None) -> Score:
    """Mean recall over the classes of the references: a rare class weighs as much as a common one.

    Always the same answer gives 1/C of C classes. A class that a resample lacks is left out of its mean.
    """
    check_columns(references, hypotheses)
    table = confusion(references, hypotheses)
    return _class_score("balanced_accuracy", table.balanced_accuracy, table, references, hypotheses, groups, _recalls)


def macro_f1(references: Column, hypotheses: Column, groups: Column | None = None) -> Score:
    """Mean F1 over the classes that occur in the references or the predictions, each class weighing the same."""
    check_columns(references, hypotheses)
    table = confusion(references, hypotheses)
    return _class_score("macro_f1", table.macro_f1, table, references, hypotheses, groups, _f1s)


def _class_score(
    metric: str,
    value: float,
    table: Confusion,
    references: Column,
    hypotheses: Column,
    groups: Column | None,
    by_class: ByClass,
) -> Score:
    """A mean over classes, with the intervals of drawing the confusion matrix again: only its cells that occur."""
    row_K, column_K = np.nonzero(table.counts)
    n_classes = len(table.classes)
    rows_N, columns_N = (label_codes(labels, table.classes) for labels in (references, hypotheses))
    cell_N = np.searchsorted(row_K * n_classes + column_K, rows_N * n_classes + columns_N)

    def drawn(units: Column | None) -> Interval:
        counts_SK, _ = resampled_sums(cell_N, np.ones(len(cell_N)), len(row_K), groups_N=units)
        items_SC, said_SC = (summed(counts_SK, codes_K, n_classes) for codes_K in (row_K, column_K))
        right_K = row_K == column_K
        hits_SC = summed(counts_SK[:, right_K], row_K[right_K], n_classes)
        return percentiles(by_class(hits_SC, items_SC, said_SC), 0.95)

    detail = {"per_class": table.per_class()}
    return Score(metric=metric, value=value, n=len(rows_N), detail=detail, **both_intervals(references, groups, drawn))


def _recalls(hits_SC: Floats, items_SC: Floats, said_SC: Floats) -> Floats:
    return _mean(hits_SC / np.maximum(items_SC, 1), items_SC > 0)


def _f1s(hits_SC: Floats, items_SC: Floats, said_SC: Floats) -> Floats:
    return _mean(f1(hits_SC, items_SC, said_SC), items_SC + said_SC > 0)


def _mean(values_SC: Floats, there_SC: npt.NDArray[np.bool_]) -> Floats:
    means_S: Floats = (values_SC * there_SC).sum(axis=1) / there_SC.sum(axis=1)
    return means_S
