"""By what the utterances of a comparison are sliced: what the table of a score knows of them, and their references."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flows.compare_pair import Pair
from sorigil.metrics.comparison import METRICS_OF
from sorigil.metrics.paired_slices import PairedSlice, paired_slices
from sorigil.metrics.slice_columns import Column, categories, numbers
from sorigil.objectives import OBJECTIVES


def slices_of(found: Pair) -> list[PairedSlice]:
    """Where B got better and worse, by the first metric of the objective."""
    metric = METRICS_OF[found.objective][0]
    columns = [column for column in _columns(found) if len(column.values) > 1]
    return paired_slices(metric, *found.counted(metric), columns)


def _columns(found: Pair) -> Iterator[Column]:
    """Of a file the speakers and the references are known."""
    rows = next((rows for side in (found.a, found.b) if (rows := found.rows(side)) is not None), None)
    there = [] if rows is None else rows.column_names
    if found.there.speakers:
        yield categories("speaker", found.there.speakers)
    if rows is not None and "lang" in there:
        yield categories("lang", rows.column("lang").to_pylist())
    if rows is not None and "seconds" in there:
        yield numbers("seconds", rows.column("seconds").to_numpy())
    if OBJECTIVES[found.objective].text:
        yield numbers("words", np.array([len(text.split()) for text in found.columns[0]]))
    elif not OBJECTIVES[found.objective].several:
        yield categories("label", found.columns[0])
