"""From columns and histories to what a chart shows: bins, category counts, curves, the commonest confusions.

Shared by the page (`page.py`, drawn by `svg.py`) and the pictures for MLflow (`figures.py`, drawn by matplotlib), so
that both show the same numbers. No drawing here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigil.report.numbers import is_share

NOT_GIVEN = "(not given)"
Curve = tuple[str, list[tuple[float, float]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bins:
    """A histogram: `edges` has one more entry than `counts`; `over` values lie beyond the last edge."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    over: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Category:
    """One value of a column, its utterances and their length in seconds."""

    label: str
    items: int
    seconds: float
    summed: bool = False  # stands for several values


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """Curves that share a unit and so a chart."""

    title: str
    unit: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScore:
    """How one class fared; None where the denominator is 0 (it never occurs, or is never answered)."""

    label: str
    n: int
    answered: int
    recall: float | None
    precision: float | None

    @property
    def f1(self) -> float | None:
        """The harmonic mean of recall and precision: 2 TP / (n + answered)."""
        hits = round((self.recall or 0.0) * self.n)
        return 2 * hits / (self.n + self.answered) if self.n + self.answered else None


def bins(values: npt.ArrayLike, *, about: int = 30) -> Bins:
    """Bins of a round width from 0 or a round number; values that are not finite are left out.

    One very long value does not squeeze the rest: what lies beyond thrice the 99th percentile is counted in `over`.
    """
    data = np.asarray(values, dtype=np.float64)
    data = data[np.isfinite(data)]
    if data.size == 0:
        return Bins(edges=(0.0, 1.0), counts=(0,))
    limit = 3 * float(np.quantile(data, 0.99))
    shown = data[data <= limit] if limit > 0 else data
    low, high = float(shown.min()), float(shown.max())
    base = low if low > high / 2 > 0 else min(0.0, low)
    spread = high - base
    width = _round_up(spread / about) if spread > 1e-9 * abs(high) else _round_up(abs(high) / about or 1.0)
    first = math.floor(base / width)
    edges = (
        np.arange(first, max(math.ceil(high / width - 1e-9), first + 1) + 1) * width
    )  # the last bin has its upper edge
    # Rounding may put the least or the largest value a hair outside its edge: clip, or histogram drops it.
    counts, _ = np.histogram(np.clip(shown, edges[0], edges[-1]), bins=edges)
    over = int(data.size - shown.size)
    return Bins(edges=tuple(float(edge) for edge in edges), counts=tuple(int(n) for n in counts), over=over)


def _round_up(value: float) -> float:
    """The next of 1, 2, 2.5, 5 times a power of ten; at least 1e-12."""
    value = max(value, 1e-12)
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= value * 0.999)


def categories(values: npt.NDArray[Any], durations: npt.NDArray[Any]) -> list[Category]:
    """One entry per value, the most frequent first; None and "" are counted as not given, last."""
    names = np.array([NOT_GIVEN if value is None or value == "" else str(value) for value in values], dtype=object)
    if not len(names):
        return []
    unique, where = np.unique(names.astype(str), return_inverse=True)
    items = np.bincount(where)
    seconds = np.bincount(where, weights=np.nan_to_num(np.asarray(durations, dtype=np.float64)))
    found = [
        Category(label=str(n), items=int(i), seconds=float(s)) for n, i, s in zip(unique, items, seconds, strict=True)
    ]
    return sorted(found, key=lambda category: (category.label == NOT_GIVEN, -category.items, category.label))


def shortened(found: Sequence[Category], most: int) -> list[Category]:
    """The first `most` categories and one that sums up the rest."""
    if len(found) <= most:
        return list(found)
    rest = found[most - 1 :]
    items, seconds = sum(c.items for c in rest), sum(c.seconds for c in rest)
    return [*found[: most - 1], Category(label=f"({len(rest):,} others)", items=items, seconds=seconds, summed=True)]


def panels(history: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """The learning curves by chart: losses, dev metrics that are shares (in %), other dev metrics, learning rate.

    A row without an `epoch` counts from 1; what is missing or no number leaves a gap.
    """
    names = list(dict.fromkeys(key for row in history for key, value in row.items() if _is_number(value)))
    losses = [name for name in names if "loss" in name]
    scores = [name for name in names if name.startswith("dev_") and name not in losses]
    rates = [name for name in names if name in ("learning_rate", "lr")]
    shares = [name for name in scores if is_share(name)]
    groups = [("loss", "loss", losses, 1.0), ("score on dev", "%", shares, 100.0)]
    groups += [(spaced(name), spaced(name), [name], 1.0) for name in scores if name not in shares]
    groups += [("learning rate", "learning rate", rates, 1.0)]
    return [
        Panel(title=title, unit=unit, curves=tuple((spaced(key), _curve(history, key, factor)) for key in keys))
        for title, unit, keys, factor in groups
        if keys
    ]


def spaced(name: str) -> str:
    """dev_wer -> dev wer, as a person writes it."""
    return name.replace("_", " ")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _curve(history: Sequence[Mapping[str, Any]], key: str, factor: float) -> list[tuple[float, float]]:
    return [
        (float(row.get("epoch", number)), factor * float(row[key]) if _is_number(row.get(key)) else math.nan)
        for number, row in enumerate(history, start=1)
    ]


def class_scores(labels: Sequence[str], matrix: npt.NDArray[Any]) -> list[ClassScore]:
    """Recall and precision of each class from counts (rows are references)."""
    counts = np.asarray(matrix)
    rows, columns, hits = counts.sum(axis=1), counts.sum(axis=0), np.diag(counts)
    return [
        ClassScore(
            label=label,
            n=int(rows[i]),
            answered=int(columns[i]),
            recall=float(hits[i] / rows[i]) if rows[i] else None,
            precision=float(hits[i] / columns[i]) if columns[i] else None,
        )
        for i, label in enumerate(labels)
    ]


def confusions(labels: Sequence[str], matrix: npt.NDArray[Any], most: int = 12) -> list[tuple[str, str, int, int]]:
    """(reference, hypothesis, how often, of how many) of the commonest errors."""
    counts = np.asarray(matrix)
    totals = counts.sum(axis=1)
    pairs = [(int(counts[i, j]), int(i), int(j)) for i, j in np.argwhere(counts > 0) if i != j]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    return [(labels[i], labels[j], n, int(totals[i])) for n, i, j in pairs[:most]]


def worst_classes(labels: Sequence[str], matrix: npt.NDArray[Any], most: int) -> tuple[list[str], npt.NDArray[Any]]:
    """The part of a large matrix that takes part in the most errors, in its own order; small ones come back whole."""
    counts = np.asarray(matrix)
    if len(labels) <= most:
        return list(labels), counts
    errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * np.diag(counts)
    chosen = np.sort(np.argsort(-errors, kind="stable")[:most])
    return [labels[index] for index in chosen], counts[np.ix_(chosen, chosen)]
