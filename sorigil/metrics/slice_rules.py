"""What holds of every slice, of one system's rate or of two systems' difference: which may be tested, and what is shown.

A slice needs utterances enough, and where it is known who speaks, voices enough: one alone says something of itself only.
Of all that is tested at once the false discovery rate is held.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sorigil.metrics.parts import Floats, Parts, Rows
from sorigil.metrics.slice_columns import Column

LEAST = 10  # utterances of a slice, and of the rest: fewer say nothing and are no row
LEAST_GROUPS = 2  # speakers of a slice that is tested, where they are known
LEVEL = 0.05  # of what is named, the share that may be chance

Flags = npt.NDArray[np.bool_]


def large_enough(rows: Rows, parts: Parts) -> Flags:
    """Which of K slices are a row: those of `LEAST` utterances that leave out as many."""
    kept_K: Flags = (parts.sums.rows >= LEAST) & (len(rows.errors_N) - parts.sums.rows >= LEAST)
    return kept_K


def spoken_by_several(column: Column, parts: Parts) -> Flags:
    """Which of K slices may be tested for who speaks in them. Of a column of speakers each is one by purpose."""
    if column.of_speakers or parts.groups_K is None:
        return np.ones(parts.n_parts, np.bool_)
    several_K: Flags = parts.groups_K >= LEAST_GROUPS
    return several_K


def rows_to_test(rows: Rows, column: Column) -> Rows:
    """The rows for the slices of a column: what is said of single speakers is not said of others like them, so what the
    speakers differ by does not count there."""
    return Rows(errors_N=rows.errors_N, units_N=rows.units_N) if column.of_speakers else rows


def corrected(p_of: Sequence[Floats]) -> list[Floats]:
    """Return q for each p of several columns, corrected for all of them (Benjamini and Hochberg 1995); NaN stays NaN."""
    from scipy.stats import false_discovery_control

    if not p_of:
        return []
    p = np.concatenate(p_of)
    q = np.full(len(p), np.nan)
    tested = np.isfinite(p)
    if tested.any():
        q[tested] = false_discovery_control(p[tested], method="bh")
    return np.split(q, np.cumsum([len(each) for each in p_of])[:-1])


def or_none(value: float) -> float | None:
    """None for NaN, which JSON has not."""
    return None if np.isnan(value) else float(value)
