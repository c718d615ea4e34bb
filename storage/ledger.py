"""What finished units of work did: one small Parquet file a unit, written after its parts.

The ledger is how a run that was killed, or another run of the same work, finds what is done: a row an item, under the
item's place and stamp. Its columns are those of the catalogue's `utterances`, with the features that were written and,
for what was rejected, the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage import files, parts, tables
from storage.layout import Store

FEATURE = pa.struct([field for field in tables.FEATURES if field.name != "key"])
ROWS = pa.schema(
    [
        *(field.with_nullable(True) for field in tables.UTTERANCES),
        pa.field("features", pa.list_(FEATURE)),
        pa.field("stage", pa.string()),
        pa.field("reason", pa.string()),  # null: the item is done
        pa.field("detail", pa.string()),
        pa.field("code", pa.string()),  # what a rejection by more than the AudioSpec depends on, besides the bytes
    ]
)

_IN_MEMORY = 32  # ledgers that are read into one piece

# The same rows as they are held in memory: what a unit's rows share is there once.
LEAN_FEATURE = pa.struct([field for field in tables.LEAN["features"] if field.name != "key"])
LEAN = tables.lean(ROWS)
LEAN = LEAN.set(LEAN.names.index("features"), pa.field("features", pa.list_(LEAN_FEATURE)))


def write(store: Store, uri: str, rows: list[dict[str, Any]]) -> None:
    """Commit a unit: from here on its items are done."""
    names = {name for row in rows for name in row} | {"key"}
    columns = {name: [row.get(name) for row in rows] for name in names}
    schema = pa.schema([field for field in ROWS if field.name in names])
    parts.write_table(store.path(uri), tables.conform(pa.table(columns, schema=schema), ROWS))


def read_all(store: Store, folder: str) -> pa.Table:
    """Every row of every finished unit below `folder`; an item that was tried again has several."""
    return read_units(_units_below(store, folder))


def read_units(addresses: Sequence[str]) -> pa.Table:
    """The rows of these ledgers as they are best held in memory (`LEAN`): what was kept, then what was rejected. So
    neither has to be copied to be told from the other, and where both are about one item the first of them counts."""
    kept, rejected = [tables.empty(LEAN)], [tables.empty(LEAN)]
    for start in range(0, len(addresses), _IN_MEMORY):
        few = pa.concat_tables(
            [tables.conform(parts.read_table(each), LEAN) for each in addresses[start : start + _IN_MEMORY]]
        )
        bad = pc.is_valid(few.column("reason"))
        kept.append(few.filter(pc.invert(bad)).combine_chunks())
        rejected.append(few.filter(bad).combine_chunks())
    return pa.concat_tables([*kept, *rejected])


def units(store: Store, dataset: str) -> list[str]:
    """The addresses of the ledgers of all finished units of a dataset."""
    return _units_below(store, store.units(dataset))


def _units_below(store: Store, folder: str) -> list[str]:
    address = store.path(folder)
    if not files.is_url(address) and not files.exists(address):
        return []
    return [entry.uri for entry in files.walk(address) if entry.uri.endswith(".parquet")]


def parts_of(address: str) -> pa.Table:
    """The parts that one ledger names (part, sha256), each once."""
    rows = parts.read_table(address, ("audio_part", "audio_part_sha256", "features"))
    flat = pc.list_flatten(rows.column("features").combine_chunks())
    part = [rows.column("audio_part"), pc.struct_field(flat, "part")]
    sha256 = [rows.column("audio_part_sha256"), pc.struct_field(flat, "part_sha256")]
    pairs = pa.table({"part": _chained(part), "sha256": _chained(sha256)})
    return pairs.group_by(["part", "sha256"]).aggregate([]).filter(pc.field("part").is_valid())


def _chained(columns: list[Any]) -> Any:
    chunks = [chunk for column in columns for chunk in getattr(column, "chunks", [column])]
    return pa.chunked_array(chunks, pa.string())


def only_there(rows: pa.Table, there: Any) -> pa.Table:
    """Ledger rows as far as their parts are `there`: no row without its audio, no feature without its part."""
    audio = rows.column("audio_part")
    rows = tables.where(rows, pc.or_(pc.is_null(audio), tables.isin(audio, there)))
    column = rows.column("features").combine_chunks()
    flat = pc.list_flatten(column)
    kept = tables.isin(pc.struct_field(flat, "part"), there)
    if pc.all(kept).as_py():
        return rows
    counts = np.bincount(np.asarray(pc.list_parent_indices(column).filter(kept)), minlength=len(rows))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    features = pa.ListArray.from_arrays(offsets, flat.filter(kept))
    return rows.set_column(rows.column_names.index("features"), "features", features)


def features_of(rows: pa.Table) -> pa.Table:
    """The feature rows (`tables.FEATURES`, leanly) that ledger rows name."""
    rows = tables.where(rows.select(["key", "features"]), pc.is_valid(rows.column("features")))
    column = rows.column("features").combine_chunks()
    flat = pc.list_flatten(column)
    keys = rows.column("key").take(pc.list_parent_indices(column))
    columns = [keys] + [pc.struct_field(flat, field.name) for field in FEATURE]
    named = pa.table(columns, names=["key", *(field.name for field in FEATURE)])
    return tables.conform(named, tables.LEAN["features"])
