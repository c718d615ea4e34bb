"""Accuracy, F1 and the confusion matrix from two columns of labels.

Everything is read off the confusion matrix, which is counted once. Classes that stand in neither column do not exist
here: a class that the model knows but that was neither there nor predicted changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Rates = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Confusion:
    """How often each reference class (row) was given each predicted class (column); classes are sorted."""

    classes: tuple[str, ...]
    counts: Counts

    @property
    def accuracy(self) -> float:
        """The share of items whose prediction is the reference; 0.0 of none."""
        return float(np.trace(self.counts) / max(int(self.counts.sum()), 1))

    @property
    def precisions(self) -> Rates:
        """Of what was predicted as the class, the share that was it; 0 where nothing was predicted so."""
        return _share(np.diagonal(self.counts), self.counts.sum(axis=0))

    @property
    def recalls(self) -> Rates:
        """Of the class's items, the share that was found; 0 where it has none."""
        return _share(np.diagonal(self.counts), self.counts.sum(axis=1))

    @property
    def f1s(self) -> Rates:
        """The harmonic mean of precision and recall, 2·hits / (items + predictions)."""
        return f1(np.diagonal(self.counts), self.counts.sum(axis=1), self.counts.sum(axis=0))

    @property
    def balanced_accuracy(self) -> float:
        """The plain mean of the recalls of the classes that are in the references; 0.0 of no items."""
        there = self.counts.sum(axis=1) > 0
        return float(self.recalls[there].mean()) if there.any() else 0.0

    @property
    def macro_f1(self) -> float:
        """The plain mean of F1 over the classes that are in the references or among the predictions.

        A class that is only predicted has F1 0 and counts, as in scikit-learn's default; 0.0 of no items.
        """
        return float(self.f1s.mean()) if self.classes else 0.0

    def per_class(self) -> list[dict[str, Any]]:
        """Return one row a class, ready for a table or JSON."""
        rows = zip(self.classes, self.precisions, self.recalls, self.f1s, self.counts.sum(axis=1), strict=True)
        return [
            {"class": name, "precision": float(p), "recall": float(r), "f1": float(f), "items": int(n)}
            for name, p, r, f, n in rows
        ]


def confusion(references: Sequence[str], predictions: Sequence[str]) -> Confusion:
    """Count the confusion matrix of two label columns of equal length."""
    if len(references) != len(predictions):
        raise ValueError(f"{len(references)} references come with {len(predictions)} predictions; expected as many")
    classes = tuple(sorted({*references, *predictions}))
    rows, columns = (label_codes(labels, classes) for labels in (references, predictions))
    n = len(classes)
    counts = np.bincount(rows * n + columns, minlength=n * n).reshape(n, n).astype(np.int64)
    return Confusion(classes=classes, counts=counts)


def label_codes(labels: Sequence[str], classes: Sequence[str]) -> Counts:
    """Return the place of each label among the classes."""
    place = {name: c for c, name in enumerate(classes)}
    return np.array([place[name] for name in labels], dtype=np.int64)


def f1(hits: npt.NDArray[Any], items: npt.NDArray[Any], predictions: npt.NDArray[Any]) -> Rates:
    """Return F1 elementwise from counts; 0 where a class has neither items nor predictions."""
    return _share(2 * hits, items + predictions)


def _share(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> Rates:
    shares: Rates = part / np.maximum(whole, 1)
    return shares
