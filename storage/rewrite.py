"""Parts written anew from parts: the same rows, elsewhere. Compaction merges them, erasing leaves some out.

Parts never change, so rows move to new parts and the catalogue is told where. A row keeps its key and its bytes, and the
rows of one item (chunks of a long one) stay together and in order. A row group at a time: memory stays flat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sorigil.errors import RunError
from storage import parts, tables
from storage.layout import Store
from storage.part_writers import ROW_GROUP_BYTES, AudioWriter, FeatureWriter
from storage.streams import NewFile

MOVED = pa.schema(
    [
        pa.field("from", pa.string()),  # part and row, joined
        pa.field("part", pa.string()),
        pa.field("row", pa.int32()),
        pa.field("sha256", pa.string()),
    ]
)
PLACES = {"utterances": ("audio_part", "audio_row", "audio_part_sha256"), "features": ("part", "row", "part_sha256")}


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The items of one part that are to move: the first row of each."""

    part: str
    rows: NDArray[np.int64]


def wanted_of(table: pa.Table, name: str) -> dict[str, Wanted]:
    """What the rows of a catalogue table want of each part they name. `name` is of the table: utterances or features."""
    part, row, _ = PLACES[name]
    named = table.select([part, row]).drop_null().group_by([part]).aggregate([(row, "list")])
    rows = (np.asarray(each.values, np.int64) for each in named.column(f"{row}_list"))
    return {
        place: Wanted(part=place, rows=np.unique(each))
        for place, each in zip(named.column(part).to_pylist(), rows, strict=True)
    }


def write_anew(store: Store, uri: str, wanted: Sequence[Wanted]) -> pa.Table:
    """Put items of several parts of one schema into the new part `uri`. Returns a row of `MOVED` for each item.

    Raises RunError where a part does not hold what it should.
    """
    schema = parts.open_parquet(store.path(wanted[0].part)).schema_arrow
    options = FeatureWriter.options if "values" in schema.names else AudioWriter.options
    file = NewFile(store.path(uri))
    places: list[str] = []
    rows: list[int] = []
    count = 0
    try:
        with pq.ParquetWriter(file.path, schema, use_dictionary=False, **options) as writer:
            for each in wanted:
                for table, firsts in _items_of(store, each):
                    places += [f"{each.part}\x1f{row}" for row, _ in firsts]
                    rows += [count + at for _, at in firsts]
                    count += len(table)
                    writer.write_table(table, row_group_size=_group_rows(table))
        sha256 = file.commit()
    except BaseException:
        file.abandon()
        raise
    columns = [places, [uri] * len(rows), rows, [sha256] * len(rows)]
    return tables.conform(pa.table(columns, names=MOVED.names), MOVED)


def _items_of(store: Store, wanted: Wanted) -> Iterator[tuple[pa.Table, list[tuple[int, int]]]]:
    """The wanted rows, a row group at a time, with (row in the part, row in this piece) of each item that begins here."""
    file = parts.open_parquet(store.path(wanted.part))
    offset, inside, found = 0, False, 0  # `inside`: the row before this group belongs to a wanted item
    for group in range(file.metadata.num_row_groups):
        table = file.read_row_group(group)
        begins = _beginnings(table)
        chosen = np.zeros(len(table), bool)
        chosen[wanted.rows[(wanted.rows >= offset) & (wanted.rows < offset + len(table))] - offset] = True
        if (chosen & ~begins).any():
            raise RunError(f"{store.path(wanted.part)}: no item begins where the catalogue says; see `sorigil verify`")
        # A row belongs to the item that began last, in this group or in one before it.
        last = np.maximum.accumulate(np.where(begins, np.arange(len(table)), -1))
        kept = np.where(last >= 0, chosen[last], inside)
        at = np.cumsum(kept) - 1
        starts = np.flatnonzero(chosen)
        found += len(starts)
        if kept.any():
            yield table.filter(pa.array(kept)), [(offset + int(row), int(at[row])) for row in starts]
        inside = bool(kept[-1]) if len(kept) else inside
        offset += len(table)
    if found != len(wanted.rows):
        raise RunError(f"{store.path(wanted.part)}: it has fewer rows than the catalogue says; see `sorigil verify`")


def _beginnings(table: pa.Table) -> NDArray[np.bool_]:
    """Where items begin; parts of before long audio was cut have an item a row."""
    if "chunk" not in table.column_names:
        return np.ones(len(table), bool)
    return np.asarray(pc.equal(table.column("chunk"), 0).to_numpy(), bool)


def _group_rows(table: pa.Table) -> int:
    return int(max(1, ROW_GROUP_BYTES * len(table) // max(1, table.nbytes)))


def repoint(table: pa.Table, name: str, moved: pa.Table) -> pa.Table:
    """The rows of a catalogue table with the new places of what has moved."""
    columns = PLACES[name]
    found = tables.lookup(moved, "from", tables.joined(table, columns[:2]))
    has_moved = pc.is_valid(found.column("part"))
    for column, source in zip(columns, ("part", "row", "sha256"), strict=True):
        chosen = pc.if_else(has_moved, found.column(source), table.column(column))
        table = table.set_column(table.column_names.index(column), table.schema.field(column), chosen)
    return table
