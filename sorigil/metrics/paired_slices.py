"""Where one of two systems got better or worse: the paired difference in every slice of the utterances that both heard.

A slice is a value of a column (`slice_columns`). "Better" or "worse" is said of B in it only where its interval leaves 0
out and the exact paired test still holds when it is corrected for the number of slices looked at (Benjamini and Hochberg
1995): where nothing changed, mostly nothing is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import false_discovery_control

from sorigil.metrics.comparison import HIGHER_IS_BETTER, LEVEL, Counted
from sorigil.metrics.intervals import Floats
from sorigil.metrics.paired import pairs_test
from sorigil.metrics.slice_columns import Codes, Column
from sorigil.metrics.slices import LEAST

NORMAL_95 = 1.959964  # standard deviations on either side of 95 %


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedSlice:
    """Utterances that share a value, and the metric of A and B there. `delta` is B - A with its 95 % interval; `p` of the
    exact test, `q` corrected for the number of slices; `change` is what B is there, null where none is shown."""

    column: str
    value: str
    utterances: int
    a: float
    b: float
    delta: float
    interval: tuple[float, float]
    p: float
    q: float
    change: Literal["better", "worse"] | None


def paired_slices(metric: str, a: Counted, b: Counted, columns: Sequence[Column]) -> list[PairedSlice]:
    """Return a row for each slice of at least `LEAST` utterances that leaves out as many, in the order of the columns and
    their values.

    `a` and `b` were counted over the same totals. The interval is that of a ratio over utterances, in the normal
    approximation: a bootstrap of every slice would take minutes. Raises ValueError where lengths differ.
    """
    for column in columns:
        if len(column.codes_N) != len(a.counts_N):
            raise ValueError(f"{column.name} has {len(column.codes_N)} rows, the counts have {len(a.counts_N)}")
    found = [row for column in columns for row in _of_column(metric, a, b, column)]
    if not found:
        return []
    q = false_discovery_control([p for *_, p in found], method="bh").tolist()
    return [
        PairedSlice(
            column=name,
            value=value,
            utterances=rows,
            a=first,
            b=second,
            delta=second - first,
            interval=(second - first - margin, second - first + margin),
            p=p,
            q=corrected,
            change=_change(metric, second - first) if corrected < LEVEL and abs(second - first) > margin else None,
        )
        for (name, value, rows, first, second, margin, p), corrected in zip(found, q, strict=True)
    ]


def _of_column(
    metric: str, a: Counted, b: Counted, column: Column
) -> list[tuple[str, str, int, float, float, float, float]]:
    """Name, value, utterances, A, B, half of the interval and p of each slice that is large enough."""
    known_N = column.codes_N >= 0
    codes_N, length = column.codes_N[known_N], len(column.values)
    a_N, b_N, totals_N = (np.asarray(each, np.float64)[known_N] for each in (a.counts_N, b.counts_N, a.totals_N))
    utterances_K = np.bincount(codes_N, minlength=length)
    units_K = np.maximum(_sums(codes_N, totals_N, length), 1)
    a_K, b_K = (_sums(codes_N, each_N, length) / units_K for each_N in (a_N, b_N))
    off_N = b_N - a_N - (b_K - a_K)[codes_N] * totals_N
    margin_K = NORMAL_95 * np.sqrt(_sums(codes_N, off_N**2, length)) / units_K
    differences = np.split(
        (b.counts_N - a.counts_N)[known_N][np.argsort(codes_N, kind="stable")], np.cumsum(utterances_K)[:-1]
    )
    return [
        (
            column.name,
            column.values[k],
            int(utterances_K[k]),
            float(a_K[k]),
            float(b_K[k]),
            float(margin_K[k]),
            pairs_test(differences[k]).p_exact,
        )
        for k in np.flatnonzero((utterances_K >= LEAST) & (len(a.counts_N) - utterances_K >= LEAST)).tolist()
    ]


def _sums(codes_N: Codes, values_N: Floats, length: int) -> Floats:
    return np.bincount(codes_N, values_N, length).astype(np.float64)


def _change(metric: str, delta: float) -> Literal["better", "worse"]:
    return "better" if (delta > 0) == (metric in HIGHER_IS_BETTER) else "worse"
