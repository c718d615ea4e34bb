"""Where a model errs: its rate in every slice of the evaluated utterances, and which slices are worse beyond chance.

A slice is a value of a column (`slice_columns`), or of two at once. Its rate is of summed counts, never a mean of rates.
"Worse" is said of a slice when the rest errs clearly less and the false discovery rate over all slices that were looked at
is held (Benjamini and Hochberg 1995): where nothing is wrong, mostly nothing is found.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sorigil.metrics.contrasts import Contrast, contrast, score_intervals
from sorigil.metrics.parts import Codes, Floats, Parts, Rows, Sums
from sorigil.metrics.slice_columns import Column, categories, pair
from sorigil.metrics.slice_rules import (
    LEAST,
    LEVEL,
    Flags,
    corrected,
    large_enough,
    or_none,
    rows_to_test,
    spoken_by_several,
)

CLEARLY = 1.1  # times the rate of the rest: among a million utterances every difference is beyond chance
MOST_PAIRS_OF_VALUES = 2_000  # of two columns; more would be slices of a handful


@dataclass(frozen=True, kw_only=True, slots=True)
class Slice:
    """Utterances that share a value. Rates are errors by units (words, or answers).

    `interval` is the 95 % interval of `rate` over utterances; `rest` the rate of all others, `difference` that from it,
    with an interval over utterances and speakers (`groups`: how many of them, null where they are not known of all). `p`
    is one-sided; `q` is corrected for the number of slices; both are null where the slice was not tested. Of a pair of
    columns both are against the rest of either value, the one that it is less clearly worse than.
    """

    column: str
    value: str
    utterances: int
    groups: int | None
    seconds: float | None
    errors: int
    units: int
    rate: float
    interval: tuple[float, float]
    rest: float | None
    difference: float | None
    difference_interval: tuple[float, float] | None
    p: float | None
    q: float | None
    share_of_errors: float
    worse: bool


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Tested:
    """A column's slices against the rest. `kept_K`: those of rows enough; `p_K`: NaN elsewhere. Nothing here is as long
    as the rows: there are many pairs of columns."""

    name: str
    values: tuple[str, ...]
    sums: Sums
    seconds_K: Floats | None
    groups_K: Codes | None
    found: Contrast
    p_K: Floats
    kept_K: Flags


def slices(
    errors_N: npt.ArrayLike,
    units_N: npt.ArrayLike,
    columns: Sequence[Column],
    seconds_N: npt.ArrayLike | None = None,
    groups_N: Sequence[str] | None = None,
    pairs: bool = True,
) -> list[Slice]:
    """Return a row for each slice of at least `LEAST` utterances, in the order of the columns and their values.

    `errors_N` of `units_N` are each utterance's. `groups_N` says who spoke: what the speakers differ by then counts
    against a difference, and a slice of fewer than `LEAST_GROUPS` of them is not tested, unless it is the column's
    purpose to tell them apart (`Column.of_speakers`). With `pairs` two columns at once come after the single ones, only
    those that are worse. Raises ValueError where lengths differ.
    """
    rows = Rows(
        errors_N=np.asarray(errors_N, np.float64),
        units_N=np.asarray(units_N, np.float64),
        groups_N=None if groups_N is None else categories("group", groups_N).codes_N,
    )
    _check(rows, columns, seconds_N)
    seconds = None if seconds_N is None else np.asarray(seconds_N, np.float64)
    everyone = Parts(rows, np.zeros(len(rows.errors_N), np.int64), 1)
    made = [Parts(rows, column.codes_N, len(column.values)) for column in columns]
    single = [_test(rows, *each, everyone, seconds) for each in zip(columns, made, strict=True)]
    double = [
        _test_pair(rows, one, other, everyone, seconds)
        for one, other in itertools.combinations(zip(columns, made, strict=True), 2)
        if pairs and len(one[0].values) * len(other[0].values) <= MOST_PAIRS_OF_VALUES
    ]
    alone, together = (
        [_table(rows, each, q_K) for each, q_K in zip(tested, corrected([each.p_K for each in tested]), strict=True)]
        for tested in (single, double)
    )
    return [*itertools.chain(*alone), *(row for row in itertools.chain(*together) if row.worse)]


def worst(found: Sequence[Slice], most: int = 10) -> list[Slice]:
    """Return the slices that are worse than the rest, those first whose difference is surely largest."""
    worse = [row for row in found if row.worse]
    return sorted(worse, key=lambda row: (-(row.difference_interval or (0.0,))[0], -row.rate))[:most]


def _check(rows: Rows, columns: Sequence[Column], seconds_N: npt.ArrayLike | None) -> None:
    lengths = {"units": len(rows.units_N)} | {column.name: len(column.codes_N) for column in columns}
    lengths |= {} if rows.groups_N is None else {"groups": len(rows.groups_N)}
    lengths |= {} if seconds_N is None else {"seconds": np.size(seconds_N)}
    for name, length in lengths.items():
        if length != len(rows.errors_N):
            raise ValueError(f"{name} has {length} rows, the errors have {len(rows.errors_N)}; expected as many")


def _test(rows: Rows, column: Column, parts: Parts, everyone: Parts, seconds_N: Floats | None) -> _Tested:
    found = contrast(rows_to_test(rows, column), parts, everyone)
    kept_K = large_enough(rows, parts)
    return _Tested(
        name=column.name,
        values=column.values,
        sums=parts.sums,
        seconds_K=None if seconds_N is None else parts.sum(seconds_N),
        groups_K=parts.groups_K,
        found=found,
        p_K=np.where(kept_K & spoken_by_several(column, parts), found.p_K, np.nan),
        kept_K=kept_K,
    )


def _test_pair(
    rows: Rows, one: tuple[Column, Parts], other: tuple[Column, Parts], everyone: Parts, seconds_N: Floats | None
) -> _Tested:
    """A pair is worse only if it is worse than the rest of either value: else it is one of the two that is."""
    column = pair(one[0], other[0])
    both = Parts(rows, column.codes_N, len(column.values))
    tested = _test(rows, column, both, everyone, seconds_N)
    first_K, second_K = np.divmod(np.arange(len(column.values)), len(other[0].values))
    p_K, kept_K = tested.p_K, tested.kept_K
    for parts, home_K in ((one[1], first_K), (other[1], second_K)):
        kept_K &= parts.sums.rows[home_K] - both.sums.rows >= LEAST
        p_K = np.maximum(p_K, contrast(rows_to_test(rows, column), both, parts).p_K)
    return replace(tested, p_K=np.where(kept_K, p_K, np.nan))


def _table(rows: Rows, tested: _Tested, q_K: Floats) -> list[Slice]:
    found, sums, seconds_K, groups_K = tested.found, tested.sums, tested.seconds_K, tested.groups_K
    low_K, high_K = score_intervals(rows, sums)
    clear_K = (q_K <= LEVEL) & (sums.errors > CLEARLY * found.rest_K * sums.units)
    whole = max(float(rows.errors_N.sum()), 1.0)
    return [
        Slice(
            column=tested.name,
            value=tested.values[k],
            utterances=int(sums.rows[k]),
            groups=None if groups_K is None else int(groups_K[k]),
            seconds=None if seconds_K is None else float(seconds_K[k]),
            errors=int(sums.errors[k]),
            units=int(sums.units[k]),
            rate=float(sums.errors[k] / max(sums.units[k], 1)),
            interval=(float(low_K[k]), float(high_K[k])),
            rest=or_none(found.rest_K[k]),
            difference=or_none(found.difference_K[k]),
            difference_interval=None if np.isnan(found.low_K[k]) else (float(found.low_K[k]), float(found.high_K[k])),
            p=or_none(tested.p_K[k]),
            q=or_none(q_K[k]),
            share_of_errors=float(sums.errors[k] / whole),
            worse=bool(clear_K[k]),
        )
        for k in np.flatnonzero(tested.kept_K).tolist()
    ]
