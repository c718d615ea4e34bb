"""What leads from one state of a table to the next: which rows are new, gone, changed or the same.

Rows are matched by their key, and held against each other a column and a slice at a time: a million rows are compared
in the memory of one column. `catalog.py` writes what is found here; `tables.py` has the columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from storage import tables


def changes(
    old: pa.Table, new: pa.Table, key: tuple[str, ...], *, ignore: tuple[str, ...] = ()
) -> tuple[pa.Table, Any]:
    """What leads from `old` to `new`: the rows to add, and the key values (joined) of the rows to remove.

    A changed row is removed and added. Columns in `ignore` do not make a row a changed one. Of rows with the same key the
    first is held against the first, the second against the second, and so on.
    """
    before = _before(old, new, key)
    differs = _differ(old, new, before, ignore)
    gone = np.ones(len(old), bool)
    gone[before[before >= 0]] = False
    went, changed = old.select(key).filter(pa.array(gone)), new.select(key).filter(pa.array(differs & (before >= 0)))
    return tables.where(new, pa.array(differs)), tables.joined(
        pa.concat_tables([went, tables.conform(changed, went.schema)]), key
    )


def unchanged(old: pa.Table, new: pa.Table, key: tuple[str, ...], *, ignore: tuple[str, ...] = ()) -> Any:
    """For each row of `new` the index of the row of `old` that says the same (as in `changes`); null where none does."""
    before = _before(old, new, key)
    return pa.array(before, mask=_differ(old, new, before, ignore))


def _before(old: pa.Table, new: pa.Table, key: tuple[str, ...]) -> NDArray[np.int64]:
    """For each row of `new` the index of the row of `old` with its key, -1 where there is none."""
    known = len(old)
    if known <= len(new) and all(_alike(old.column(name), new.column(name).slice(0, known)) for name in key):
        return np.concatenate([np.arange(known), np.full(len(new) - known, -1)])  # the rest came to them
    old_keys, new_keys = _numbered(tables.joined(old, key)), _numbered(tables.joined(new, key))
    found = pc.index_in(new_keys, value_set=tables.flat(old_keys))
    return np.asarray(pc.fill_null(tables.flat(found), -1)).astype(np.int64)


def _alike(left: Any, right: Any) -> bool:
    """Whether two columns are the same, however they are encoded."""
    if not pa.types.is_dictionary(left.type) and left.type == right.type:
        return bool(left.equals(right))
    slices = range(0, len(left), tables.SLICE)
    return all(
        left.slice(start, tables.SLICE).cast(pa.string()).equals(right.slice(start, tables.SLICE).cast(pa.string()))
        for start in slices
    )


def _differ(old: pa.Table, new: pa.Table, before: NDArray[np.int64], ignore: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which rows of `new` differ from their row `before` in `old`, or have none. A column at a time, and a slice of its
    rows: neither table is copied."""
    differs = before < 0
    known = len(old)
    in_order = len(new) >= known and np.array_equal(before[:known], np.arange(known)) and differs[known:].all()
    for name in new.column_names:
        if name in ignore or (in_order and new.column(name).slice(0, known).equals(old.column(name))):
            continue
        column = tables.flat(old.column(name))
        for start in range(0, len(new), tables.SLICE):
            here = slice(start, start + tables.SLICE)
            was = column.take(pa.array(before[here], mask=before[here] < 0))
            differs[here] |= np.asarray(
                tables.flat(_unequal(was, tables.flat(new.column(name).slice(start, tables.SLICE))))
            )
    return differs


def _numbered(keys: Any) -> Any:
    """The keys, with a number behind each that has stood before."""
    codes = np.asarray(tables.flat(keys).dictionary_encode().indices)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    if len(starts) == len(codes):
        return keys
    times = np.empty(len(codes), np.int64)
    times[order] = np.arange(len(codes)) - np.repeat(starts, np.diff(starts, append=len(codes)))
    numbered = pc.binary_join_element_wise(keys, pa.array(times).cast(pa.string()), "\x1f")
    return pc.if_else(pa.array(times > 0), numbered, keys)


def _chunks(column: Any) -> list[Any]:
    return list(column.chunks) if isinstance(column, pa.ChunkedArray) else [column]


def _unequal(left: Any, right: Any) -> Any:
    """Element-wise inequality in which null equals null."""
    unequal = pc.fill_null(pc.not_equal(left, right), False)
    return pc.or_(unequal, pc.xor(pc.is_null(left), pc.is_null(right)))
