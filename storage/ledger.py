"""What finished units of work did: one small Parquet file a unit, written after its parts.

The ledger is how a run that was killed, or another run of the same work, finds what is done: a row an item, under the
item's place and stamp. Its columns are those of the catalogue's `utterances`, with the features that were written and,
for what was rejected, the reason.
"""

from __future__ import annotations

from typing import Any

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
    ]
)


def write(store: Store, uri: str, rows: list[dict[str, Any]]) -> None:
    """Commit a unit: from here on its items are done."""
    names = {name for row in rows for name in row} | {"key"}
    columns = {name: [row.get(name) for row in rows] for name in names}
    schema = pa.schema([field for field in ROWS if field.name in names])
    parts.write_table(store.path(uri), tables.conform(pa.table(columns, schema=schema), ROWS))


def read_all(store: Store, folder: str) -> pa.Table:
    """Every row of every finished unit below `folder`; an item that was tried again has several."""
    address = store.path(folder)
    if not files.is_url(address) and not files.exists(address):
        return tables.empty(ROWS)
    units = [entry.uri for entry in files.walk(address) if entry.uri.endswith(".parquet")]
    if not units:
        return tables.empty(ROWS)
    return pa.concat_tables([tables.conform(parts.read_table(unit), ROWS) for unit in units])


def features_of(rows: pa.Table) -> pa.Table:
    """The feature rows (`tables.FEATURES`) that ledger rows name."""
    column = rows.column("features").combine_chunks()
    flat = pc.list_flatten(column)
    keys = rows.column("key").take(pc.list_parent_indices(column))
    columns = [keys] + [pc.struct_field(flat, field.name) for field in FEATURE]
    return tables.conform(pa.table(columns, names=["key", *(field.name for field in FEATURE)]), tables.FEATURES)
