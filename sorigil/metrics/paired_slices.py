"""Where one of two systems got better or worse: the paired difference in every slice of the utterances that both heard.

A slice is a value of a column (`slice_columns`), and is tested as those of one system are (`slice_rules`). "Better" or
"worse" is said of B in it where the exact paired test and the one over utterances and speakers both hold with the false
discovery rate held over all slices: where nothing changed, mostly nothing is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sorigil.metrics.comparison import HIGHER_IS_BETTER, Counted
from sorigil.metrics.contrasts import Estimate, estimate
from sorigil.metrics.intervals import Numbers
from sorigil.metrics.paired import pairs_test
from sorigil.metrics.parts import Floats, Parts, Rows
from sorigil.metrics.slice_columns import Column, categories
from sorigil.metrics.slice_rules import (
    LEVEL,
    Flags,
    corrected,
    large_enough,
    or_none,
    rows_to_test,
    spoken_by_several,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PairedSlice:
    """Utterances that share a value, and the metric of A and B there.

    `delta` is B - A with its 95 % interval over utterances and speakers (`groups` of them; null: not known of all). `p` is
    the larger of the exact test's and the interval's, null where one speaker alone is heard; `q` is corrected for the
    number of slices; `change` is what B is there, null where none is shown.
    """

    column: str
    value: str
    utterances: int
    groups: int | None
    a: float
    b: float
    delta: float
    interval: tuple[float, float]
    p: float | None
    q: float | None
    change: Literal["better", "worse"] | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Tested:
    """A column's slices; `p_K` is NaN where none may be tested."""

    column: Column
    parts: Parts
    a_K: Floats
    b_K: Floats
    found: Estimate
    p_K: Floats
    kept_K: Flags


def paired_slices(
    metric: str, a: Counted, b: Counted, columns: Sequence[Column], groups_N: Sequence[str] | None = None
) -> list[PairedSlice]:
    """Return a row for each slice of at least `LEAST` utterances that leaves out as many and has something to err in, in
    the order of the columns and their values.

    `a` and `b` were counted over the same totals. `groups_N` says who spoke: what the speakers' differences differ by then
    counts too, as for `slices`. Raises ValueError where lengths differ.
    """
    groups = [] if groups_N is None else [categories("groups", groups_N)]
    for column in (*columns, *groups):
        if len(column.codes_N) != len(a.counts_N):
            raise ValueError(f"{column.name} has {len(column.codes_N)} rows, the counts have {len(a.counts_N)}")
    rows = Rows(
        errors_N=np.asarray(b.counts_N - a.counts_N, np.float64),
        units_N=np.asarray(a.totals_N, np.float64),
        groups_N=groups[0].codes_N if groups else None,
    )
    tested = [_test(rows, a, b, column) for column in columns]
    several = zip(tested, corrected([each.p_K for each in tested]), strict=True)
    return [row for each, q_K in several for row in _table(metric, each, q_K)]


def _test(rows: Rows, a: Counted, b: Counted, column: Column) -> _Tested:
    parts = Parts(rows, column.codes_N, len(column.values))
    found = estimate(rows_to_test(rows, column), parts)
    kept_K = large_enough(rows, parts) & (parts.sums.units > 0)
    exact_K = _exact(b.counts_N - a.counts_N, column, kept_K & spoken_by_several(column, parts))
    a_K, b_K = (parts.sum(np.asarray(each, np.float64)) for each in (a.counts_N, b.counts_N))
    return _Tested(
        column=column,
        parts=parts,
        a_K=a_K / np.maximum(parts.sums.units, 1),
        b_K=b_K / np.maximum(parts.sums.units, 1),
        found=found,
        p_K=np.maximum(exact_K, found.p_K),
        kept_K=kept_K,
    )


def _exact(differences_N: Numbers, column: Column, tested_K: Flags) -> Floats:
    """The exact p of each slice's differences; NaN of those that may not be tested."""
    order_N = np.argsort(column.codes_N, kind="stable")
    ends_K = np.searchsorted(column.codes_N[order_N], np.arange(len(tested_K) + 1))
    p_K = np.full(len(tested_K), np.nan)
    for k in np.flatnonzero(tested_K):
        p_K[k] = pairs_test(differences_N[order_N[ends_K[k] : ends_K[k + 1]]]).p_exact
    return p_K


def _table(metric: str, tested: _Tested, q_K: Floats) -> list[PairedSlice]:
    found, groups_K = tested.found, tested.parts.groups_K
    delta_K = tested.b_K - tested.a_K
    return [
        PairedSlice(
            column=tested.column.name,
            value=tested.column.values[k],
            utterances=int(tested.parts.sums.rows[k]),
            groups=None if groups_K is None else int(groups_K[k]),
            a=float(tested.a_K[k]),
            b=float(tested.b_K[k]),
            delta=float(delta_K[k]),
            interval=(float(found.low_K[k]), float(found.high_K[k])),
            p=or_none(tested.p_K[k]),
            q=or_none(q_K[k]),
            change=_change(metric, float(delta_K[k])) if q_K[k] < LEVEL else None,
        )
        for k in np.flatnonzero(tested.kept_K).tolist()
    ]


def _change(metric: str, delta: float) -> Literal["better", "worse"]:
    return "better" if (delta > 0) == (metric in HIGHER_IS_BETTER) else "worse"
