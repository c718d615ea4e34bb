"""Whether one way of training is better than another, where each was trained several times: over utterances and over seeds.

What a figure would be with other utterances is resampled, as of two single systems (`paired`); what it would be with other
seeds is seen from how the trainings differ. Both variances add up. Seeds are few, so the interval is Student's: a bootstrap of
three of them promises too much (docs/scoring.md has the figures). Utterances may be few too: the exact test of pairs must agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sorigil.metrics.comparison import LEVEL, Comparison, Counted, better_of
from sorigil.metrics.intervals import Floats, resampled
from sorigil.metrics.paired import Delta, difference, pairs_test


@dataclass(frozen=True, kw_only=True, slots=True)
class Pooled:
    """The means of A's and B's trainings by one metric. `better` is null where neither is shown to be: where the interval of
    the difference holds 0, or its p, no less than that of the exact test of pairs, is too large."""

    a: float
    b: float
    delta: Delta
    by_speaker: Delta | None
    better: Literal["a", "b"] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One metric: the first training of A and of B; the values of all where there are several, and these together."""

    first: Comparison
    values_a: tuple[float, ...]
    values_b: tuple[float, ...]
    pooled: Pooled | None


def pooled_counts(
    metric: str, a: Sequence[Counted], b: Sequence[Counted], speakers: Sequence[str] | None = None
) -> Pooled | None:
    """Compare the trainings A and B, which were counted over the same totals; None where either side has fewer than two."""
    if min(len(a), len(b)) < 2:
        return None
    columns = [np.mean([each.counts_N for each in side], axis=0) for side in (a, b)]
    drawn = [
        resampled([*columns, a[0].totals_N], difference, groups_N=groups)
        for groups in ((None, speakers) if speakers else (None,))
    ]
    exact = pairs_test(columns[1] - columns[0]).p_exact
    return pooled(metric, [each.value for each in a], [each.value for each in b], drawn, speakers, exact)


def pooled(
    metric: str,
    a: Sequence[float],
    b: Sequence[float],
    drawn: Sequence[Floats],
    speakers: Sequence[str] | None = None,
    least_p: float = 0.0,
) -> Pooled | None:
    """Compare a figure of the trainings A and B. `drawn`: the difference of the two means over resampled utterances and,
    where `speakers` are given, over resampled speakers. `least_p`: what an exact test of the utterances says."""
    if min(len(a), len(b)) < 2:
        return None
    delta = _student(a, b, drawn[0])
    delta = replace(delta, p=max(delta.p, least_p))
    return Pooled(
        a=float(np.mean(a)),
        b=float(np.mean(b)),
        delta=delta,
        by_speaker=_student(a, b, drawn[1], len(set(speakers)) - 1) if speakers else None,
        better=better_of(metric, delta.value) if delta.shown and delta.p < LEVEL else None,
    )


def _student(a: Sequence[float], b: Sequence[float], drawn_S: Floats, freedom: float = math.inf) -> Delta:
    """The interval and p of a sum of three variances: that of the resampled differences (with its `freedom`; of utterances
    there are always many), and of the mean over each side's seeds; degrees of freedom by Welch and Satterthwaite."""
    from scipy.stats import t

    value = float(np.mean(b) - np.mean(a))
    parts = [(float(np.var(drawn_S)), freedom), *((float(np.var(s, ddof=1)) / len(s), len(s) - 1) for s in (a, b))]
    variance = sum(part for part, _ in parts)
    if not variance:
        return Delta(value=value, interval=(value, value), p=float(value == 0))
    inverse = sum(part**2 / free for part, free in parts if part) / variance**2
    found = t(1 / inverse if inverse else 1e9)
    margin = float(found.ppf(0.975)) * math.sqrt(variance)
    p = float(2 * found.sf(abs(value) / math.sqrt(variance)))
    return Delta(value=value, interval=(value - margin, value + margin), p=p)
