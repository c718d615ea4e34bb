"""One number with what it takes to judge it, and the metrics that make such numbers from two columns.

The counting is in `errors` and `classification`, the interval in `intervals`; here they meet. Scores are compared only
where the evaluated rows and the normaliser are the same, which the caller records beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from sorigil.errors import RequestError
from sorigil.metrics.classification import confusion
from sorigil.metrics.errors import (
    ErrorColumns,
    character_error_columns,
    spaced_word_error_columns,
    word_error_columns,
)
from sorigil.metrics.intervals import Floats, bootstrap_interval, macro_f1_interval, percentiles, rate, resampled
from sorigil.objectives import Objective

Column = Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A metric's value over n utterances.

    `interval` is the 95 % bootstrap interval over utterances, or over groups where they were given; null when there are
    fewer than two of them. `detail` is plain JSON: the counts the value comes from.
    """

    metric: str
    value: float
    interval: tuple[float, float] | None
    n: int
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A row of the table `METRICS`: whose hypotheses it judges, and `compute(references, hypotheses, groups=None)`.

    One that is not `usual` is computed where it is asked for by name."""

    objective: Objective
    compute: Callable[..., Score]
    usual: bool = True


def wer(references: Column, hypotheses: Column, groups: Column | None = None) -> Score:
    """Word error rate of the corpus: all errors by all reference words (edges: see `errors`)."""
    return _error_score("wer", references, hypotheses, groups, word_error_columns(references, hypotheses))


def cer(references: Column, hypotheses: Column, groups: Column | None = None) -> Score:
    """Character error rate without spaces: the primary figure for Korean."""
    columns = character_error_columns(references, hypotheses, spaces=False)
    return _error_score("cer", references, hypotheses, groups, columns)


def cer_spaces(references: Column, hypotheses: Column, groups: Column | None = None) -> Score:
    """Character error rate where each space counts as a character: what most English papers call CER."""
    columns = character_error_columns(references, hypotheses, spaces=True)
    return _error_score("cer_spaces", references, hypotheses, groups, columns)


def swer(references: Column, hypotheses: Column, groups: Column | None = None) -> Score:
    """Word error rate after the hypothesis was given the reference's spaces: Korean, beside CER."""
    return _error_score("swer", references, hypotheses, groups, spaced_word_error_columns(references, hypotheses))


def mer(references: Column, hypotheses: Column, groups: Column | None = None) -> Score:
    """Match error rate of words: errors by hits and errors, never above 1 (Morris et al. 2004)."""
    columns = word_error_columns(references, hypotheses)
    value = columns.sum().match_error_rate
    return _share_score("mer", groups, columns, value, lambda hits_S, errors_S, *_: rate(errors_S, hits_S + errors_S))


def wil(references: Column, hypotheses: Column, groups: Column | None = None) -> Score:
    """Word information lost: 1 - hits²/(reference words × hypothesis words) (Morris et al. 2004)."""
    columns = word_error_columns(references, hypotheses)

    def lost(hits_S: Floats, errors_S: Floats, said_S: Floats, heard_S: Floats) -> Floats:
        kept_S: Floats = hits_S**2 / np.maximum(said_S * heard_S, 1)
        return np.where(said_S + heard_S > 0, 1 - kept_S, 0.0)

    return _share_score("wil", groups, columns, columns.sum().information_lost, lost)


def accuracy(references: Column, hypotheses: Column, groups: Column | None = None) -> Score:
    """Share of the right labels. `detail` holds the confusion matrix and each class's precision and recall."""
    _check(references, hypotheses)
    table = confusion(references, hypotheses)
    right_N = np.array([r == h for r, h in zip(references, hypotheses, strict=True)], dtype=np.int64)
    interval = None
    if _enough(references, groups):
        interval = bootstrap_interval(right_N, np.ones_like(right_N), groups_N=groups)
    detail = {
        "right": int(right_N.sum()),
        "classes": list(table.classes),
        "confusion": table.counts.tolist(),
        "per_class": table.per_class(),
    }
    return Score(metric="accuracy", value=table.accuracy, interval=interval, n=len(references), detail=detail)


def macro_f1(references: Column, hypotheses: Column, groups: Column | None = None) -> Score:
    """Mean F1 over the classes that occur in the references or the predictions, each class weighing the same."""
    _check(references, hypotheses)
    table = confusion(references, hypotheses)
    interval = macro_f1_interval(references, hypotheses, groups_N=groups) if _enough(references, groups) else None
    detail = {"per_class": table.per_class()}
    return Score(metric="macro_f1", value=table.macro_f1, interval=interval, n=len(references), detail=detail)


def _error_score(
    metric: str, references: Column, hypotheses: Column, groups: Column | None, columns: ErrorColumns
) -> Score:
    _check(references, hypotheses)
    interval = None
    if _enough(references, groups):
        interval = bootstrap_interval(columns.errors, columns.totals, groups_N=groups)
    value = columns.sum().rate
    return Score(metric=metric, value=value, interval=interval, n=len(references), detail=_detail(columns))


def _share_score(
    metric: str, groups: Column | None, columns: ErrorColumns, value: float, figure: Callable[..., Floats]
) -> Score:
    """A figure of the summed hits, errors, units said and units heard."""
    _check(columns.hits, columns.hits)
    interval = None
    if _enough(columns.hits, groups):
        summed = [columns.hits, columns.errors, columns.totals, columns.heard]
        interval = percentiles(resampled(summed, figure, groups_N=groups), 0.95)
    return Score(metric=metric, value=value, interval=interval, n=len(columns.hits), detail=_detail(columns))


def _detail(columns: ErrorColumns) -> dict[str, Any]:
    counts = columns.sum()
    return {**asdict(counts), "errors": counts.errors, "total": counts.total}


def _check(references: Sized, hypotheses: Sized) -> None:
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references come with {len(hypotheses)} hypotheses; expected as many")
    if not len(references):
        raise RequestError("there is nothing to score: the evaluated split holds no utterance with a reference")


def _enough(references: Sized, groups: Column | None) -> bool:
    """Tell whether there are two units to draw from: one alone would give an interval of no width."""
    return len(references if groups is None else set(groups)) > 1
