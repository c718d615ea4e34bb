"""One number with what it takes to judge it, and the metrics that make such numbers from two columns.

The counting is in `errors`, the interval in `intervals`; here they meet (for labels in `labels`). Scores are compared only
where the evaluated rows and the normaliser are the same, which the caller records beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from sorigil.errors import RequestError
from sorigil.metrics.errors import (
    ErrorColumns,
    character_error_columns,
    spaced_word_error_columns,
    word_error_columns,
)
from sorigil.metrics.intervals import Floats, bootstrap_interval, percentiles, rate, resampled
from sorigil.objectives import Objective

Column = Sequence[str]
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A metric's value over n utterances.

    `interval` is the 95 % bootstrap interval over utterances, `interval_by_group` that over the groups that were given
    (speakers); each is null when there are fewer than two of them. `detail` is plain JSON: the counts the value comes from.
    """

    metric: str
    value: float
    interval: Interval | None
    interval_by_group: Interval | None
    n: int
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """A row of the table `METRICS`: whose hypotheses it judges, and `compute`, which is given what it `reads`.

    `texts`: (references, hypotheses, groups=None), texts or labels; `words`: these and, before the groups, the confidences
    of each hypothesis's words; `probabilities`: (truth_NC, probabilities_NC, names of the C classes or tags, groups=None);
    `tags`: the same of said_NC, whether each tag was said. One that is not `usual` is computed where it is asked for by name."""

    objectives: tuple[Objective, ...]
    compute: Callable[..., Score]
    reads: Literal["texts", "words", "probabilities", "tags"] = "texts"
    usual: bool = True
    higher_is_better: bool = True


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


def both_intervals(
    rows: Sized, groups: Column | None, draw: Callable[[Column | None], Interval | None]
) -> dict[str, Interval | None]:
    """Return both intervals of a `Score`: `draw` is given null to draw rows and the groups to draw those.

    Where there is but one row or group there is nothing to draw: an interval of no width would be a promise.
    """
    several = groups is not None and len(set(groups)) > 1
    return {
        "interval": draw(None) if len(rows) > 1 else None,
        "interval_by_group": draw(groups) if several else None,
    }


def _error_score(
    metric: str, references: Column, hypotheses: Column, groups: Column | None, columns: ErrorColumns
) -> Score:
    check_columns(references, hypotheses)
    found = both_intervals(
        references, groups, lambda drawn: bootstrap_interval(columns.errors, columns.totals, groups_N=drawn)
    )
    return Score(metric=metric, value=columns.sum().rate, n=len(references), detail=_detail(columns), **found)


def _share_score(
    metric: str, groups: Column | None, columns: ErrorColumns, value: float, figure: Callable[..., Floats]
) -> Score:
    """A figure of the summed hits, errors, units said and units heard."""
    check_columns(columns.hits, columns.hits)
    summed = [columns.hits, columns.errors, columns.totals, columns.heard]
    found = both_intervals(
        columns.hits, groups, lambda drawn: percentiles(resampled(summed, figure, groups_N=drawn), 0.95)
    )
    return Score(metric=metric, value=value, n=len(columns.hits), detail=_detail(columns), **found)


def _detail(columns: ErrorColumns) -> dict[str, Any]:
    counts = columns.sum()
    return {**asdict(counts), "errors": counts.errors, "total": counts.total}


def check_columns(references: Sized, hypotheses: Sized) -> None:
    """Raise ValueError for columns of different lengths, RequestError for empty ones."""
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references come with {len(hypotheses)} hypotheses; expected as many")
    if not len(references):
        raise RequestError("there is nothing to score: the evaluated split holds no utterance with a reference")
