"""Two systems on the same utterances: which figure is better, whether that is shown, and which utterances and words changed.

Texts come normalised, labels as they are, in equal columns. The statistics are in `paired`, the alignment in `align`; here
they meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sorigil.metrics.align import columns
from sorigil.metrics.errors import ErrorColumns, character_error_columns, word_error_columns
from sorigil.metrics.intervals import Numbers
from sorigil.metrics.paired import Delta, MatchedPairs, matched_pairs, paired_bootstrap, pairs_test
from sorigil.objectives import Objective

Column = Sequence[str]
LEVEL = 0.05  # what the exact test must fall below for "better" to be said


@dataclass(frozen=True, kw_only=True, slots=True)
class Counted:
    """What a metric adds up of N utterances: its value is sum(counts) / sum(totals)."""

    counts_N: Numbers
    totals_N: Numbers

    @property
    def value(self) -> float:
        """The metric of all utterances together."""
        return float(np.sum(self.counts_N) / max(float(np.sum(self.totals_N)), 1.0))


def _of_errors(found: ErrorColumns) -> Counted:
    return Counted(counts_N=found.errors, totals_N=found.totals)


def _right(references: Column, heard: Column) -> Counted:
    right_N = np.array([said == answer for said, answer in zip(references, heard, strict=True)], dtype=np.int64)
    return Counted(counts_N=right_N, totals_N=np.ones_like(right_N))


def _right_by_class(references: Column, heard: Column) -> Counted:
    """Each class's utterances share one weight, which the draws of a bootstrap leave as it is."""
    right = _right(references, heard)
    _, class_N, items_C = np.unique(np.asarray(references, dtype=str), return_inverse=True, return_counts=True)
    weights_N = len(references) / (len(items_C) * items_C[class_N])
    return Counted(counts_N=right.counts_N * weights_N, totals_N=right.totals_N)


COUNTERS: dict[str, Callable[[Column, Column], Counted]] = {
    "wer": lambda references, heard: _of_errors(word_error_columns(references, heard)),
    "cer": lambda references, heard: _of_errors(character_error_columns(references, heard, spaces=False)),
    "accuracy": _right,
    "balanced_accuracy": _right_by_class,
}
METRICS_OF: dict[Objective, tuple[str, ...]] = {
    "ctc": ("wer", "cer"),
    "classification": ("accuracy", "balanced_accuracy"),
    "tagging": ("tag_errors",),  # wrong tags an utterance, which come counted
}
HIGHER_IS_BETTER = ("accuracy", "balanced_accuracy", "map", "d_prime", "micro_f1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One metric of two systems. `test` pairs segments (wer) or utterances, null of a figure that is no sum over them;
    `better` is null where neither is shown to be: where the interval holds 0, or the test does not agree."""

    a: float
    b: float
    delta: Delta
    by_speaker: Delta | None
    test: MatchedPairs | None
    better: Literal["a", "b"] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """An utterance that the two heard differently. `columns`: (reference, A, B) words, None where one has nothing."""

    id: str
    reference: str
    a: str
    b: str
    errors_a: int
    errors_b: int
    columns: list[tuple[str | None, ...]]

    @property
    def gain(self) -> int:
        """Errors that B has fewer than A: of words, of labels, of tags."""
        return self.errors_a - self.errors_b


def compare(metric: str, references: Column, a: Column, b: Column, speakers: Column | None = None) -> Comparison:
    """Compare by a metric of `COUNTERS`. Raises `ValueError` for no utterances, or columns of different lengths."""
    first, second = (COUNTERS[metric](references, heard) for heard in (a, b))
    test = matched_pairs(references, a, b) if metric == "wer" else pairs_test(second.counts_N - first.counts_N)
    return compare_counts(metric, first, second, test, speakers)


def compare_counts(
    metric: str, a: Counted, b: Counted, test: MatchedPairs | None = None, speakers: Column | None = None
) -> Comparison:
    """Compare what was counted over the same totals; without a `test` by that of the utterances' differences."""
    both = (a.counts_N, b.counts_N, a.totals_N)
    delta = paired_bootstrap(*both)
    test = test or pairs_test(b.counts_N - a.counts_N)
    shown = delta.shown and test.p_exact < LEVEL
    return Comparison(
        a=a.value,
        b=b.value,
        delta=delta,
        by_speaker=paired_bootstrap(*both, groups_N=speakers) if speakers else None,
        test=test,
        better=better_of(metric, delta.value) if shown else None,
    )


def better_of(metric: str, delta: float) -> Literal["a", "b"]:
    """Return which of the two a difference B - A speaks for."""
    return "b" if (delta > 0) == (metric in HIGHER_IS_BETTER) else "a"


def changes(ids: Column, references: Column, a: Column, b: Column) -> list[Change]:
    """Return the utterances whose words A and B heard differently, those first that B mended most."""
    first, second = (word_error_columns(references, heard).errors.tolist() for heard in (a, b))
    rows = zip(ids, references, a, b, first, second, strict=True)
    return _mended_first(
        Change(
            id=name,
            reference=reference,
            a=one,
            b=other,
            errors_a=errors_a,
            errors_b=errors_b,
            columns=columns(reference, one, other),
        )
        for name, reference, one, other, errors_a, errors_b in rows
        if one.split() != other.split()
    )


def label_changes(
    ids: Column, references: Column, a: Column, b: Column, errors_a: Sequence[int], errors_b: Sequence[int]
) -> list[Change]:
    """Return the utterances that A and B gave different answers to, each answer one word; those first that B mended."""
    rows = zip(ids, references, a, b, errors_a, errors_b, strict=True)
    return _mended_first(
        Change(id=name, reference=said, a=one, b=other, errors_a=wrong, errors_b=still, columns=[(said, one, other)])
        for name, said, one, other, wrong, still in rows
        if one != other
    )


def _mended_first(found: Iterable[Change]) -> list[Change]:
    return sorted(found, key=lambda change: -change.gain)


def words_changed(found: Iterable[Change]) -> tuple[Counter[str], Counter[str]]:
    """Count the reference words that B has right and A has not, and those that A has right and B has not."""
    mended: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    for change in found:
        for said, one, other in change.columns:
            if said is not None and one != other:
                mended[said] += other == said
                broken[said] += one == said
    return +mended, +broken
