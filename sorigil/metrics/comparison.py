"""Two systems on the same utterances: which rate is lower, whether that is shown, and which utterances and words changed.

Texts come normalised, in equal columns. The statistics are in `paired`, the alignment in `align`; here they meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from sorigil.metrics.align import columns
from sorigil.metrics.errors import ErrorColumns, character_error_columns, word_error_columns
from sorigil.metrics.paired import Delta, MatchedPairs, matched_pairs, paired_bootstrap, pairs_test

Column = Sequence[str]
LEVEL = 0.05  # what the exact test must fall below for "better" to be said

COUNTERS: dict[str, Callable[[Column, Column], ErrorColumns]] = {
    "wer": word_error_columns,
    "cer": partial(character_error_columns, spaces=False),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One metric of two systems. `test` pairs segments (wer) or utterances (cer); `better` is null where neither is shown
    to be: where the interval holds 0, or the exact test does not agree."""

    a: float
    b: float
    delta: Delta
    by_speaker: Delta | None
    test: MatchedPairs
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
        """Word errors that B has fewer than A."""
        return self.errors_a - self.errors_b


def compare(metric: str, references: Column, a: Column, b: Column, speakers: Column | None = None) -> Comparison:
    """Compare by `wer` or `cer`. Raises `ValueError` for no utterances, or columns of different lengths."""
    first, second = (COUNTERS[metric](references, heard) for heard in (a, b))
    columns_of_both = (first.errors, second.errors, first.totals)
    delta = paired_bootstrap(*columns_of_both)
    test = matched_pairs(references, a, b) if metric == "wer" else pairs_test(second.errors - first.errors)
    shown = delta.shown and test.p_exact < LEVEL
    return Comparison(
        a=first.sum().rate,
        b=second.sum().rate,
        delta=delta,
        by_speaker=paired_bootstrap(*columns_of_both, groups_N=speakers) if speakers else None,
        test=test,
        better=("b" if delta.value < 0 else "a") if shown else None,
    )


def changes(ids: Column, references: Column, a: Column, b: Column) -> list[Change]:
    """Return the utterances that A and B heard differently, those first that B mended most."""
    first, second = (word_error_columns(references, heard).errors.tolist() for heard in (a, b))
    rows = zip(ids, references, a, b, first, second, strict=True)
    found = [
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
    ]
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
