"""Items that became several utterances: each channel of a telephone call, each stretch of a long recording.

Such an item's ledger rows share its place and stamp; `piece` tells them apart and `pieces` says how many they are. An item
is done only when all of its rows are known, wherever they are. Columns only: nothing here walks over rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sorigil.errors import RunError
from storage import tables

MARK = "#"  # an utterance's id is its item's, this, and its piece

Ints = NDArray[np.int64]


def only_whole(rows: pa.Table) -> pa.Table:
    """The rows of items (one place, one stamp) of which no piece is missing; of rows about the same piece the first."""
    first = np.zeros(len(rows), bool)
    first[np.asarray(tables.first_of_each(_mark(rows, "stamp")))] = True
    rows = tables.where(rows, pa.array(first))
    if _all_null(rows.column("piece")) and _all_null(rows.column("pieces")):
        return rows
    item = _codes(tables.joined(rows, ("place", "stamp")))
    wanted = np.asarray(pc.fill_null(rows.column("pieces"), 1).to_numpy())
    return tables.where(rows, pa.array(np.bincount(item, minlength=1)[item] == wanted))


def paired(items: pa.Table, rows: pa.Table) -> tuple[Ints, Ints, Ints]:
    """Which item goes with which row: indices into both, in the order of the rows, which are the larger table; and the
    rank of each pair in the source's order: items in theirs, an item's rows in theirs.

    Raises RunError where an item has no row.
    """
    rows_of = pc.index_in(rows.column("place"), value_set=pc.unique(items.column("place")))
    here = np.flatnonzero(np.asarray(rows_of.is_valid()))
    place = np.asarray(pc.drop_null(rows_of))
    first_of_piece = np.asarray(tables.first_of_each(_mark(tables.taken(rows.select(["place", "piece"]), here))))
    here, place = here[first_of_piece], place[first_of_piece]
    here = here[np.argsort(place, kind="stable")]
    wanted = _codes(items.column("place"))
    counts = np.bincount(place, minlength=int(wanted.max(initial=-1)) + 1)
    undone = int(np.count_nonzero(counts[wanted] == 0))
    if undone:
        raise RunError(f"{undone} of {len(items)} items were never done, though their units were; run again")
    starts = np.cumsum(counts) - counts
    repeats = counts[wanted]
    item = np.repeat(np.arange(len(items)), repeats)
    within = np.arange(len(item)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    row = here[starts[wanted][item] + within]
    rank = np.argsort(row, kind="stable")
    return item[rank], row[rank], rank


def utterance_ids(item_ids: Any, piece: Any) -> Any:
    """The ids of utterances from those of their items."""
    return pc.if_else(pc.is_null(piece), item_ids, pc.binary_join_element_wise(item_ids, piece, MARK))


def item_ids(utterances: pa.Table) -> Any:
    """The ids of items from those of their utterances."""
    ids = utterances.column("id")
    bare = pc.replace_substring_regex(ids, f"{MARK}[^{MARK}]*$", "")
    return pc.if_else(pc.is_valid(utterances.column("piece")), bare, ids)


def _mark(rows: pa.Table, *more: str) -> Any:
    """What tells pieces apart, where there are any."""
    return tables.joined(rows, ("place", *more, *(() if _all_null(rows.column("piece")) else ("piece",))))


def _all_null(column: pa.ChunkedArray) -> bool:
    return bool(column.null_count == len(column))


def _codes(column: Any) -> Ints:
    """Each value as the number of its first appearance."""
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(flat.dictionary_encode().indices, np.int64)
